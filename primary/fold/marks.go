package fold

import (
	"encoding/binary"
	"slices"
)

// Mark says which message a reader met at a sequence. Nodes that were put back to an
// older copy give the same sequences to other messages.
type Mark struct {
	Seq      uint64
	Identity uint64 // of the message; 0: there was none, or it is not known
}

// Marks are marks of one stream, newest first. Each is about twice as far from the
// newest as the one before, so that a few dozen reach back over everything that was
// read, and where two histories part is found to within that.
type Marks []Mark

// Add puts a newer mark in front and drops those that are too close to each other.
func (m Marks) Add(newest Mark) Marks {
	out := make(Marks, 1, len(m)+1)
	out[0] = newest
	next := uint64(1) // the least distance of the next one
	for _, old := range m {
		if d := newest.Seq - old.Seq; old.Seq < newest.Seq && d >= next {
			out = append(out, old)
			next = 2 * d
		}
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
