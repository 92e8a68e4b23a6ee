package serve

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"midplane/api"
	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/connect"
	"midplane/console/access"
	"midplane/fault"
	"midplane/internal/wait"
	"midplane/poller/collect/all"
	"midplane/tenants"
	"midplane/tenants/example"
	"midplane/tenants/transfer"
)

const (
	// answerWithin is how long "up" waits for its own cluster, with each tenant anew.
	answerWithin = 30 * time.Second
	// tryWithin is how long one request may take, so that another node is asked.
	tryWithin = 10 * time.Second
	// storeAtOnce is how many tenants are stored at the same time: as many as the
	// leader works on.
	storeAtOnce = 8
)

// readTenants reads the folder of --tenants before anything starts, so that a
// mistake in a file is reported first; nil means the example.
func readTenants(dir string) ([]*tenants.Spec, error) {
	if dir == "" {
		return nil, nil
	}
	loaded, err := tenants.LoadDir(dir, tenants.Options{Collectors: slices.Sorted(maps.Keys(all.Collectors()))})
	if err != nil {
		return nil, err
	}
	var specs []*tenants.Spec
	for _, l := range loaded {
		specs = append(specs, l.Spec)
	}
	return specs, nil
}

// tenants stores what --tenants holds, or the example when there is no tenant
// yet, and prints where everything is.
func (u *upRun) tenants(ctx context.Context, wanted []*tenants.Spec, cons *served) error {
	var have []api.Tenant
	list := func(ctx context.Context) (err error) {
		have, err = api.All[api.Tenant](ctx, u.ask, api.TenantList, api.ListRequest{})
		return err
	}
	if err := patiently(ctx, list); err != nil {
		return err
	}
	origin := "from " + u.flags.Tenants
	if wanted == nil {
		origin = "as they were"
		if len(have) == 0 {
			origin = "the built-in example"
			first := strings.TrimPrefix(u.servers[0], "nats://")
			var err error
			if wanted, err = example.Specs(cons.console.Addr(), first); err != nil {
				return err
			}
		}
	}
	if err := u.applyAll(ctx, wanted); err != nil {
		return err
	}
	if err := patiently(ctx, list); err != nil {
		return err
	}
	var ids []string
	for _, t := range have {
		ids = append(ids, t.ID)
	}
	u.out.Say("  data      %s", u.data)
	u.out.Say("  nodes     %s", strings.Join(u.servers, " "))
	if err := u.sayPage(cons.console.URL(), cons.users); err != nil {
		return err
	}
	with := connect.FlagFor(u.context)
	u.out.Say("  context   %s (credentials for: midplane get devices%s, midplane status%s, nats --context %s …)", u.context, with, with, u.context)
	u.out.Say("  tenants   %s (%s)", strings.Join(ids, ", "), origin)
	u.out.Say("Ctrl-C stops it; the same command continues where it was.")
	return nil
}

// sayPage prints where the page is. A person at this machine is signed in by a
// link; where other machines can reach the page, standard output may be kept
// by another program, and no link is in it.
func (u *upRun) sayPage(url string, users *access.Store) error {
	if loopbackUnless(u.flags.HTTP, false) != nil {
		u.out.Say("  page      %s (sign in, or: midplane console link --data %s)", url, u.data)
		return nil
	}
	code, err := users.CreateLink(access.Admin, "")
	if err != nil {
		return err
	}
	u.out.Say("  page      %s", access.LinkURL(url, code))
	again := "midplane console link"
	if u.data != shell.StateDir() {
		again += " --data " + u.data
	}
	u.out.Say("            (signs in once, within %d minutes; another link: %s)", int(access.LinkLife.Minutes()), again)
	return nil
}

// patiently repeats do while no answer comes, for answerWithin or until ctx ends:
// right after a start, and more so after a kill, leaders are still being elected.
func patiently(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	for {
		try, done := context.WithTimeout(ctx, tryWithin)
		err := do(try)
		done()
		if !fault.Is(err, fault.Unavailable) || wait.For(ctx, 500*time.Millisecond) != nil {
			return err
		}
	}
}

// applyAll stores the specs. However many there are, each has its own time for it.
func (u *upRun) applyAll(ctx context.Context, wanted []*tenants.Spec) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(storeAtOnce)
	for _, spec := range wanted {
		g.Go(func() error {
			return patiently(ctx, func(ctx context.Context) error { return u.apply(ctx, spec) })
		})
	}
	return g.Wait()
}

// apply stores one spec when it differs from what is there.
func (u *upRun) apply(ctx context.Context, want *tenants.Spec) error {
	was, err := transfer.Get(ctx, u.ask, string(want.ID), want)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if was.Spec != nil && len(tenants.Plan(was.Spec, want)) == 0 {
		return nil
	}
	_, err = transfer.Put(ctx, u.ask, want, was, false)
	if fault.Is(err, fault.Conflict) { // changed in between, or so new that large specs are not stored yet: look again
		err = fault.Wrap(fault.Unavailable, err, "not stored")
	}
	return fault.Wrap(fault.Other, err, "tenant %s", want.ID)
}
