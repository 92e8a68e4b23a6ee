package fold

import (
	"encoding/json"
	"time"

	"midplane/event"
)

// StateKey names one fact about an entity, within a tenant.
type StateKey struct {
	Site   event.Site
	Entity event.Entity
	Type   event.Type
}

// Lane is one sender of states: a producer through its outbox (whose messages are
// ordered by epoch and sequence), or as a stock client (ordered by the stream).
// Each lane is ordered in itself; between lanes the receive time decides.
type Lane struct {
	Producer event.Producer
	Stock    bool
}

// LaneKey is one lane of one fact.
type LaneKey struct {
	StateKey
	Lane
}

// Version is the newest state of a lane.
type Version struct {
	Epoch       int64
	Seq         uint64
	Incarnation uint64 // of the stream, above 32 bits how often its history was another
	StreamSeq   uint64
	Received    time.Time
	Time        time.Time // when it was seen, never after Received
	Since       time.Time // when the device's status became what it is
	Data        json.RawMessage
}

// Lanes is all that is known of one fact: the newest state of each lane, and
// which of them counts.
type Lanes struct {
	By     map[Lane]*Version
	Winner Lane
}

func stateKey(m *Message) StateKey { return StateKey{m.Site, m.Entity, m.Type} }

// newer reports whether v supersedes old in the same lane.
func (v *Version) newer(old *Version, stock bool) bool {
	switch {
	case old == nil:
		return true
	case !stock:
		return event.Newer(v.Epoch, v.Seq, old.Epoch, old.Seq)
	case v.Incarnation != old.Incarnation:
		return v.Incarnation > old.Incarnation
	}
	return v.StreamSeq > old.StreamSeq
}

// beats decides between lanes: the later receive time, then something fixed,
// so that the order of arrival never matters.
func beats(a Lane, va *Version, b Lane, vb *Version) bool {
	switch {
	case !va.Received.Equal(vb.Received):
		return va.Received.After(vb.Received)
	case a.Producer != b.Producer:
		return a.Producer > b.Producer
	}
	return a.Stock && !b.Stock
}

// foldState keeps the newest of m's lane, decides which lane counts, and
// brings the device up to date.
func (k *Known) foldState(ch *Changes, m *Message) {
	if !isLedger(m.Type) {
		ch.seen(m)
	}
	key := stateKey(m)
	lane := Lane{Producer: m.Producer, Stock: m.Sequence == 0}
	lanes := k.States[key]
	if lanes == nil {
		lanes = &Lanes{By: map[Lane]*Version{}}
		k.States[key] = lanes
	}
	v := &Version{
		Epoch: m.Epoch, Seq: m.Sequence, Incarnation: k.Cursors[m.Stream].Histories<<32 | m.Incarnation, StreamSeq: m.StreamSeq,
		Received: m.Received, Time: m.Made(), Since: m.Made(), Data: m.Data,
	}
	var beat *Heartbeat
	if m.Type == event.TypeSeen {
		var seen *event.Seen
		seen, beat = heartbeat(v)
		foldRuns(ch, m, seen, lanes.By[lane])
	}
	if !v.newer(lanes.By[lane], lane.Stock) {
		return
	}
	ch.touch(m, beat)
	if len(lanes.By) == 0 && (m.Type == event.TypeInterface || m.Type == event.TypeCheck) {
		ch.Parts[DeviceKey{m.Site, m.Entity.Device()}] = true
	}
	before := lanes.By[lanes.Winner]
	lanes.By[lane] = v
	ch.States[LaneKey{key, lane}] = v
	winner := lanes.best()
	lanes.Winner = winner
	ch.Winners[key] = winner
	now := lanes.By[winner]
	if m.Type == event.TypeReachability && before != nil && status(before) == status(now) && now != before {
		now.Since = before.Since
		ch.States[LaneKey{key, winner}] = now
	}
	ch.facet(key, winner, now)
}

func (l *Lanes) best() Lane {
	var best Lane
	var bv *Version
	for lane, v := range l.By {
		if bv == nil || beats(lane, v, best, bv) {
			best, bv = lane, v
		}
	}
	return best
}

func status(v *Version) string {
	var r event.Reachability
	if json.Unmarshal(v.Data, &r) != nil {
		return ""
	}
	return r.Status
}
