package fold

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Marks stay few, the newest is first, and for any place at which histories may part
// the newest mark before it is not much farther away than the place is from the end.
func TestMarks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m Marks
		seq := uint64(0)
		steps := rapid.SliceOfN(rapid.Uint64Range(1, 1000), 1, 2000).Draw(t, "steps")
		for _, d := range steps {
			seq += d
			m = m.Add(Mark{seq, seq * 7})
		}
		if m[0].Seq != seq || len(m) > 24 {
			t.Fatalf("%d marks, the newest of %d: %v", len(m), seq, m)
		}
		for i := 1; i < len(m); i++ {
			if m[i].Seq >= m[i-1].Seq {
				t.Fatalf("not in order: %v", m)
			}
			near, far := seq-m[i-1].Seq, seq-m[i].Seq
			if far > 4*near+2000 {
				t.Fatalf("from %d back to %d: %v", near, far, m)
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
