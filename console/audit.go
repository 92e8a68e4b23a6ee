package console

import (
	"log/slog"
	"net/http"
	"time"

	"midplane/console/access"
	"midplane/fault"
)

// Act is something that somebody did to come in, or was not allowed to do. It
// holds no secret and no text that a client chose freely.
type Act struct {
	Time   time.Time
	Who    string // kind:name
	From   string // address
	Verb   string // console.login, console.logout, …
	Target string
	Tenant string
	Result string // ok, refused, throttled, failed
}

// record tells the log, and whoever else wants to know.
func (c *Console) record(r *http.Request, a Act) {
	a.Time, a.From = time.Now().UTC(), c.from(r)
	level := slog.LevelInfo
	if a.Result != "ok" {
		level = slog.LevelWarn
	}
	c.tele.Log.Log(r.Context(), level, "access", "verb", a.Verb, "who", a.Who, "from", a.From, "target", a.Target, "result", a.Result)
	if c.cfg.Audit != nil {
		c.cfg.Audit(a)
	}
}

// denied records that somebody asked for what is not theirs.
func (c *Console) denied(r *http.Request, who access.Identity, err error) {
	if fault.Is(err, fault.Denied) {
		c.record(r, Act{Who: who.String(), Verb: "console.denied", Target: r.Method + " " + r.Pattern, Tenant: who.Tenant, Result: "refused"})
	}
}
