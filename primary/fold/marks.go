package fold

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// Mark says which message a reader met at a sequence. Nodes that were put back to an
// older copy give the same sequences to other messages.
type Mark struct {
	Seq      uint64
	Identity uint64 // of the message; 0: there was none, or it is not known
}

// Marks are marks of one stream, newest first: at most two at distances from the newest
// of 1, of 2 to 3, of 4 to 7 and so on. So a few dozen reach back over everything that
// was read, and the farther back two histories part, the more is read again.
type Marks []Mark

// Add puts a newer mark in front and drops those that are too close to each other.
func (m Marks) Add(newest Mark) Marks {
	out := make(Marks, 1, len(m)+1)
	out[0] = newest
	last, run := 0, 0 // the class of the last one's distance, and how many of it are kept
	for _, old := range m {
		if old.Seq >= newest.Seq {
			continue
		}
		class := bits.Len64(newest.Seq - old.Seq)
		if class != last {
			last, run = class, 0
		}
		// The newest of a class, and the oldest, which is the next to leave it.
		if run == 2 {
			out[len(out)-1] = old
			continue
		}
		out = append(out, old)
		run++
	}
	return out
}

// upTo returns the marks up to a sequence.
func (m Marks) upTo(seq uint64) Marks {
	i := slices.IndexFunc(m, func(x Mark) bool { return x.Seq <= seq })
	if i < 0 {
		return nil
	}
	return slices.Clone(m[i:])
}

// Bytes encodes the marks: 16 bytes each.
func (m Marks) Bytes() []byte {
	b := make([]byte, 0, 16*len(m))
	for _, x := range m {
		b = binary.BigEndian.AppendUint64(b, x.Seq)
		b = binary.BigEndian.AppendUint64(b, x.Identity)
	}
	return b
}

// ParseMarks is the inverse of Marks.Bytes.
func ParseMarks(b []byte) (m Marks) {
	if len(b)%16 != 0 {
		return nil
	}
	for ; len(b) > 0; b = b[16:] {
		m = append(m, Mark{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])})
	}
	return m
}
