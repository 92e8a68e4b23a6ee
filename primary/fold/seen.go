package fold

import (
	"encoding/json"
	"time"

	"midplane/event"
)

// DeviceLane is what one producer's outbox says of a device and its parts, within
// a tenant.
type DeviceLane struct {
	DeviceKey
	Producer event.Producer
}

// Touched is what a batch changed in a DeviceLane.
type Touched struct {
	States bool       // a state that counts in the digest
	Beat   *Heartbeat // the newest heartbeat, nil when there was none
}

// Heartbeat is what a producer says of its current states of a device
// (event.Seen). Two that are equal say the same.
type Heartbeat struct {
	Epoch  int64
	From   uint64
	States int
	Digest string
}

// heartbeat reads a version of a heartbeat; nil when it cannot be read, which its
// schema does not allow.
func heartbeat(v *Version) (*event.Seen, *Heartbeat) {
	if v == nil {
		return nil, nil
	}
	var s event.Seen
	if json.Unmarshal(v.Data, &s) != nil {
		return nil, nil
	}
	return &s, &Heartbeat{Epoch: v.Epoch, From: s.From, States: s.States, Digest: s.Digest}
}

// ReadHeartbeat returns what a version of event.TypeSeen says; ok is false when it
// cannot be read.
func ReadHeartbeat(v Version) (h Heartbeat, ok bool) {
	_, p := heartbeat(&v)
	if p == nil {
		return Heartbeat{}, false
	}
	return *p, true
}

// touch notes that a state of a producer's outbox became the newest of its lane.
func (ch *Changes) touch(m *Message, beat *Heartbeat) {
	if m.Sequence == 0 || beat == nil && !event.InDigest(m.Type) {
		return
	}
	key := DeviceLane{DeviceKey{m.Site, m.Entity.Device()}, m.Producer}
	t := ch.Touched[key]
	if beat == nil {
		t.States = true
	} else {
		t.Beat = beat
	}
	ch.Touched[key] = t
}

// foldRuns makes a sample of each run that a heartbeat names: a check whose state
// is not repeated is as fresh as its last run, and has that run's latency. old is
// the version that was the newest before, whose runs are samples already.
//
// It does not ask whether the heartbeat is newer than the last: like any sample,
// a run counts for itself, in whichever order it comes.
func foldRuns(ch *Changes, m *Message, now *event.Seen, old *Version) {
	if now == nil || m.Entity != m.Entity.Device() {
		return
	}
	before := map[string]event.CheckRuns{}
	if was, _ := heartbeat(old); was != nil {
		for _, c := range was.Checks {
			if own(c, old.Received) {
				before[c.Name] = c
			}
		}
	}
	for _, c := range now.Checks[:min(maxChecks, len(now.Checks))] {
		entity := m.Entity.Check(c.Name)
		was, known := before[c.Name]
		if known && same(was, c) && own(c, m.Received) || event.CheckEntity(entity) != nil {
			continue
		}
		values, err := json.Marshal(struct {
			Runs    uint64  `json:"runs"`
			Latency float64 `json:"latencyMs,omitempty"`
		}{c.Runs, c.Latency})
		if err != nil {
			continue // numbers that were just read cannot fail
		}
		ch.Samples = append(ch.Samples, Sample{SeriesKey{m.Site, entity, event.TypeSeen}, bounded(c.Last, m.Received), values})
	}
}

// own reports whether a run's sample has the run's own time: then it is the same
// in whichever heartbeat the run is named.
func own(c event.CheckRuns, received time.Time) bool { return bounded(c.Last, received).Equal(c.Last) }

func same(a, b event.CheckRuns) bool {
	return a.Last.Equal(b.Last) && a.Runs == b.Runs && a.Latency == b.Latency
}

// bounded is a producer's time, but never after the message was received.
func bounded(at, received time.Time) time.Time {
	if at.IsZero() || at.After(received) {
		return received
	}
	return at
}
