// Package memory gives memory back to the machine when a process that was busy has
// gone quiet. The collector runs when as much was allocated as is in use, so what a
// burst of work has left stays for as long as little is done: tenants that were
// brought in leave buffers of the embedded server, which are most of its memory. It
// touches the process' own heap and nothing else.
package memory

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"midplane/internal/wait"
)

const (
	lookEvery = 10 * time.Second
	// calm is how long what is in use must take to be allocated once more for the
	// process to be quiet: then the collector would not run for as long either.
	calm = time.Minute
	// least is what must have been allocated for it to be worth looking for garbage.
	least = 64 << 20
	// After a burst, which is burst times what is in use, a release takes so many
	// rounds of collection at most: a buffer of a pool is only free after two, and
	// what is kept by a weak pointer is in a pool after one.
	burst  = 3
	rounds = 4
)

// sample is the heap at one look, in bytes.
type sample struct {
	allocated uint64 // since the start
	live      uint64 // what the last collection found in use
}

// keeper decides when memory is given back.
type keeper struct {
	last     sample
	released uint64 // allocated at the last release
}

// due returns how many rounds of collection are to be made now, d after the look
// before: none unless the process is quiet, and has allocated half of what it uses
// since the last time.
func (k *keeper) due(s sample, d time.Duration) int {
	recently := s.allocated - k.last.allocated
	k.last = s
	use := max(s.live, least)
	quiet := float64(recently)*calm.Seconds() < float64(use)*d.Seconds()
	since := s.allocated - k.released
	if !quiet || since < use/2 {
		return 0
	}
	k.released = s.allocated
	if since < burst*use {
		return 1
	}
	return rounds
}

// Run gives memory back until ctx ends.
func Run(ctx context.Context) error {
	var k keeper
	for began := time.Now(); wait.For(ctx, lookEvery) == nil; began = time.Now() {
		if n := k.due(look(), time.Since(began)); n > 0 {
			release(n)
			k.last = look() // collecting allocates little, but takes time
		}
	}
	return nil
}

func look() sample {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return sample{allocated: s[0].Value.Uint64(), live: s[1].Value.Uint64()}
}

// release collects until little more is found, most times at most, and gives back
// what is free.
func release(most int) {
	for range most - 1 {
		before := look().live
		runtime.GC()
		if after := look().live; after > before-before/20 {
			break
		}
	}
	debug.FreeOSMemory()
}
