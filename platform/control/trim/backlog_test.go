package trim

import (
	"testing"

	"midplane/event"
	"midplane/streams"
)

// How much of a stream waits for one reader, and for whom.
func TestBacklogIsWhatTheSlowestReaderHasNotRead(t *testing.T) {
	hold := func(owner string, seq uint64) streams.Cursor {
		return streams.Cursor{Owner: owner, Seq: seq, Hold: true}
	}
	skip := streams.Cursor{Owner: "skipping", Seq: 0}
	at := func(bytes uint64, cursors ...streams.Cursor) streams.Trim {
		return streams.Trim{Kind: event.KindEvent, First: 101, Last: 200, Bytes: bytes, Share: 1000, Cursors: cursors}
	}
	dead := at(900)
	dead.Kind = event.KindDead
	empty := streams.Trim{Kind: event.KindEvent, First: 1, Last: 0, Share: 1000}
	for _, x := range []struct {
		what    string
		in      streams.Trim
		d       streams.Decision
		percent uint64
		owner   string
	}{
		{what: "empty", in: empty},
		{what: "without a limit", in: streams.Trim{Kind: event.KindEvent, First: 1, Last: 9, Bytes: 9}},
		{what: "no one reads", in: at(700), percent: 70, owner: "no reader: none is known yet"},
		{what: "no reader has to read dead letters", in: dead},
		{what: "all is read", in: at(900, hold("a", 200)), owner: "a"},
		{what: "read beyond the end", in: at(900, hold("a", 5000)), owner: "a"},
		{what: "half is read", in: at(900, hold("a", 150)), percent: 45, owner: "a"},
		{what: "nothing of it is read", in: at(900, hold("a", 3)), percent: 90, owner: "a"},
		{what: "the slowest counts", in: at(800, hold("a", 200), hold("b", 110)), percent: 72, owner: "b"},
		{what: "who does not hold does not count", in: at(800, hold("a", 200), skip), owner: "a"},
		{what: "too young to go", in: at(900, hold("a", 200)), d: streams.Decision{HeldBy: streams.HeldByWindow}, percent: 90, owner: streams.HeldByWindow},
		{what: "young, but there is room", in: at(700, hold("a", 200)), d: streams.Decision{HeldBy: streams.HeldByWindow}, owner: "a"},
	} {
		percent, owner := backlog(x.in, x.d)
		if percent != x.percent || owner != x.owner {
			t.Errorf("%s: %d %% held by %q, want %d %% by %q", x.what, percent, owner, x.percent, x.owner)
		}
	}
}
