package tenancy_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nkeys"

	"midplane/api"
	"midplane/tenants/account"
)

// askings are requests that roles may make, with a reply subject that they
// choose; the matrix says who makes which.
var askings = map[string]func(c *wire, reply string){
	"an event": func(c *wire, reply string) {
		subject, data := goodEvent(c.creds.Name)
		c.pub(subject, reply, "", data)
	},
	"a broken event": func(c *wire, reply string) {
		subject, _ := goodEvent(c.creds.Name)
		c.pub(subject, reply, "", "{}")
	},
	"a report": func(c *wire, reply string) {
		c.pub("control."+c.creds.Name+".status", reply, "", signed(c, api.ChannelStatus, api.PollerReport{Version: "x"}, time.Now()))
	},
	"its configuration": func(c *wire, reply string) {
		c.pub("control."+c.creds.Name+".config", reply, "", signed(c, api.ChannelConfig, api.ConfigRequest{}, time.Now()))
	},
	"its secrets": func(c *wire, reply string) {
		c.pub("control."+c.creds.Name+".secrets", reply, "", signed(c, api.ChannelSecrets, api.SecretsRequest{Key: curveKey(c.t)}, time.Now()))
	},
	"a new JWT": func(c *wire, reply string) {
		c.pub("control."+c.creds.Name+".renew", reply, "", signed(c, api.ChannelRenew, api.RenewRequest{}, time.Now()))
	},
	"a verb that does not exist": func(c *wire, reply string) {
		c.pub("control."+c.creds.Name+".nonsense", reply, "", "")
	},
	"its consumer's state": func(c *wire, reply string) {
		c.pub("$JS.API.CONSUMER.INFO.EVENTS."+c.creds.Name+"_all", reply, "", "")
	},
	"its next message": func(c *wire, reply string) {
		c.pub("$JS.API.CONSUMER.MSG.NEXT.EVENTS."+c.creds.Name+"_all", reply, "", `{"batch":1,"no_wait":true}`)
	},
	"a dead letter": func(c *wire, reply string) {
		c.pub("$JS.API.CONSUMER.MSG.NEXT.DEAD."+c.creds.Name+"_dead", reply, "", `{"batch":1,"no_wait":true}`)
	},
	"its next message in a way that is answered with an empty status": func(c *wire, reply string) {
		c.pub("$JS.API.CONSUMER.MSG.NEXT.EVENTS."+c.creds.Name+"_all", reply, "", `{"idle_heartbeat":100,"expires":10}`)
		c.pub("$JS.API.CONSUMER.MSG.NEXT.EVENTS."+c.creds.Name+"_all", reply, "", `{"batch":1,"no_wait":true,"max_bytes":1}`)
	},
	"an ack to be acknowledged, which is empty": func(c *wire, reply string) {
		m := c.request("$JS.API.CONSUMER.MSG.NEXT.EVENTS."+c.creds.Name+"_all", "", `{"batch":1,"no_wait":true}`)
		if m.reply == "" {
			c.t.Fatalf("no message to acknowledge: %q", m.header)
		}
		c.pub(m.reply, reply, "", "")
		c.pub(m.reply, reply, "", `+NXT {"batch":1,"no_wait":true}`)
	},
	"a stored message": func(c *wire, reply string) {
		c.pub("$JS.API.STREAM.MSG.GET.EVENTS", reply, "", `{"seq":1}`)
	},
	"a consumer": func(c *wire, reply string) {
		c.pub("$JS.API.CONSUMER.CREATE.EVENTS.temporary", reply, "", `{"stream_name":"EVENTS","config":{"name":"temporary","ack_policy":"none"}}`)
	},
	"the tenants":         admin("tenant.list", "{}"),
	"a tenant's file":     admin("tenant.spec", `{"tenant":"acme"}`),
	"the nodes":           admin("node.status", "{}"),
	"an act that fails":   admin("tenant.delete", `{"tenant":"unknown"}`),
	"the tenants to read": core("tenants", `{"known":0}`),
	"a cursor":            core("cursor", `{"tenant":"acme","reading":false,"cursors":[]}`),
	"credentials":         core("credentials", `{"tenant":"acme","publicKey":""}`),
	"nonsense":            core("tenants", "nonsense"),
	"a redemption":        func(c *wire, reply string) { c.pub("enrol."+c.creds.Name, reply, "", "{}") },
	"a ping":              func(c *wire, reply string) { c.pub("$SYS.REQ.SERVER.PING", reply, "", "") },
	"its consumer's end": func(c *wire, reply string) {
		c.pub("$JS.API.CONSUMER.DELETE.EVENTS.temporary", reply, "", "")
	},
}

func curveKey(t testing.TB) string {
	t.Helper()
	kp, err := nkeys.CreateCurveKeys()
	if err != nil {
		t.Fatal(err)
	}
	pub, err := kp.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

func admin(verb, body string) func(*wire, string) {
	return func(c *wire, reply string) { c.pub("admin."+c.creds.Name+"."+verb, reply, "", body) }
}

func core(verb, body string) func(*wire, string) {
	return func(c *wire, reply string) { c.pub("core."+c.creds.Name+"."+verb, reply, "", body) }
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

// undisturbed fails unless the consumer that was never used is where it was, and
// the poller that reported nothing has reported nothing.
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
			t.Errorf("%s: another's consumer was read or moved: %s", tenant, msg.Data)
		}
		rows, err := api.All[api.Poller](ctxOf(t), w.cluster.Admin.Do, api.PollerList, api.ListRequest{Tenant: tenant})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range rows {
			if p.ID == quietPoller && p.LastSeen != nil {
				t.Errorf("%s: a report was taken for another poller: %+v", tenant, p)
			}
		}
	}
}
