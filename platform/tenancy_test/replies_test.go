package tenancy_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"midplane/api"
	"midplane/tenants/account"
)

// aims are where somebody who chooses a reply subject could want the answer.
var aims = []string{
	"event.syd.critical.r1.net.reachability.changed.v1", "state.syd.r1.net.reachability.v1", "metric.syd.r1.net.ping.v1", "dead.EVENTS.schema.syd-01.r1.x.v1",
	"w.guess.event.syd.critical.r1.net.reachability.changed.v1", "w.guess.state.syd.r1.net.reachability.v1",
	"in.syd-01.event.critical.r1.net.reachability.changed.v1", "in.syd-02.event.critical.r1.net.reachability.changed.v1", "in.victim.state.r1.net.reachability.v1",
	"control.syd-02.config", "control.syd-02.status", "control.KEY.syd-01.status", "hint.syd-02", "hint.syd-01",
	"_INBOX.syd-02.x", "_INBOX.victim.x", "_INBOX.midplane-ingress.x", "_INBOX.midplane-control.x", "_INBOX.x",
	"$JS.API.STREAM.PURGE.EVENTS", "$JS.API.STREAM.DELETE.STATE", "$JS.API.STREAM.DELETE.METRICS", "$JS.API.STREAM.PURGE.DEAD", "$JS.API.STREAM.UPDATE.EVENTS", "$JS.API.STREAM.CREATE.MINE",
	"$JS.API.STREAM.MSG.DELETE.EVENTS", "$JS.API.STREAM.LEADER.STEPDOWN.EVENTS", "$JS.API.STREAM.INFO.EVENTS", "$JS.API.CONSUMER.DELETE.EVENTS.victim_all",
	"$JS.API.CONSUMER.CREATE.EVENTS.victim_all", "$JS.API.CONSUMER.RESET.EVENTS.victim_all", "$JS.API.CONSUMER.MSG.NEXT.EVENTS.victim_all", "$JS.API.CONSUMER.PAUSE.EVENTS.victim_all",
	"$JS.midplane.API.STREAM.PURGE.EVENTS", "a.guess.STREAM.PURGE.EVENTS", "fence.STREAM.PURGE.EVENTS", "$JS.ACK.EVENTS.victim_all.1.1.1.1.0", "$JS.FC.EVENTS.victim_all.x",
	"$SYS.REQ.ACCOUNT.PING.SUBSZ", "$SYS.REQ.SERVER.PING", "$SYS.REQ.CLAIMS.UPDATE", "admin.admin.tenant.list", "core.primary-1.cursor", "$SRV.PING", "canary.x", "$KV.REGISTRY.spec.acme",
	"_R_.x", "_GR_.x.y",
}

// asking is one request that a role may make, with a reply subject that it
// chooses.
type asking struct {
	name string
	who  []string
	ask  func(c *wire, reply string)
}

var askings = []asking{
	{"an event", []string{poller, producer, app, inspector}, func(c *wire, reply string) {
		subject, data := goodEvent(c.creds.Name)
		c.pub(subject, reply, "", data)
	}},
	{"a broken event", []string{poller, producer, app, inspector}, func(c *wire, reply string) {
		subject, _ := goodEvent(c.creds.Name)
		c.pub(subject, reply, "", "{}")
	}},
	{"a report", []string{poller, app, inspector}, func(c *wire, reply string) {
		c.pub("control."+c.creds.Name+".status", reply, "", signed(c, api.ChannelStatus, api.PollerReport{Version: "x"}, time.Now()))
	}},
	{"its configuration", []string{poller, app, inspector}, func(c *wire, reply string) {
		c.pub("control."+c.creds.Name+".config", reply, "", signed(c, api.ChannelConfig, api.ConfigRequest{}, time.Now()))
	}},
	{"a verb that does not exist", []string{poller, app, inspector}, func(c *wire, reply string) {
		c.pub("control."+c.creds.Name+".nonsense", reply, "", "")
	}},
	{"its consumer's state", []string{reader, app}, func(c *wire, reply string) {
		c.pub("$JS.API.CONSUMER.INFO.EVENTS."+c.creds.Name+"_all", reply, "", "")
	}},
	{"its next message", []string{reader, app}, func(c *wire, reply string) {
		c.pub("$JS.API.CONSUMER.MSG.NEXT.EVENTS."+c.creds.Name+"_all", reply, "", `{"batch":1,"no_wait":true}`)
	}},
	{"a dead letter", []string{app}, func(c *wire, reply string) {
		c.pub("$JS.API.CONSUMER.MSG.NEXT.DEAD."+c.creds.Name+"_dead", reply, "", `{"batch":1,"no_wait":true}`)
	}},
	{"its next message in a way that is answered with an empty status", []string{reader, app}, func(c *wire, reply string) {
		c.pub("$JS.API.CONSUMER.MSG.NEXT.EVENTS."+c.creds.Name+"_all", reply, "", `{"idle_heartbeat":100,"expires":10}`)
		c.pub("$JS.API.CONSUMER.MSG.NEXT.EVENTS."+c.creds.Name+"_all", reply, "", `{"batch":1,"no_wait":true,"max_bytes":1}`)
	}},
	{"an ack to be acknowledged, which is empty", []string{reader, app}, func(c *wire, reply string) {
		m := c.request("$JS.API.CONSUMER.MSG.NEXT.EVENTS."+c.creds.Name+"_all", "", `{"batch":1,"no_wait":true}`)
		if m.reply == "" {
			c.t.Fatalf("no message to acknowledge: %q", m.header)
		}
		c.pub(m.reply, reply, "", "")
		c.pub(m.reply, reply, "", `+NXT {"batch":1,"no_wait":true}`)
	}},
	{"a stored message", []string{inspector}, func(c *wire, reply string) {
		c.pub("$JS.API.STREAM.MSG.GET.EVENTS", reply, "", `{"seq":1}`)
	}},
	{"a consumer", []string{inspector}, func(c *wire, reply string) {
		c.pub("$JS.API.CONSUMER.CREATE.EVENTS.temporary", reply, "", `{"stream_name":"EVENTS","config":{"name":"temporary","ack_policy":"none"}}`)
	}},
	{"its consumer's end", []string{inspector}, func(c *wire, reply string) {
		c.pub("$JS.API.CONSUMER.DELETE.EVENTS.temporary", reply, "", "")
	}},
}

// signed is a request of the control channel.
func signed(c *wire, verb string, req any, at time.Time) string {
	c.t.Helper()
	return signedAs(c, c.creds.Name, verb, req, at)
}

func signedAs(c *wire, user, verb string, req any, at time.Time) string {
	c.t.Helper()
	body, err := json.Marshal(req)
	if err != nil {
		c.t.Fatal(err)
	}
	sign, err := account.SignWith(c.creds.Seed)
	if err != nil {
		c.t.Fatal(err)
	}
	at = at.UTC()
	sig, err := sign(api.SignedBytes(user, verb, at, body))
	if err != nil {
		c.t.Fatal(err)
	}
	out, err := json.Marshal(api.Signed{Body: body, Time: at, Signature: sig})
	if err != nil {
		c.t.Fatal(err)
	}
	return string(out)
}

// Whatever a role may ask, wherever it wants the answer: nothing is stored,
// nothing stops and nobody else receives anything.
func TestAnswersAimedElsewhere(t *testing.T) {
	shared.aimed(t, func(aim string) bool { return !watched(aim) })
	shared.undisturbed(t)
}

// An answer of JetStream or of the control channel can be aimed at an inbox or
// a hint of the same tenant: the server does not check. Nothing is stored and
// nothing stops by it, and the other tenant hears nothing; whatever listens
// there must not trust it.
func TestAnswersAimedAtNeighbours(t *testing.T) {
	w, acme := shared, shared.sides[acme]
	acme.tolerant = true
	w.aimed(t, watched)
	for range 20 { // the last of them may still be on their way from another node
		acme.unharmed(t, "acme after all of them", 1)
	}
	acme.tolerant = false
	t.Logf("%d answers reached somebody else in the same tenant", acme.reached)
	w.undisturbed(t)
}

// watched says whether one of the watchers of acme listens to a subject.
func watched(aim string) bool {
	return aim == "_INBOX.syd-02.x" || aim == "_INBOX.victim.x" || aim == "hint.syd-02"
}

func (w *world) aimed(t *testing.T, which func(aim string) bool) {
	for _, a := range askings {
		for _, user := range a.who {
			t.Run(user+" asks for "+a.name, func(t *testing.T) {
				c := w.as(t, acme, user)
				for _, aim := range aims {
					if which(aim) {
						w.aim(t, a, c, w.secrets(t, aim))
					}
				}
			})
		}
	}
}

func (w *world) aim(t *testing.T, a asking, c *wire, aim string) {
	what := fmt.Sprintf("%s asking for %s to be sent to %s", c.creds.Name, a.name, aim)
	w.attack(t, what, 1, func() {
		a.ask(c, aim)
		c.sync()
		if got, _ := c.take(); len(got) > 0 && aim != "hint."+c.creds.Name {
			t.Errorf("%s: received %v", what, got)
		}
	})
}

// undisturbed fails unless the consumer that nobody used is where it was, and
// the poller that said nothing has said nothing.
func (w *world) undisturbed(t *testing.T) {
	t.Helper()
	for tenant, s := range w.sides {
		msg, err := s.auditor.RequestWithContext(ctxOf(t), "$JS.API.CONSUMER.INFO.EVENTS.victim_all", nil)
		if err != nil {
			t.Fatal(err)
		}
		var info struct {
			Delivered struct {
				Consumer uint64 `json:"consumer_seq"`
			} `json:"delivered"`
			AckFloor struct {
				Stream uint64 `json:"stream_seq"`
			} `json:"ack_floor"`
			Pending uint64 `json:"num_pending"`
			Config  struct {
				Paused string `json:"pause_until"`
			} `json:"config"`
		}
		if err := json.Unmarshal(msg.Data, &info); err != nil {
			t.Fatal(err)
		}
		if info.Delivered.Consumer != 0 || info.AckFloor.Stream != 0 || info.Pending == 0 || info.Config.Paused != "" {
			t.Errorf("%s: somebody read or moved another's consumer: %s", tenant, msg.Data)
		}
		rows, err := api.All[api.Poller](ctxOf(t), w.cluster.Admin.Do, api.PollerList, api.ListRequest{Tenant: tenant})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range rows {
			if p.ID == quietPoller && p.LastSeen != nil {
				t.Errorf("%s: somebody reported for another poller: %+v", tenant, p)
			}
		}
	}
}
