package control

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/otel/metric"

	"midplane/api"
	"midplane/event"
	"midplane/platform/control/registry"
	"midplane/telemetry"
)

// Keys of STATUS. A round that counts is a key of its own: how old it is, is how
// long isolation has not been proven.
const (
	keyCanary        = "canary"
	keyCanaryTrouble = "canary-trouble"
)

// canaryTrouble is what was last found to be wrong.
type canaryTrouble struct {
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

// canaryRounds is how many rounds may be missing before the status says so.
const canaryRounds = 5

// tellCanary writes down what a round found and raises what must wake somebody.
func (l *leader) tellCanary(ctx context.Context, round canaryRound, missing []event.Tenant, leaks []leak) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	was, _, _ := registry.Get[canaryTrouble](l.reg, keyCanaryTrouble)
	now := canaryTrouble{Missing: missing, Leaks: map[string]leakAt{}}
	for key, x := range was.Leaks {
		if time.Since(x.At) < leakShown {
			now.Leaks[key] = x
		}
	}
	for _, x := range leaks {
		now.Leaks[string(x.From)+"/"+string(x.In)] = leakAt{leak: x, At: time.Now().UTC()}
	}
	if len(missing)+len(leaks)+len(was.Missing)+len(was.Leaks) > 0 {
		if _, err := l.reg.PutStatus(ctx, keyCanaryTrouble, now); err != nil {
			l.tel.Log.Warn("what the canary found is not stored", "error", err)
		}
	}
	if len(missing) == 0 && len(leaks) == 0 {
		if _, err := l.reg.PutStatus(ctx, keyCanary, round); err != nil {
			l.tel.Log.Debug("the canary's round is not stored", "error", err)
		}
	}
	for _, x := range leaks {
		l.tellLeak(ctx, x)
	}
}

// tellLeak raises a critical event in both tenants, neither of which is told
// who the other is, and writes both names where only operators read.
func (l *leader) tellLeak(ctx context.Context, x leak) {
	l.tel.Log.Error("a message of one tenant was seen in another", "from", x.From, "in", x.In, "page", true)
	if l.sightings != nil {
		l.sightings.Add(ctx, 1, metric.WithAttributes(telemetry.AttrTenant.String(string(x.In))))
	}
	hour := time.Now().Unix() / 3600
	if l.backlogs.due(fmt.Sprintf("leak/%s/%s", x.From, x.In), time.Hour) {
		l.audit(ctx, api.AuditRecord{ID: fmt.Sprintf("leak/%s/%s/%d", x.From, x.In, hour), Verb: "isolation.broken", Tenant: string(x.In), Target: string(x.From),
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
		t := l.reg.View().Tenants[id]
		name := fmt.Sprintf("isolation/%s/%d", side, hour)
		if t == nil || !t.Open() || !l.backlogs.due(string(id)+"/"+name, time.Hour) {
			continue
		}
		err := l.raise(ctx, t, name, event.Critical, event.Alarm{Alarm: "isolation", Source: "canary", Message: message,
			Hint: "tell the provider: accounts must not share anything"})
		if err != nil {
			l.backlogs.forget(string(id) + "/" + name) // tried again in the next round
			l.unsaid(ctx, t, "isolation", err)
		}
	}
}

// isolation is what the status says of the canary.
func (c *Control) isolation() (*api.Isolation, []api.Problem) {
	round, seen, ok := registry.Get[canaryRound](c.reg, keyCanary)
	trouble, _, _ := registry.Get[canaryTrouble](c.reg, keyCanaryTrouble)
	out := &api.Isolation{Tenants: round.Tenants, Listening: round.Listen}
	var problems []api.Problem
	for _, x := range trouble.Leaks {
		if time.Since(x.At) >= leakShown {
			continue
		}
		out.Leaks++
		at := x.At.Format(time.RFC3339)
		// Two lines: whoever is shown one tenant's problems must not learn of another.
		problems = append(problems,
			api.Problem{Severity: "critical", Message: fmt.Sprintf("isolation is broken: a message of tenant %s was seen in tenant %s at %s", x.From, x.In, at),
				Hint: "what do their accounts import and export? See midplane get audit, and the runbook isolation"},
			api.Problem{Severity: "critical", Tenant: string(x.In), Message: "a message of another account was seen in this one at " + at, Hint: "see the problems of the whole cluster"})
	}
	since := c.started
	if ok {
		at := seen.UTC()
		out.Proven, since = &at, seen
	}
	if age := time.Since(since); age > canaryRounds*c.cfg.Pace.Canary && !since.IsZero() && c.anyOpen() {
		message := fmt.Sprintf("isolation of tenants has not been proven for %s", age.Round(time.Second))
		if len(trouble.Missing) > 0 {
			var names []string
			for _, id := range trouble.Missing {
				names = append(names, string(id))
			}
			message += "; no marker came back in " + strings.Join(names[:min(5, len(names))], ", ")
		}
		problems = append(problems, api.Problem{Severity: "warning", Message: message, Hint: "is there a leader, and are the named tenants served? See the leader's log"})
	}
	return out, problems
}

func (c *Control) anyOpen() bool {
	for _, t := range c.reg.View().Tenants {
		if t.Open() {
			return true
		}
	}
	return false
}
