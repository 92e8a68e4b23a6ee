package repair

import (
	"midplane/event"
	"midplane/primary/fold"
	"midplane/primary/store"
)

// outcome is what a comparison came to.
type outcome string

const (
	equal     outcome = "equal"     // the store has what the heartbeat says, and nothing else
	different outcome = "different" // it has not
	// unsettled: a state is newer than the heartbeat. The next heartbeat says more.
	unsettled outcome = "unsettled"
	gone      outcome = "gone" // there is no heartbeat: the device was removed
)

// compare compares the states of a device and its parts, as one producer's outbox
// sent them, with the newest heartbeat among them, which it returns. When that
// heartbeat is what counts of the device, its states must be, too: a poller that
// watched the device before may have sent an older one of its own afterwards.
func compare(device event.Entity, states []store.State) (outcome, fold.Heartbeat) {
	var beat *store.State
	for i, s := range states {
		if s.Type == event.TypeSeen && s.Entity == device {
			beat = &states[i]
		}
	}
	if beat == nil {
		return gone, fold.Heartbeat{}
	}
	h, ok := fold.ReadHeartbeat(beat.Version)
	if !ok {
		return gone, fold.Heartbeat{}
	}
	var sum event.Digest
	n := 0
	for _, s := range states {
		if !event.InDigest(s.Type) {
			continue
		}
		if event.Newer(s.Epoch, s.Seq, beat.Epoch, beat.Seq) {
			return unsettled, h
		}
		if s.Epoch != h.Epoch || h.From == 0 || s.Seq < h.From {
			continue // of an outbox that is gone, or of a part that is
		}
		if beat.Winner && !s.Winner {
			return different, h // another poller's was stored later: only when it comes again it counts
		}
		n++
		sum = sum.Add(event.DigestOf(s.Entity, s.Type, s.Data))
	}
	if n == h.States && sum.String() == h.Digest {
		return equal, h
	}
	return different, h
}
