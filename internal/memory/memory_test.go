package memory

import (
	"fmt"
	"runtime"
	"runtime/metrics"
	"sync"
	"testing"
	"time"

	"midplane/internal/testwait"
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
	release(rounds)
	base := resident()
	pool := sync.Pool{}
	const size, n = 256 << 10, 400
	for range n {
		b := make([]byte, size)
		owner := new([64]byte)
		runtime.AddCleanup(owner, func(b []byte) { pool.Put(&b) }, b)
	}
	// What a cleanup puts into the pool comes when the runtime gets to it.
	testwait.Until(t, "the pool's buffers are given back", func() error {
		release(rounds)
		if left := resident(); left > base+size*n/8 {
			return fmt.Errorf("%d MB in use, %d before", left>>20, base>>20)
		}
		return nil
	})
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
