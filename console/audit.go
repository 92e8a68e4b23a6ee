package console

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"midplane/console/access"
	"midplane/fault"
)

// Act is something that somebody did to come in, was not allowed to do, or did
// to the list of who may. It holds no secret and no text that a client chose
// freely.
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
func (c *Console) record(r *http.Request, a Act) {
	a.From = c.from(r)
	c.tell(r.Context(), a)
}

// tell tells the log, and whoever else wants to know.
func (c *Console) tell(ctx context.Context, a Act) {
	level := slog.LevelInfo
	if a.Result != actOK {
		level = slog.LevelWarn
	}
	c.tele.Log.Log(ctx, level, "access", "verb", a.Verb, "kind", a.Kind, "who", a.Who, "from", a.From, "tenant", a.Tenant, "target", a.Target, "result", a.Result, "detail", a.Detail)
	if c.cfg.Audit != nil {
		c.cfg.Audit(a)
	}
}

// denied records that somebody asked for what is not theirs.
func (c *Console) denied(r *http.Request, who access.Identity, err error) {
	if fault.Is(err, fault.Denied) {
		c.record(r, Act{Verb: "console.route.deny", Target: r.Method + " " + r.Pattern, Result: actRefused}.by(who))
	}
}

// changesEvery is how often it is looked whether the list of who may was changed.
const changesEvery = 2 * time.Second

// watchList records what others, which is the command line, change in the list
// of who may.
func (c *Console) watchList(ctx context.Context) {
	tick := time.NewTicker(changesEvery)
	defer tick.Stop()
	for {
		for _, ch := range c.cfg.Access.Changes() {
			c.tell(ctx, Act{From: "data folder", Verb: ch.Verb, Target: ch.Target, Tenant: ch.Tenant, Result: actOK, Detail: ch.Detail()})
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
