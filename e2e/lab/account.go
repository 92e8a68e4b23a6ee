package lab

import (
	"encoding/json"
	"fmt"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/poller/outbox"
)

// account is what became of the messages of one stream of a poller.
type account struct {
	epoch int64
	lane  outbox.LaneStats // as the outbox has it: all up to Low are acknowledged or given up
	times map[uint64]int   // how often each sequence is stored
	high  uint64           // the highest of them
	quiet map[uint64]bool  // the ledger's own messages, which no log shows
	gone  map[uint64]bool  // given up on purpose, with a tombstone
	last  map[event.Entity]uint64
	bad   []string
}

func newAccount(epoch int64, lane outbox.LaneStats) *account {
	return &account{epoch: epoch, lane: lane, times: map[uint64]int{}, quiet: map[uint64]bool{}, gone: map[uint64]bool{}, last: map[event.Entity]uint64{}}
}

// add takes what is stored, in the stream's order.
func (a *account) add(e event.Event) {
	if e.Epoch != a.epoch {
		a.bad = append(a.bad, fmt.Sprintf("a message of epoch %d, the outbox has %d all along", e.Epoch, a.epoch))
		return
	}
	a.times[e.Sequence]++
	a.high = max(a.high, e.Sequence)
	if e.Type == event.TypeLedgerEvent || e.Type == event.TypeLedgerState || e.Type == event.TypeLedgerMetric {
		a.quiet[e.Sequence] = true
		var l event.Ledger
		if err := json.Unmarshal(e.Data, &l); err != nil {
			a.bad = append(a.bad, fmt.Sprintf("ledger %s: %v", e.Data, err))
		}
		for _, t := range l.Tombstones {
			for seq := t.From; seq <= t.To; seq++ {
				a.gone[seq] = true
			}
		}
		return
	}
	// A metric that was just taken does not wait for older ones of its entity.
	if last := a.last[e.Entity]; e.Sequence < last && a.lane.Stream != event.StreamMetrics {
		a.bad = append(a.bad, fmt.Sprintf("%s: after sequence %d comes %d", e.Entity, last, e.Sequence))
	}
	a.last[e.Entity] = e.Sequence
}

// judge: all that is acknowledged is stored once, or in a tombstone, and in order. STATE
// keeps the last of each subject only.
func (a *account) judge() (found []string) {
	for _, what := range a.bad {
		found = append(found, a.lane.Stream+": "+what)
	}
	if a.lane.Stream == event.StreamState {
		return found
	}
	for seq := uint64(1); seq <= max(a.lane.Low, a.high); seq++ {
		switch n := a.times[seq]; {
		case n > 1:
			found = append(found, fmt.Sprintf("%s: sequence %d is there %d times", a.lane.Stream, seq, n))
		case n == 0 && !a.gone[seq] && seq <= a.lane.Low:
			found = append(found, fmt.Sprintf("%s: sequence %d was acknowledged and is missing", a.lane.Stream, seq))
		}
	}
	return found
}

// inPrimary: the primary's log has each event once, and nothing that is not stored.
func (a *account) inPrimary(rows []api.Event) (found []string) {
	times := map[string]int{}
	total := 0
	for _, r := range rows {
		if r.Producer == pollerUser {
			times[r.ID]++
			total++
		}
	}
	want := 0
	for seq := range a.times {
		shown := 1
		if a.quiet[seq] {
			shown = 0
		}
		want += shown
		id := fmt.Sprintf("%s/%d/%s/%d", pollerUser, a.epoch, a.lane.Stream, seq)
		if got := times[id]; got != shown {
			found = append(found, fmt.Sprintf("primary: %s is there %d times, not %d", id, got, shown))
		}
	}
	if total != want && len(found) == 0 {
		found = append(found, fmt.Sprintf("primary: %d events of the poller, %d are stored", total, want))
	}
	return found
}

// inLedger: "get ledger" says of each stream what is true.
func inLedger(accounts map[string]*account, rows []api.Account) (found []string) {
	seen := map[string]bool{}
	for _, r := range rows {
		a := accounts[r.Stream]
		if r.Producer != pollerUser || a == nil || r.Epoch != a.epoch {
			continue
		}
		seen[r.Stream] = true
		switch {
		case r.Received != a.high:
			found = append(found, fmt.Sprintf("ledger: %s: received %d, the stream has %d", r.Stream, r.Received, a.high))
		case len(r.Missing) > 0:
			found = append(found, fmt.Sprintf("ledger: %s: missing %v, nothing is", r.Stream, r.Missing))
		case r.Acknowledged > a.lane.Low:
			found = append(found, fmt.Sprintf("ledger: %s: acknowledged %d, the outbox says %d", r.Stream, r.Acknowledged, a.lane.Low))
		case r.Stream != event.StreamState && r.GivenUp != uint64(len(a.gone)):
			found = append(found, fmt.Sprintf("ledger: %s: %d given up, %d tombstones", r.Stream, r.GivenUp, len(a.gone)))
		}
	}
	for stream, a := range accounts {
		if a.high > 0 && !seen[stream] {
			found = append(found, fmt.Sprintf("ledger: nothing of %s", stream))
		}
	}
	return found
}

// deadLetters holds the dead letters against what was refused, by payload. A door keeps
// a dead letter once and waits for no answer, so one may be lacking, but only of what was
// refused while a fault was at work; and where the answer was lost a message is refused,
// and kept, again.
func deadLetters(refused map[string]time.Time, dead map[string]int, calm func(time.Time) bool) (p Part) {
	again, without := 0, 0
	for id, at := range refused {
		switch n := dead[id]; {
		case n == 0 && calm(at):
			p.find("%s was refused in calm, and has no dead letter", id)
		case n == 0:
			without++
		default:
			again += n - 1
		}
	}
	for id := range dead {
		if _, ok := refused[id]; !ok {
			p.find("a dead letter of what was not refused: %s", id)
		}
	}
	p.Figures = fmt.Sprintf("%d broken refused, %d of them kept as dead letters (%d again, %d lost to a fault)", len(refused), len(refused)-without, again, without)
	return p
}
