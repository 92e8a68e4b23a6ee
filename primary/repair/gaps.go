package repair

import (
	"context"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/once"
	"midplane/internal/wait"
	"midplane/primary/fold"
	"midplane/primary/store"
	"midplane/telemetry"
)

const (
	// gapsEvery is how often the ledger is looked at for what is missing.
	gapsEvery = 5 * time.Second
	// Messages that are missing are asked for at once, and again at distances that
	// grow from gapAgain to gapAgainMost.
	gapAgain     = 15 * time.Second
	gapAgainMost = 5 * time.Minute
	// lostAfter is how long they are asked for until they are called lost: a stream
	// takes none whose id it remembers, and a poller may be away for a while.
	lostAfter = 30 * time.Minute
	// How many ranges of one producer are asked for at once, and named each.
	rangesMost = 200
	namedMost  = 20
)

// Gaps has pollers send once more what was acknowledged to them and is missing, and
// calls it lost when it does not come. Make it with NewGaps, run it with Run.
type Gaps struct {
	store store.Accounts
	core  ControlPlane
	find  Find
	tel   telemetry.Telemetry

	known   map[gapKey]*gap // Run's own
	answers once.Log        // Run's own
}

// Find records findings, and has them reported.
type Find func(ctx context.Context, tenant event.Tenant, found ...fold.Finding) error

// NewGaps returns Gaps. It does no I/O.
func NewGaps(st store.Accounts, core ControlPlane, find Find, tel telemetry.Telemetry) *Gaps {
	return &Gaps{store: st, core: core, find: find, tel: tel, known: map[gapKey]*gap{},
		answers: once.Log{To: tel.Log, Fails: "missing messages are not asked for, trying again", Works: "missing messages are asked for"}}
}

type gapKey struct {
	tenant event.Tenant
	fold.LedgerKey
}

// gap is what is known of what one producer's account lacks.
type gap struct {
	highest uint64    // of what is missing: above it is another loss
	count   uint64    // of messages; when it falls, some have come
	since   time.Time // when it was first seen
	next    time.Time // when to ask
	pause   wait.Growing
	lost    bool // it was called lost
}

// Run looks at the ledger until ctx ends; then it returns nil.
func (g *Gaps) Run(ctx context.Context) error {
	for wait.For(ctx, gapsEvery) == nil {
		g.pass(ctx)
	}
	return nil
}

func (g *Gaps) pass(ctx context.Context) {
	gaps, err := g.store.Gaps(ctx)
	if err != nil {
		if ctx.Err() == nil {
			g.tel.Log.Warn("the ledger is not looked at", "error", err)
		}
		return
	}
	seen := map[gapKey]*gap{}
	now := time.Now()
	for _, found := range gaps {
		key := gapKey{found.Tenant, found.LedgerKey}
		k, highest, count := g.known[key], found.Missing[len(found.Missing)-1].To, found.Missing.Count()
		switch {
		case k == nil || highest > k.highest:
			k = &gap{highest: highest, count: count, since: now, next: now, pause: wait.NewGrowing(gapAgain, gapAgainMost).By(2)}
		case count < k.count: // it comes: a poller sends so many for one request
			k.count, k.since, k.lost = count, now, false
			k.pause.Reset()
			k.next = earlier(k.next, now.Add(gapAgain))
		}
		seen[key] = k
		switch {
		case k.lost:
		case now.Sub(k.since) >= lostAfter:
			g.lost(ctx, found, k)
		case !now.Before(k.next):
			g.ask(ctx, found, k, now)
		}
	}
	g.known = seen
}

// ask has the poller send what is missing of it once more.
func (g *Gaps) ask(ctx context.Context, found store.Gap, k *gap, now time.Time) {
	req := api.ResendRequest{Tenant: string(found.Tenant), Poller: string(found.Producer), Devices: []event.Entity{}}
	for _, r := range found.Missing[max(0, len(found.Missing)-rangesMost):] {
		req.Messages = append(req.Messages, api.MessageRange{Stream: found.Stream, Epoch: found.Epoch, From: r.From, To: r.To})
	}
	within, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	err := g.core.Do(within, api.CoreResend, req, nil)
	if err != nil && fault.Retryable(err) {
		if ctx.Err() == nil {
			g.answers.Note(err)
		}
		return // with the next pass
	}
	g.answers.Note(nil)
	if err != nil { // for instance since the tenant or the poller is gone
		g.tel.Log.Debug("missing messages are not asked for", "tenant", found.Tenant, "producer", found.Producer, "error", err)
	}
	k.next = now.Add(k.pause.Next())
}

// lost names what did not come.
func (g *Gaps) lost(ctx context.Context, found store.Gap, k *gap) {
	named := found.Missing
	if n := len(named); n > namedMost {
		named = fold.Ranges{{From: named[0].From, To: named[n-1].To}}
	}
	var findings []fold.Finding
	for _, r := range named {
		findings = append(findings, fold.Lost(found.LedgerKey, r))
	}
	if err := g.find(ctx, found.Tenant, findings...); err != nil {
		g.tel.Log.Warn("what is lost is not recorded, trying again", "tenant", found.Tenant, "error", err)
		return
	}
	k.lost = true
}
