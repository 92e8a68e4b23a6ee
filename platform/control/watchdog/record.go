package watchdog

import (
	"context"
	"fmt"
	"time"

	"midplane/api"
	"midplane/platform/registry"
)

// backFor is how long a node has a quorum again before that is recorded: the audit
// log's stream elects a leader then, too.
const backFor = 10 * time.Second

// quorum records, once it is over, that this node was without a quorum for longer than
// an election takes.
func (w *Watchdog) quorum(ctx context.Context, now time.Time) {
	has := w.cfg.Server.Meta().Quorum && registry.Stores(w.cfg.Registry, w.cfg.Node)
	switch {
	case !has && w.lost.IsZero():
		w.lost = now
	case !has:
		w.back = time.Time{}
	case w.lost.IsZero():
	case w.back.IsZero():
		w.back = now
	case now.Sub(w.back) >= backFor:
		if w.back.Sub(w.lost) >= raiseAfter {
			w.cfg.Audit.Record(ctx, api.AuditRecord{Verb: "quorum.lost", Target: w.cfg.Node, Detail: fmt.Sprintf("node %s was without a quorum from %s to %s", w.cfg.Node, stamp(w.lost), stamp(w.back))})
		}
		w.lost, w.back = time.Time{}, time.Time{}
	}
}

// disks records which nodes cannot write to their disks any more, and which can again.
func (w *Watchdog) disks(ctx context.Context) {
	for name, n := range w.cfg.Registry.Nodes() {
		full := n.Value.OutOfStorage
		if full == w.full[name] || !full && !registry.Alive(n) {
			continue
		}
		w.full[name] = full
		rec := api.AuditRecord{Verb: "storage.out", Target: name, Detail: "node " + name + " can no longer write to its disk, and has ended"}
		if !full {
			rec.Verb, rec.Detail = "storage.back", "node "+name+" writes to its disk again"
		}
		w.cfg.Audit.Record(ctx, rec)
	}
}
