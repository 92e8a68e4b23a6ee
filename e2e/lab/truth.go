package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"midplane/internal/wait"
)

// truth is what was wrong with the nodes, and when. The laboratory knows it without
// asking the system: it looks at processes and links.
type truth struct {
	mu     sync.Mutex
	spells []spell
}

// spell is a time in which the same was wrong.
type spell struct {
	from, to time.Time // to is zero while it lasts
	what     string
}

// watch looks until ctx ends.
func (t *truth) watch(ctx context.Context, w *World) error {
	for ctx.Err() == nil {
		t.note(ill(w), time.Now())
		_ = wait.For(ctx, 50*time.Millisecond) // the loop ends with it
	}
	return nil
}

func (t *truth) note(what string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.spells); n > 0 && t.spells[n-1].to.IsZero() {
		if t.spells[n-1].what == what {
			return
		}
		t.spells[n-1].to = now
	}
	if what != "" {
		t.spells = append(t.spells, spell{from: now, what: what})
	}
}

// all returns the spells so far, and as one those that follow each other without a break.
func (t *truth) all() (out []spell) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.spells {
		if n := len(out); n > 0 && out[n-1].to.Equal(s.from) {
			out[n-1].to = s.to
			out[n-1].what += ", then " + s.what
			continue
		}
		out = append(out, s)
	}
	return out
}

// ill says which nodes are down, stand still, or are cut off; "" when none is.
func ill(w *World) string {
	var out []string
	for _, n := range w.sys.Nodes {
		p := w.sys.Process(n)
		switch {
		case p == nil:
			out = append(out, n+" is down")
		case stopped(p.Pid()):
			out = append(out, n+" stands still")
		case isCutOff(w, n):
			out = append(out, n+" is cut off")
		}
	}
	return strings.Join(out, ", ")
}

// stopped reports whether a process is stopped by a signal.
func stopped(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, found := bytes.Cut(data, []byte(") "))
	return err == nil && found && bytes.HasPrefix(rest, []byte("T"))
}

// isCutOff reports whether a node gets nothing from any other, or sends nothing to any.
func isCutOff(w *World, node string) bool {
	var gets, sends []bool
	w.network(node, func(in, out *direction) {
		gets, sends = append(gets, in.silent.Load()), append(sends, out.silent.Load())
	})
	return !slices.Contains(gets, false) || !slices.Contains(sends, false)
}

// aftermath is how long after a fault what it stirred up may still be at work.
const aftermath = 15 * time.Second

// calm reports whether no node was ill at a time, or shortly before it or after it.
func (t *truth) calm(at time.Time) bool {
	for _, s := range t.all() {
		if s.from.Before(at.Add(time.Second)) && (s.to.IsZero() || s.to.Add(aftermath).After(at)) {
			return false
		}
	}
	return true
}
