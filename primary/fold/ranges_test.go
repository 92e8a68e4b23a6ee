package fold

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Ranges behave as a set of numbers, in one canonical form.
func TestRangesAreASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r, other Ranges
		in, inOther := map[uint64]bool{}, map[uint64]bool{}
		for range rapid.IntRange(0, 60).Draw(t, "adds") {
			from := rapid.Uint64Range(0, 50).Draw(t, "from")
			to := from + rapid.Uint64Range(0, 5).Draw(t, "size")
			set, model := &r, in
			if rapid.Bool().Draw(t, "other") {
				set, model = &other, inOther
			}
			set.Add(from, to)
			for i := from; i <= to; i++ {
				model[i] = true
			}
		}
		for i, x := range r {
			if x.To < x.From || i > 0 && x.From <= r[i-1].To+1 {
				t.Fatalf("not canonical: %v", r)
			}
		}
		for i := uint64(0); i <= 60; i++ {
			if r.Has(i) != in[i] {
				t.Fatalf("Has(%d) = %v in %v", i, r.Has(i), r)
			}
		}
		back, err := ParseRanges(r.Bytes())
		if err != nil || !cmp.Equal(back, r) && len(r)+len(back) > 0 {
			t.Fatalf("round trip of %v: %v, %v", r, back, err)
		}
		from := rapid.Uint64Range(0, 60).Draw(t, "askFrom")
		to := rapid.Uint64Range(0, 60).Draw(t, "askTo")
		missing := Missing(nil, from, to, r, other)
		for i := uint64(0); i <= 61; i++ {
			want := i >= from && i <= to && !in[i] && !inOther[i]
			if missing.Has(i) != want {
				t.Fatalf("Missing(%d, %d, %v, %v) = %v: wrong at %d", from, to, r, other, missing, i)
			}
		}
		cut := rapid.Uint64Range(0, 60).Draw(t, "cut")
		r.cut(cut)
		for i := uint64(0); i <= 60; i++ {
			if r.Has(i) != (in[i] && i >= cut) {
				t.Fatalf("after cut(%d): Has(%d) = %v in %v", cut, i, r.Has(i), r)
			}
		}
	})
}

func TestRangesAtTheEnds(t *testing.T) {
	const top = ^uint64(0)
	var r Ranges
	r.Add(top, top)
	r.Add(0, 0)
	r.Add(5, 4) // empty
	if want := (Ranges{{0, 0}, {top, top}}); !cmp.Equal(r, want) {
		t.Fatalf("got %v, want %v", r, want)
	}
	if got := Missing(nil, 0, top, r); !cmp.Equal(got, Ranges{{1, top - 1}}) {
		t.Fatalf("missing %v", got)
	}
	r.Add(1, top)
	if want := (Ranges{{0, top}}); !cmp.Equal(r, want) {
		t.Fatalf("got %v, want %v", r, want)
	}
	back, err := ParseRanges(r.Bytes())
	if err != nil || !cmp.Equal(back, r) {
		t.Fatalf("round trip: %v, %v", back, err)
	}
}

// Damaged bytes are an error, never a set that is not canonical in order.
func FuzzParseRanges(f *testing.F) {
	f.Add(Ranges{{1, 5}, {9, 9}}.Bytes())
	f.Add([]byte{0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRanges(b)
		if err != nil {
			return
		}
		for i, x := range r {
			if x.To < x.From || i > 0 && x.From < r[i-1].To {
				t.Fatalf("%x: %v", b, r)
			}
		}
	})
}
