package specs

import (
	"context"
	"log/slog"
	"time"

	"midplane/fault"
	"midplane/internal/wait"
	"midplane/platform/registry"
)

// Collector deletes parts that no spec names any more, and no record of what was
// declared. Only the leader runs one.
type Collector struct {
	Registry *registry.Registry
	Every    time.Duration // how often it looks
	Kept     time.Duration // how long a part must have been unnamed before its eyes
	Log      *slog.Logger

	since map[string]unnamed
}

// unnamed is since when a part has been seen without a name. One that is stored
// again has another revision, and is new.
type unnamed struct {
	revision uint64
	at       time.Time
}

// Run collects until ctx ends.
func (c *Collector) Run(ctx context.Context) {
	for wait.For(ctx, c.Every) == nil {
		if err := c.collect(ctx, time.Now()); err != nil && ctx.Err() == nil {
			c.Log.Warn("parts of specs that are not used any more stay for now", "error", err)
		}
	}
}

func (c *Collector) collect(ctx context.Context, now time.Time) error {
	// An old copy does not know what a newer head names.
	if err := c.Registry.Fresh(ctx); err != nil {
		return err
	}
	if err := c.Registry.FreshStatus(ctx); err != nil {
		return err
	}
	seen := map[string]unnamed{}
	for key, revision := range c.Registry.UnnamedParts() {
		u := c.since[key]
		if u.revision != revision {
			u = unnamed{revision, now}
		}
		if now.Sub(u.at) < c.Kept {
			seen[key] = u
			continue
		}
		// By compare-and-set: a part that is stored again at this moment stays.
		if err := c.Registry.Specs.DropPart(ctx, key, revision); err != nil && !fault.Is(err, fault.Conflict) {
			return err
		}
	}
	c.since = seen
	return nil
}
