package fold

import (
	"encoding/binary"
	"slices"
	"sort"

	"midplane/fault"
)

// Range is the sequences From to To, both included.
type Range struct{ From, To uint64 }

// Ranges is a set of sequences: sorted, disjoint and never adjacent, so that
// a set has exactly one form. A producer that loses nothing is one Range.
type Ranges []Range

// at returns the index of the first range that ends at or after seq.
func (r Ranges) at(seq uint64) int {
	return sort.Search(len(r), func(i int) bool { return r[i].To >= seq })
}

// Has reports whether seq is in the set.
func (r Ranges) Has(seq uint64) bool {
	i := r.at(seq)
	return i < len(r) && r[i].From <= seq
}

// Add puts from…to into the set. An empty range (to < from) adds nothing.
func (r *Ranges) Add(from, to uint64) {
	s := *r
	if to < from {
		return
	}
	if n := len(s); n > 0 && from > s[n-1].To && from-1 == s[n-1].To { // the usual case: the next one
		s[n-1].To = to
		return
	}
	// Everything that overlaps or touches from…to becomes one range.
	lo := 0
	if from > 0 {
		lo = s.at(from - 1)
	}
	hi := lo
	for hi < len(s) && (to == ^uint64(0) || s[hi].From <= to+1) {
		from, to = min(from, s[hi].From), max(to, s[hi].To)
		hi++
	}
	*r = slices.Replace(s, lo, hi, Range{from, to})
}

// Remove takes from…to out of the set.
func (r *Ranges) Remove(from, to uint64) {
	s := *r
	var out Ranges
	for _, x := range s {
		if x.To < from || x.From > to {
			out = append(out, x)
			continue
		}
		if x.From < from {
			out = append(out, Range{x.From, from - 1})
		}
		if x.To > to {
			out = append(out, Range{to + 1, x.To})
		}
	}
	*r = out
}

// Count is how many sequences are in the set.
func (r Ranges) Count() (n uint64) {
	for _, x := range r {
		n += x.To - x.From + 1
	}
	return n
}

// Missing appends to out what of from…to is in none of the sets.
func Missing(out Ranges, from, to uint64, sets ...Ranges) Ranges {
	for next := from; next <= to; {
		end, held := to, false
		for _, s := range sets {
			i := s.at(next)
			if i == len(s) {
				continue
			}
			if s[i].From <= next {
				if s[i].To >= to {
					return out
				}
				next, held = s[i].To+1, true
				break
			}
			end = min(end, s[i].From-1)
		}
		if held {
			continue
		}
		out.Add(next, end)
		if end == to {
			return out
		}
		next = end + 1
	}
	return out
}

// cut drops everything below seq.
func (r *Ranges) cut(seq uint64) {
	s := *r
	i := s.at(seq)
	s = slices.Delete(s, 0, i)
	if len(s) > 0 && s[0].From < seq {
		s[0].From = seq
	}
	*r = s
}

// Bytes encodes the set, compactly: varint distances. Nil for the empty set.
func (r Ranges) Bytes() []byte {
	if len(r) == 0 {
		return nil
	}
	b := make([]byte, 0, len(r)*4+8)
	last := uint64(0)
	for _, x := range r {
		b = binary.AppendUvarint(b, x.From-last)
		b = binary.AppendUvarint(b, x.To-x.From)
		last = x.To
	}
	return b
}

// ParseRanges is the inverse of Ranges.Bytes.
func ParseRanges(b []byte) (Ranges, error) {
	var r Ranges
	last := uint64(0)
	for len(b) > 0 {
		gap, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, fault.New(fault.Other, "ledger ranges are damaged")
		}
		b = b[n:]
		size, n := binary.Uvarint(b)
		if n <= 0 || last+gap < last || last+gap+size < last {
			return nil, fault.New(fault.Other, "ledger ranges are damaged")
		}
		b = b[n:]
		x := Range{last + gap, last + gap + size}
		r = append(r, x)
		last = x.To
	}
	return r, nil
}
