package consume

import (
	"context"
	"encoding/binary"
	"hash/fnv"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/event"
	"midplane/primary/fold"
	"midplane/streams"
)

// identify tells a stored message from any other at the same sequence. The time at
// which it was stored, in nanoseconds, is part of it: all replicas have the same.
func identify(m *nats.Msg, stored time.Time) uint64 {
	h := fnv.New64a()
	for _, part := range []string{m.Subject, m.Header.Get(event.HeaderMsgID), m.Header.Get(event.HeaderID)} {
		_, _ = h.Write([]byte(part)) // it never fails
		_, _ = h.Write([]byte{0})
	}
	var at [8]byte
	binary.BigEndian.PutUint64(at[:], uint64(stored.UnixNano()))
	_, _ = h.Write(at[:])
	return max(h.Sum64(), 1) // 0 is none
}

// compareHistory finds out whether the stream still has what was read up to the
// cursor. It fills in e: the identity of the message at the cursor, or where another
// history parts from the one that was read. What was purged or superseded says
// nothing, and the mark before it is looked at.
func (r *reader) compareHistory(ctx context.Context, nc *nats.Conn, c fold.Cursor, e *fold.Extent) error {
	parted := false
	for i, mark := range append(fold.Marks{{Seq: c.Seq, Identity: c.Identity}}, c.Marks...) {
		known := mark.Identity != 0
		switch {
		case mark.Seq > e.Last:
			parted = parted || known
			continue
		case mark.Seq == 0 || i > 0 && (!known || mark.Seq == c.Seq):
			continue
		}
		m, _, stored, err := get(ctx, nc, r.stream, streams.Get{Seq: mark.Seq})
		if isNoMessage(err) {
			continue
		}
		if err != nil {
			return err
		}
		now := identify(m, stored)
		switch {
		case i == 0 && !known:
			e.Identity = now
		case now != mark.Identity:
			parted = true
		case parted:
			e.Parted = &mark
			return nil
		default:
			return nil
		}
	}
	if parted {
		e.Parted = &fold.Mark{}
	}
	return nil
}
