package lab

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"midplane/internal/testcluster"
)

const (
	baseline = "baseline"
	primary  = "primary"
	// cooling is how long it may take until what the work needed is given back: the
	// consumers of readers that are gone live for 30 s.
	cooling = 75 * time.Second
	// How much more than before the work there may be in the end: goroutines of all
	// processes together, files and bytes of each. What a run stores stays: ids of the
	// duplicate window, indexes, rows of the primary.
	moreGoroutines = 40
	moreFiles      = 25
	moreHeap       = 48 << 20
)

// Baseline compares what nodes and primary use before the work and after it.
type Baseline struct {
	before map[string]footprint
}

// footprint is what a process uses.
type footprint struct {
	goroutines, files int
	heap              uint64         // bytes, after a garbage collection
	where             map[string]int // goroutines by the function that they wait in
}

func (f footprint) String() string {
	return fmt.Sprintf("%d goroutines, %d files, %.0f MiB", f.goroutines, f.files, float64(f.heap)/(1<<20))
}

// Name is the workload's.
func (b *Baseline) Name() string { return baseline }

// Declare has the processes serve their profiles.
func (b *Baseline) Declare(w *World) {
	w.flags = append(slices.Clone(w.flags), "--pprof", "127.0.0.1:0")
	w.primaryFlags = append(w.primaryFlags, "--pprof", "127.0.0.1:0")
}

// Before measures before there is any work.
func (b *Baseline) Before(ctx context.Context, w *World) (err error) {
	b.before, err = footprints(ctx, w.sys)
	return err
}

// Run does nothing.
func (b *Baseline) Run(context.Context, *World) error { return nil }

// Judge waits until the processes use no more than they did.
func (b *Baseline) Judge(ctx context.Context, w *World) (p Part) {
	wait, cancel := context.WithTimeout(ctx, cooling)
	defer cancel()
	var after map[string]footprint
	if err := w.sys.Await(wait, func(ctx context.Context) error {
		now, err := footprints(ctx, w.sys)
		if err != nil {
			return err
		}
		after = now
		if p = back(b.before, after); len(p.Findings) > 0 {
			time.Sleep(time.Second) // each look costs every process a garbage collection
			return fmt.Errorf("%d findings", len(p.Findings))
		}
		return nil
	}); err != nil && after == nil {
		p.find("%v", err)
	}
	return p
}

// back holds what processes use against what they used before.
func back(before, after map[string]footprint) (p Part) {
	var figures []string
	for _, name := range slices.Sorted(maps.Keys(before)) {
		was, is := before[name], after[name]
		figures = append(figures, fmt.Sprintf("%s %s, then %s", name, was, is))
		switch {
		case is.goroutines == 0:
			p.find("%s was not measured again", name)
		case is.files > was.files+moreFiles:
			p.find("%s has %d files open, %d before", name, is.files, was.files)
		case is.heap > was.heap+moreHeap:
			p.find("%s has %d MiB of heap, %d before", name, is.heap>>20, was.heap>>20)
		}
	}
	p.Figures = strings.Join(figures, "; ")
	// Who leads the control plane is connected to every tenant, and another one may lead
	// now: what counts is what all have together.
	if was, is := together(before), together(after); is.goroutines > was.goroutines+moreGoroutines {
		p.find("all have %d goroutines, %d before; most of the others in %s", is.goroutines, was.goroutines, grown(was.where, is.where))
	}
	return p
}

// together adds up what processes use.
func together(all map[string]footprint) footprint {
	sum := footprint{where: map[string]int{}}
	for _, f := range all {
		sum.goroutines += f.goroutines
		sum.files += f.files
		sum.heap += f.heap
		for name, n := range f.where {
			sum.where[name] += n
		}
	}
	return sum
}

// footprints measures every node and the primary.
func footprints(ctx context.Context, d *testcluster.Deployment) (map[string]footprint, error) {
	out := map[string]footprint{}
	for _, name := range append(slices.Clone(d.Nodes), primary) {
		f, err := footprintOf(ctx, d, name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out[name] = f
	}
	return out, nil
}

var (
	profilesAt = regexp.MustCompile(`http://127\.0\.0\.1:\d+/debug/pprof/`)
	goroutines = regexp.MustCompile(`goroutine profile: total (\d+)`)
	inFrame    = regexp.MustCompile(`(?m)^#\t0x[0-9a-f]+\t(\S+?)\+0x`)
	heapAlloc  = regexp.MustCompile(`# HeapAlloc = (\d+)`)
)

func footprintOf(ctx context.Context, d *testcluster.Deployment, name string) (f footprint, err error) {
	p := d.Process(name)
	if p == nil {
		return f, fmt.Errorf("it does not run")
	}
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.Pid()))
	if err != nil {
		return f, err
	}
	log, err := os.ReadFile(filepath.Join(d.Dir, name+".log"))
	if err != nil {
		return f, err
	}
	at := profilesAt.FindAll(log, -1)
	if len(at) == 0 {
		return f, fmt.Errorf("its log names no address of profiles")
	}
	url := string(at[len(at)-1]) // of the process that runs now
	page, err := fetch(ctx, url+"heap?gc=1&debug=1")
	if err != nil {
		return f, err
	}
	heap, err := number(page, heapAlloc)
	if err != nil {
		return f, err
	}
	if page, err = fetch(ctx, url+"goroutine?debug=1"); err != nil {
		return f, err
	}
	count, err := number(page, goroutines)
	return footprint{goroutines: int(count), files: len(open), heap: heap, where: places(string(page))}, err
}

// places counts goroutines by the innermost function that is not the runtime's.
func places(page string) map[string]int {
	out := map[string]int{}
	for _, stack := range strings.Split(page, "\n\n") {
		head, lines, _ := strings.Cut(stack, " @ ")
		n, err := strconv.Atoi(head[strings.LastIndexByte(head, '\n')+1:])
		if err != nil {
			continue
		}
		for _, frame := range inFrame.FindAllStringSubmatch(lines, -1) {
			if !strings.HasPrefix(frame[1], "runtime.") && !strings.HasPrefix(frame[1], "internal/") && !strings.HasPrefix(frame[1], "sync.") {
				out[frame[1]] += n
				break
			}
		}
	}
	return out
}

// grown says in which functions there are more than before, the first five.
func grown(was, is map[string]int) string {
	where := slices.SortedFunc(maps.Keys(is), func(a, b string) int { return is[b] - was[b] - (is[a] - was[a]) })
	var out []string
	for _, name := range where[:min(5, len(where))] {
		out = append(out, fmt.Sprintf("%s (%+d)", name, is[name]-was[name]))
	}
	return strings.Join(out, ", ")
}

// number is the number that a pattern finds on a page.
func number(page []byte, pattern *regexp.Regexp) (uint64, error) {
	found := pattern.FindSubmatch(page)
	if found == nil {
		return 0, fmt.Errorf("%.100q has no %s", page, pattern)
	}
	return strconv.ParseUint(string(found[1]), 10, 64)
}

func fetch(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}
