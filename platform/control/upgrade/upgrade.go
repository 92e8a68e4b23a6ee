// Package upgrade keeps what is stored and sent to what every program of the
// deployment understands while two versions run, and ends an upgrade: every live
// node and every registered primary counts, and the level that an operator ended the
// last upgrade at. Until that is raised, a node may go back to the version before. It
// may import registry and what is below it.
package upgrade

import (
	"context"
	"fmt"
	"strings"
	"time"

	"midplane/api"
	"midplane/fault"
	"midplane/platform/registry"
	"midplane/schemas/catalog"
)

// Mine is what this program understands.
func Mine(version string) api.Understands {
	return api.Understands{Version: version, Formats: api.CurrentFormats(), Types: catalog.Versions()}
}

// Room answers what is asked about the upgrade, on every node.
type Room struct {
	Registry *registry.Registry
	Mine     api.Understands
	// How long a poller and a primary may report nothing and still count as running.
	PollerSilent, PrimarySilent time.Duration
}

// Check refuses a node that understands less than what is in use: it would read
// wrongly what others store.
func (r Room) Check() error {
	level, _, err := r.Registry.Levels.Get()
	if err != nil || r.Mine.Covers(level.Understands) {
		return err
	}
	err = fault.New(fault.Conflict, "this version (%s) does not understand what the deployment uses: %s", r.Mine.Version, lacks(r.Mine, level.Understands))
	return fault.WithHint(err, "the upgrade was ended at %s by %s: start that version or a newer one", level.Ended.Format(time.RFC3339), level.By)
}

// lacks says what of want u does not understand.
func lacks(u, want api.Understands) string {
	var out []string
	for name, n := range want.Formats {
		if u.Formats.Number(name) < n {
			out = append(out, fmt.Sprintf("format %s %d", name, n))
		}
	}
	for t, n := range want.Types {
		if max(u.Types[t], 1) < n {
			out = append(out, fmt.Sprintf("version %d of %s", n, t))
		}
	}
	return strings.Join(out, ", ")
}

// Begin gives a deployment that was made by this version its level: with nothing
// stored, there is no version before to go back to. One that has anything keeps
// what it has. The leader calls it.
func (r Room) Begin(ctx context.Context) error {
	_, rev, err := r.Registry.Levels.Get()
	if err != nil || rev != 0 {
		return err
	}
	if len(r.Registry.View().Tenants) != 0 { // also those that are gone
		return nil
	}
	for _, n := range r.Registry.Nodes() {
		if !n.Value.Understands().Covers(r.Mine) {
			return nil
		}
	}
	_, err = r.Registry.Levels.Put(ctx, registry.Level{Understands: r.Mine, Ended: time.Now().UTC(), By: "the first start"}, 0)
	if fault.Is(err, fault.Conflict) {
		return nil // another node was faster
	}
	return err
}

// Understood keeps what a primary understands.
func (r Room) Understood(ctx context.Context, who string, u api.Understands) (any, error) {
	_, err := r.Registry.PutStatus(ctx, registry.PrimaryUnderstandsKey(who), u.KnownTo(r.Mine))
	return nil, err
}

// Watch ends with an error when an upgrade is ended to what this node does not
// understand, and with nil when ctx ends.
func (r Room) Watch(ctx context.Context) error {
	for {
		_, changed := r.Registry.Config.Revision()
		if err := r.Check(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// Forget removes a node that does not run, and will not again.
func (r Room) Forget(ctx context.Context, _ string, req api.NodeRef) (any, error) {
	if err := r.Registry.FreshStatus(ctx); err != nil {
		return nil, err
	}
	n, known := r.Registry.Nodes()[req.Node]
	switch {
	case !known:
		return nil, fault.WithHint(fault.New(fault.NotFound, "node %q is not known", req.Node), "see: midplane status")
	case registry.Alive(n):
		return nil, fault.WithHint(fault.New(fault.Conflict, "node %s is live", req.Node), "stop it first")
	}
	return nil, r.Registry.DropStatus(ctx, registry.NodeKey(req.Node))
}

// Status is which versions run, and what is next.
func (r Room) Status(context.Context, string, struct{}) (any, error) {
	u, _, err := r.look()
	return u, err
}

// Finish ends the upgrade: what all nodes and primaries understand is in use from
// now on, and no node can go back.
func (r Room) Finish(ctx context.Context, who string, _ struct{}) (any, error) {
	if err := r.Registry.FreshStatus(ctx); err != nil {
		return nil, err
	}
	u, rev, err := r.look()
	switch {
	case err != nil:
		return nil, err
	case !u.Open:
		return u, nil // it was ended before
	case !u.Ready:
		return nil, fault.WithHint(fault.New(fault.Conflict, "the upgrade cannot be ended: %s of an older version", api.Behind(u.Behind)), "%s; see: midplane upgrade status", u.Next)
	}
	for _, one := range u.Running {
		// A node that is down may come back as anything.
		if one.Kind == api.RunsNode && !one.Live {
			return nil, fault.WithHint(fault.New(fault.Conflict, "the upgrade cannot be ended: node %s is not live", one.Name), "start it, or remove it with: midplane node forget %s --yes", one.Name)
		}
	}
	level := registry.Level{Understands: api.Highest(u.Level, r.Mine), Ended: time.Now().UTC().Truncate(time.Millisecond), By: who}
	if _, err := r.Registry.Levels.Put(ctx, level, rev); err != nil {
		return nil, err
	}
	done := api.NewUpgrade(level.Understands, r.Mine, u.Running)
	done.Ended, done.By = &level.Ended, who
	return done, nil
}

// Look returns the state of the upgrade; nil when it cannot be read.
func (r Room) Look() *api.Upgrade {
	u, _, err := r.look()
	if err != nil {
		return nil
	}
	return &u
}

// look returns the state and the revision of the level's record.
func (r Room) look() (api.Upgrade, uint64, error) {
	level, rev, err := r.Registry.Levels.Get()
	if err != nil {
		return api.Upgrade{}, 0, err
	}
	running := []api.Running{}
	for name, n := range r.Registry.Nodes() {
		running = append(running, api.Running{Kind: api.RunsNode, Name: name, Live: registry.Alive(n), Understands: n.Value.Understands()})
	}
	for name, p := range r.Registry.Primaries() {
		running = append(running, api.Running{Kind: api.RunsPrimary, Name: name, Live: time.Since(p.Seen) < r.PrimarySilent, Understands: p.Value})
	}
	for name, p := range registry.Collect[registry.PollerStatus](r.Registry, "poller.") {
		running = append(running, api.Running{Kind: api.RunsPoller, Name: strings.Replace(name, ".", "/", 1), Live: time.Since(p.Seen) < r.PollerSilent,
			Understands: api.Understands{Version: p.Value.Version, Formats: p.Value.Formats, Types: p.Value.Types}})
	}
	u := api.NewUpgrade(level.Understands, r.Mine, running)
	if rev != 0 {
		u.Ended, u.By = &level.Ended, level.By
	}
	return u, rev, nil
}
