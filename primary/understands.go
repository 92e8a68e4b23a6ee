package primary

import (
	"context"
	"time"

	"midplane/api"
	"midplane/internal/wait"
	"midplane/schemas/catalog"
)

// How often a primary reports what it understands, and how long one answer may take.
const (
	understandsEvery  = 20 * time.Second
	understandsWithin = 5 * time.Second
)

// reportUnderstands reports once what this primary understands. Nodes of v0.1.0
// do not serve it: then it is taken to understand what they do.
func (p *Primary) reportUnderstands(ctx context.Context, core *api.Core) {
	ctx, cancel := context.WithTimeout(ctx, understandsWithin)
	defer cancel()
	u := api.Understands{Version: p.cfg.Version, Formats: api.CurrentFormats(), Types: catalog.Versions()}
	if err := core.Do(ctx, api.CoreUnderstands, u, nil); err != nil {
		p.tel.Log.Debug("what this primary understands is not reported", "error", err)
	}
}

// keepReporting repeats it, since the nodes may all have been of an older version.
func (p *Primary) keepReporting(ctx context.Context, core *api.Core) error {
	for wait.For(ctx, understandsEvery) == nil {
		p.reportUnderstands(ctx, core)
	}
	return nil
}
