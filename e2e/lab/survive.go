package lab

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"strings"

	"midplane/event"
	"midplane/platform/node/blocks"
)

// survivor is what the only node that is left had: of each entity the number of the
// last event that it holds, and the last number that was acknowledged by then. What is
// between may be lost.
type survivor struct{ held, acked map[string]int }

// lost reports whether an event may be lost.
func (s *survivor) lost(entity string, n int) bool {
	return s != nil && n > s.held[entity] && n <= s.acked[entity]
}

// Keep notes what a node that is down has: all of it must be there in the end. Nothing
// is acknowledged until then, since two nodes are needed for that.
type Keep struct{ Who Who }

// Do notes.
func (f Keep) Do(ctx context.Context, w *World) error {
	return w.each(ctx, f.Who, "note what is left on", func(n string) error {
		out := &survivor{held: map[string]int{}}
		if err := storedEvents(w, n, func(entity string, number int) { out.held[entity] = max(out.held[entity], number) }); err != nil {
			return err
		}
		w.set.mu.Lock()
		out.acked = maps.Clone(w.set.acked)
		w.set.mu.Unlock()
		w.left = out
		return nil
	})
}

// Unread begins and ends a time in which the nodes are stopped one after the other, and
// the primary may not get all that is still acknowledged: a copy that is put back then
// takes that away.
type Unread struct{ Ends bool }

// Do notes what is acknowledged.
func (f Unread) Do(_ context.Context, w *World) error {
	w.set.mu.Lock()
	defer w.set.mu.Unlock()
	if f.Ends {
		w.left.acked = maps.Clone(w.set.acked)
		return nil
	}
	w.left = &survivor{held: maps.Clone(w.set.acked)}
	return nil
}

// storedEvents reads the workload's events in the files of a node that is down.
func storedEvents(w *World, node string, take func(entity string, n int)) error {
	found, err := blocks.Find(filepath.Join(w.DataDir(node), "jetstream", "jetstream"), "")
	if err != nil {
		return err
	}
	for _, r := range found {
		if r.Name != event.StreamEvents {
			continue
		}
		report, err := blocks.Read(r, func(m blocks.Message) {
			if entity, n, ok := parseID(idOf(m.Header)); ok {
				take(entity, n)
			}
		})
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", r.Name, err)
		case !report.Whole():
			return fmt.Errorf("%s: %v", r.Name, report.Damage)
		}
	}
	return nil
}

// problem is how status prints one.
var problem = regexp.MustCompile(`^\s+(emergency|alert|critical|error|warning): `)

// saysLost reports an error unless every replica is current, and status finds nothing
// wrong except that streams were put back: the primary may have read more than is left.
func saysLost(ctx context.Context, w *World) error {
	err := w.well(ctx)
	if err == nil {
		return nil
	}
	if whole := w.whole(ctx); whole != nil {
		return whole
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if problem.MatchString(line) && !strings.Contains(line, "put back to an older copy") {
			return err
		}
	}
	return nil
}
