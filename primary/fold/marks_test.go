package fold

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Marks stay few, the newest is first, and there are some at every distance that is not
// small against the steps.
func TestMarks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m Marks
		seq := uint64(0)
		most := rapid.SampledFrom([]uint64{1, 2, 50, 1000}).Draw(t, "most")
		steps := rapid.IntRange(1, 3000).Draw(t, "steps")
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		for range steps {
			seq += 1 + random.Uint64N(most)
			m = m.Add(Mark{seq, seq * 7})
		}
		if m[0].Seq != seq || len(m) > 2*bits.Len64(seq)+1 {
			t.Fatalf("%d marks, the newest of %d: %v", len(m), seq, m)
		}
		for i := 1; i < len(m); i++ {
			if m[i].Seq >= m[i-1].Seq {
				t.Fatalf("not in order: %v", m)
			}
		}
		for d := 8 * most; 2*d <= seq; d *= 2 {
			if !slices.ContainsFunc(m, func(x Mark) bool { return seq-x.Seq >= d && seq-x.Seq < 2*d }) {
				t.Fatalf("none between %d and %d back from %d: %v", d, 2*d, seq, m)
			}
		}
		if diff := cmp.Diff(m, ParseMarks(m.Bytes())); diff != "" {
			t.Fatal(diff)
		}
		common := m[len(m)/2].Seq
		if up := m.upTo(common); up[0].Seq != common || len(up) != len(m)-len(m)/2 {
			t.Fatalf("up to %d: %v", common, up)
		}
	})
	if m := ParseMarks(make([]byte, 17)); m != nil {
		t.Errorf("half a mark is read as %v", m)
	}
}
