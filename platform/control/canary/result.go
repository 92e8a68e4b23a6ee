package canary

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/metric"

	"midplane/api"
	"midplane/event"
	"midplane/platform/registry"
	"midplane/telemetry"
)

// Keys of STATUS. A round that counts is a key of its own: how old it is, is how
// long isolation has not been proven.
const (
	keyProven  = "canary"
	keyTrouble = "canary-trouble"
)

// trouble is what was last found to be wrong.
type trouble struct {
	Missing []event.Tenant    `json:"missing"` // whose own marker did not come back in the last round
	Leaks   map[string]leakAt `json:"leaks"`   // by "from/in"
}

// leakAt is a leak and when it was last seen.
type leakAt struct {
	leak
	At time.Time `json:"at"`
}

// leakShown is how long the status names a leak after it was last seen.
const leakShown = time.Hour

// roundsMissing is how many rounds may be missing before the status shows it.
const roundsMissing = 5

// store stores what a round found and raises the leaks.
func (c *Canary) store(ctx context.Context, this round, missing []event.Tenant, leaks []leak) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	was, _, _ := registry.Get[trouble](c.cfg.Registry, keyTrouble)
	now := trouble{Missing: missing, Leaks: map[string]leakAt{}}
	for key, x := range was.Leaks {
		if time.Since(x.At) < leakShown {
			now.Leaks[key] = x
		}
	}
	for _, x := range leaks {
		now.Leaks[string(x.From)+"/"+string(x.In)] = leakAt{leak: x, At: time.Now().UTC()}
	}
	if len(missing)+len(leaks)+len(was.Missing)+len(was.Leaks) > 0 {
		if _, err := c.cfg.Registry.PutStatus(ctx, keyTrouble, now); err != nil {
			c.cfg.Log.Warn("what the canary found is not stored", "error", err)
		}
	}
	if len(missing) == 0 && len(leaks) == 0 {
		if _, err := c.cfg.Registry.PutStatus(ctx, keyProven, this); err != nil {
			c.cfg.Log.Debug("the canary's round is not stored", "error", err)
		}
	}
	for _, x := range leaks {
		c.raise(ctx, x)
	}
}

// raise raises a critical event in both tenants, neither of which learns who the
// other is, and records both names where only operators read.
func (c *Canary) raise(ctx context.Context, x leak) {
	c.cfg.Log.Error("a message of one tenant was seen in another", "from", x.From, "in", x.In, "page", true)
	c.cfg.Leaks.Add(ctx, 1, metric.WithAttributes(telemetry.AttrTenant.String(string(x.In))))
	hour := time.Now().Unix() / 3600
	if c.raised.Due(fmt.Sprintf("leak/%s/%s", x.From, x.In), time.Hour) {
		c.cfg.Audit.Record(ctx, api.AuditRecord{ID: fmt.Sprintf("leak/%s/%s/%d", x.From, x.In, hour), Verb: "isolation.broken", Tenant: string(x.In), Target: string(x.From),
			Detail: "a marker published in " + string(x.From) + " was seen in " + string(x.In)})
	}
	for id, message := range map[event.Tenant]string{
		x.In:   "a message of another account was seen in this one",
		x.From: "a message of this account was seen in another one",
	} {
		side := "out"
		if id == x.In {
			side = "in"
		}
		t := c.cfg.Registry.View().Tenants[id]
		name := fmt.Sprintf("isolation/%s/%d", side, hour)
		if t == nil || !t.Open() {
			continue
		}
		c.cfg.Alarms.RaiseHourly(ctx, &c.raised, t, name, event.Critical, event.Alarm{Alarm: "isolation", Source: "canary", Message: message,
			Hint: "tell the provider: accounts must not share anything"})
	}
}

// LastProven returns when isolation was last proven.
func LastProven(reg *registry.Registry) (at time.Time, ok bool) {
	_, at, ok = registry.Get[round](reg, keyProven)
	return at, ok
}

// Isolation is what the canary found, as it is shown, and as it is judged. every
// is how often it runs, and started since when a round could have been seen here.
func Isolation(reg *registry.Registry, started time.Time, every time.Duration) (*api.Isolation, api.IsolationFacts) {
	last, seen, ok := registry.Get[round](reg, keyProven)
	found, _, _ := registry.Get[trouble](reg, keyTrouble)
	out, facts := &api.Isolation{Tenants: last.Tenants, Listening: last.Listen}, api.IsolationFacts{}
	for _, x := range found.Leaks {
		if time.Since(x.At) < leakShown {
			out.Leaks++
			facts.Leaks = append(facts.Leaks, api.Leak{From: string(x.From), In: string(x.In), At: x.At})
		}
	}
	since := started
	if ok {
		at := seen.UTC()
		out.Proven, since = &at, seen
	}
	if age := time.Since(since); age > roundsMissing*every && !since.IsZero() && anyOpen(reg.View()) {
		facts.Unproven = age
		for _, id := range found.Missing {
			facts.Missing = append(facts.Missing, string(id))
		}
	}
	return out, facts
}

func anyOpen(view *registry.View) bool {
	for _, t := range view.Tenants {
		if t.Open() && !t.ID.OfSystem() {
			return true
		}
	}
	return false
}
