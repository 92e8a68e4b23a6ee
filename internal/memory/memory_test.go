package memory

import (
	"runtime"
	"runtime/metrics"
	"sync"
	"testing"
	"time"
)

func TestDue(t *testing.T) {
	const mb = 1 << 20
	var k keeper
	for _, step := range []struct {
		what            string
		allocated, live uint64
		want            int
	}{
		{"a burst", 2000 * mb, 500 * mb, 0},
		{"it goes on", 2200 * mb, 500 * mb, 0},
		{"it is over", 2210 * mb, 500 * mb, rounds},
		{"quiet", 2220 * mb, 200 * mb, 0},
		{"still", 2240 * mb, 200 * mb, 0},
		{"half of what is in use was allocated", 2312 * mb, 440 * mb, 0},
		{"and a little more", 2440 * mb, 440 * mb, 0},
		{"more slowly", 2441 * mb, 440 * mb, 1},
		{"busy: the collector runs by itself", 4441 * mb, 440 * mb, 0},
	} {
		if got := k.due(sample{allocated: step.allocated, live: step.live}, 10*time.Second); got != step.want {
			t.Errorf("%s: %d", step.what, got)
		}
	}
}

// A small process is left alone until it has allocated what is worth a collection.
func TestSmallProcess(t *testing.T) {
	k := keeper{}
	if k.due(sample{allocated: least/2 - 1, live: 1 << 20}, time.Hour) > 0 {
		t.Error("little was allocated")
	}
	if k.due(sample{allocated: least, live: 1 << 20}, time.Hour) == 0 {
		t.Error("much was allocated, slowly")
	}
}

// What a pool holds, and what a weak pointer puts into it, is given back as well.
func TestReleaseEmptiesPools(t *testing.T) {
	pool := sync.Pool{}
	const size, n = 256 << 10, 400
	for range n {
		b := make([]byte, size)
		owner := new([64]byte)
		runtime.AddCleanup(owner, func(b []byte) { pool.Put(&b) }, b)
	}
	before := resident()
	release(rounds)
	if got := before - resident(); got < size*n/2 {
		t.Errorf("of %d MB in use before %d MB were given back", before>>20, got>>20)
	}
}

// resident is what the heap has of the machine.
func resident() (n int64) {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}}
	metrics.Read(s)
	for _, v := range s {
		n += int64(v.Value.Uint64())
	}
	return n
}
