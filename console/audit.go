package console

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"midplane/console/access"
	"midplane/fault"
)

// Act is a login, a logout, a refusal, or a change of the list of users and
// tokens. It holds no secret and no text that a client chose freely.
type Act struct {
	Kind   string // of who: user, token, link; "" when it is not known
	Who    string // name; "" when it is not known
	From   string // address
	Verb   string // console.<noun>.<verb>
	Target string
	Tenant string
	Result string // ok, refused, throttled, failed
	Detail string
}

const (
	actOK      = "ok"
	actRefused = "refused"
)

// by says who did it.
func (a Act) by(who access.Identity) Act {
	a.Kind, a.Who, a.Tenant = who.Kind, who.Name, who.Tenant
	return a
}

// record records an act of a request.
func (g *gate) record(r *http.Request, a Act) {
	a.From = g.from(r)
	g.report(r.Context(), a)
}

// report reports an act to the log, and to Config.Audit.
func (g *gate) report(ctx context.Context, a Act) {
	level := slog.LevelInfo
	if a.Result != actOK {
		level = slog.LevelWarn
	}
	g.log.Log(ctx, level, "access", "verb", a.Verb, "kind", a.Kind, "who", a.Who, "from", a.From, "tenant", a.Tenant, "target", a.Target, "result", a.Result, "detail", a.Detail)
	if g.audit != nil {
		g.audit(a)
	}
}

// denied records a request for what its identity may not have.
func (g *gate) denied(r *http.Request, who access.Identity, err error) {
	if fault.Is(err, fault.Denied) {
		g.record(r, Act{Verb: "console.route.deny", Target: r.Method + " " + r.Pattern, Result: actRefused}.by(who))
	}
}

// changesEvery is how often changes of the list of users and tokens are looked for.
const changesEvery = 2 * time.Second

// watchList records what the command line changes in the list of users and
// tokens.
func (g *gate) watchList(ctx context.Context) {
	tick := time.NewTicker(changesEvery)
	defer tick.Stop()
	for {
		for _, ch := range g.access.Changes() {
			g.report(ctx, Act{From: "data folder", Verb: ch.Verb, Target: ch.Target, Tenant: ch.Tenant, Result: actOK, Detail: ch.Detail()})
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
