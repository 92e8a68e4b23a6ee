package tenancy_test

import (
	"strings"
	"testing"
)

// forbidden are subjects that no user may publish to, whatever its role. KEY
// stands for globex' account key, CAP for acme's capability.
var forbidden = []string{
	// Streams, by what they store under and by what they listen on.
	"event.syd.critical.r1.net.reachability.changed.v1", "state.syd.r1.net.reachability.v1", "metric.syd.r1.net.ping.v1", "dead.EVENTS.schema.syd-01.r1.x.v1",
	"w.guess.event.syd.critical.r1.net.reachability.changed.v1", "w.CAP.event.syd.critical.r1.net.reachability.changed.v1", "w.CAP.state.syd.r1.net.reachability.v1", "w.*.event.x", "w.>",
	// Somebody else's corner.
	"in.syd-02.event.critical.r1.net.reachability.changed.v1", "in.victim.state.r1.net.reachability.v1", "in.*.event.critical.r1.net.reachability.changed.v1", "in.midplane-control.state.r1.net.reachability.v1", "in.>",
	"control.syd-02.config", "control.syd-02.status", "control.KEY.syd-01.config", "control.>", "hint.syd-02", "hint.syd-01",
	"_INBOX.syd-02.x", "_INBOX.victim.x", "_INBOX.midplane-ingress.x", "_INBOX.midplane-control.x", "_INBOX.x", "_INBOX.>",
	// The JetStream API, its own and the fenced way, in any spelling.
	"$JS.API.INFO", "$JS.API.STREAM.LIST", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.INFO.EVENTS", "$JS.API.STREAM.CREATE.MINE", "$JS.API.STREAM.UPDATE.EVENTS",
	"$JS.API.STREAM.PURGE.EVENTS", "$JS.API.STREAM.DELETE.EVENTS", "$JS.API.STREAM.MSG.DELETE.EVENTS", "$JS.API.STREAM.SNAPSHOT.EVENTS", "$JS.API.STREAM.RESTORE.EVENTS",
	"$JS.API.STREAM.LEADER.STEPDOWN.EVENTS", "$JS.API.STREAM.PEER.REMOVE.EVENTS", "$JS.API.CONSUMER.LIST.EVENTS", "$JS.API.CONSUMER.NAMES.EVENTS",
	"$JS.API.CONSUMER.DURABLE.CREATE.EVENTS.mine", "$JS.API.CONSUMER.RESET.EVENTS.victim_all", "$JS.API.CONSUMER.PAUSE.EVENTS.victim_all", "$JS.API.CONSUMER.LEADER.STEPDOWN.EVENTS.victim_all",
	"$JS.API.DIRECT.GET.EVENTS", "$JS.API.META.LEADER.STEPDOWN", "$JS.API.SERVER.REMOVE", "$JS.API.ACCOUNT.PURGE.acme",
	"$JS.midplane.API.STREAM.PURGE.EVENTS", "$JS.midplane.API.STREAM.INFO.EVENTS", "a.CAP.STREAM.PURGE.EVENTS", "a.guess.STREAM.INFO.EVENTS", "fence.STREAM.PURGE.EVENTS",
	"$JS.FC.EVENTS.victim_all.x", "$JSC.R.x", "$JS.SNAPSHOT.ACK.EVENTS.x", "$JS.EVENT.ADVISORY.API", "$NRG.P.x", "$KV.REGISTRY.spec.acme", "$OBJ.x",
	// The system and CONTROL.
	"$SYS.REQ.SERVER.PING", "$SYS.REQ.ACCOUNT.PING.SUBSZ", "$SYS.REQ.ACCOUNT.PING.CONNZ", "$SYS.REQ.ACCOUNT.PING.JSZ", "$SYS.REQ.USER.INFO", "$SYS.REQ.CLAIMS.UPDATE", "$SYS.REQ.ACCOUNT.KEY.CLAIMS.LOOKUP",
	"admin.admin.tenant.list", "admin.syd-01.tenant.list", "core.primary-1.tenants", "query.admin.devices", "enrol.x", "$SRV.PING", "canary.x", "audit.x", "command.x",
	"_R_.x", "_GR_.x.y",
}

// Requests to these are permitted to inspectors only, or to whom they were
// declared for.
var reading = []string{
	"$JS.API.CONSUMER.CREATE.EVENTS.x", "$JS.API.CONSUMER.CREATE.EVENTS.x.event.>", "$JS.API.CONSUMER.DELETE.EVENTS.victim_all", "$JS.API.CONSUMER.INFO.EVENTS.victim_all",
	"$JS.API.CONSUMER.MSG.NEXT.EVENTS.victim_all", "$JS.API.STREAM.MSG.GET.EVENTS", "$JS.ACK.EVENTS.victim_all.1.1.1.1.0", "$JS.API.CONSUMER.MSG.NEXT.STATE.victim_all", "$JS.API.CONSUMER.MSG.NEXT.EVENTS.reading_dead",
}

// listening are subjects that no user may subscribe to.
var listening = []string{
	">", "*", "*.>", "event.>", "state.>", "metric.>", "dead.>", "w.>", "w.CAP.event.>", "a.>", "in.>", "in.> ingress", "in.syd-02.>", "in.*.event.>",
	"_INBOX.>", "_INBOX.*", "_INBOX.*.>", "_INBOX.syd-02.>", "_INBOX.victim.>", "_INBOX.midplane-control.>", "_INBOX.midplane-ingress.>",
	"hint.>", "hint.*", "hint.syd-02", "control.>", "control.syd-01.>", "$JS.>", "$JS.API.>", "$JS.ACK.>", "$JS.EVENT.ADVISORY.>", "$JSC.R.>", "$SYS.>", "$SYS.ACCOUNT.>", "_R_.>", "$SRV.>", "canary.>", "$KV.>",
}

// secrets fills the placeholders in.
func (w *world) secrets(t testing.TB, s string) string {
	return strings.NewReplacer("KEY", w.accountKey(t, globex), "CAP", w.capability(t, acme)).Replace(s)
}

func TestNobodyPublishesElsewhere(t *testing.T) {
	w := shared
	for _, u := range attackers {
		t.Run(string(u.role), func(t *testing.T) {
			c := w.as(t, acme, u.name)
			subjects := append([]string{}, forbidden...)
			if u.name != inspector {
				subjects = append(subjects, reading...)
			}
			for _, subject := range subjects {
				subject = w.secrets(t, subject)
				w.attack(t, u.name+" publishing to "+subject, 0, func() {
					c.pub(subject, c.inbox(), "", "{}")
					c.pub(subject, "", block("Nats-Msg-Id: x"), `{"seq":1}`)
					c.sync()
					got, errs := c.take()
					if len(got) > 0 || !contains(errs, "Violation") {
						t.Errorf("%s: not refused: %v %v", subject, got, errs)
					}
				})
			}
		})
	}
}

func TestNobodyListensElsewhere(t *testing.T) {
	w := shared
	for _, u := range attackers {
		t.Run(string(u.role), func(t *testing.T) {
			c := w.as(t, acme, u.name)
			for i, subject := range listening {
				subject = w.secrets(t, subject)
				w.attack(t, u.name+" subscribing to "+subject, 0, func() {
					c.write("SUB " + subject + " " + string(rune('a'+i%26)) + "\r\n")
					c.sync()
					if _, errs := c.take(); !contains(errs, "Violation") {
						t.Errorf("%s: not refused: %v", subject, errs)
					}
				})
				if got, _ := c.take(); len(got) > 0 {
					t.Errorf("%s: received %v", subject, got)
				}
			}
		})
	}
}
