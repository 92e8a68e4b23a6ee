package registry

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go/jetstream"
	"pgregory.net/rapid"

	"midplane/telemetry"
)

// The index finds what looking at every key finds.
func TestKeyIndex(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x keyIndex
		keys := map[string]bool{}
		key := rapid.StringMatching(`(node|cursor|cursors)\.[ab]{1,2}(\.p[12])?`)
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			k := key.Draw(t, "key")
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				if !keys[k] {
					x.add(k)
				}
				keys[k] = true
			case 1:
				x.remove(k)
				delete(keys, k)
			case 2:
				prefix := k[:rapid.IntRange(0, len(k)).Draw(t, "length")]
				var want []string
				for other := range keys {
					if strings.HasPrefix(other, prefix) {
						want = append(want, other)
					}
				}
				slices.Sort(want)
				if diff := cmp.Diff(want, slices.Clone(x.with(prefix)), cmpopts.EquateEmpty()); diff != "" {
					t.Fatalf("%q: %s", prefix, diff)
				}
			}
		}
	})
}

// The log names every key that changed, or says that it does not know all; it
// knows at least the last half of what it may remember.
func TestChangeLog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c changeLog
		var list []string
		for i := range rapid.IntRange(0, 3*maxChanges).Draw(t, "changes") {
			list = append(list, string(rune('a'+i%7)))
			c.note(list[i])
		}
		if c.count() != uint64(len(list)) {
			t.Fatalf("%d changes, want %d", c.count(), len(list))
		}
		after := rapid.IntRange(0, len(list)+1).Draw(t, "after")
		keys, all := c.since(uint64(after))
		if all {
			if after <= len(list) && after+maxChanges/2 > len(list) {
				t.Fatalf("of %d changes those after %d are forgotten", len(list), after)
			}
			return
		}
		want := slices.Compact(slices.Sorted(slices.Values(list[after:])))
		if diff := cmp.Diff(want, keys, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}

// late is an entry as a watch delivers it.
type late struct {
	jetstream.KeyValueEntry
	key      string
	revision uint64
}

func (e late) Key() string                     { return e.key }
func (e late) Value() []byte                   { return []byte("{}") }
func (e late) Revision() uint64                { return e.revision }
func (e late) Created() time.Time              { return time.Time{} }
func (e late) Operation() jetstream.KeyValueOp { return jetstream.KeyValuePut }

// A watch that begins again delivers late what the one before it did not, with a
// revision below the newest; and what is gone by then has no revision at all.
func TestSinceNamesWhatComesLate(t *testing.T) {
	m := NewMirror(nil, nil, telemetry.Nop())
	m.apply(late{key: "tenant.a", revision: 1}, true)
	m.apply(late{key: "tenant.c", revision: 9}, true)
	m.initialDone(map[string]bool{"tenant.a": true, "tenant.c": true}, 9)
	_, n, _ := m.Since(0)
	m.apply(late{key: "tenant.b", revision: 5}, true)
	m.initialDone(map[string]bool{"tenant.b": true, "tenant.c": true}, 9)
	keys, _, all := m.Since(n)
	if want := []string{"tenant.a", "tenant.b"}; all || !slices.Equal(keys, want) {
		t.Errorf("%v, want %v", keys, want)
	}
}

// Live nodes come in the order of their names, every time.
func TestLiveNodesAreInOrder(t *testing.T) {
	r := &Registry{Status: NewMirror(nil, nil, telemetry.Nop())}
	var want []string
	for i := range 9 {
		name := string(rune('a' + i))
		want = append(want, name)
		r.Status.entries["node."+name] = Entry{Key: "node." + name, Value: []byte(`{"name":"` + name + `"}`), Seen: time.Now()}
		r.Status.keys.add("node." + name)
	}
	for range 20 {
		var got []string
		for _, n := range r.LiveNodes() {
			got = append(got, n.Name)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	}
}
