package tenancy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/testcluster"
	"midplane/platform/ingress/admit"
	"midplane/tenants/account"
)

// A user whose JWT is in order and whom the registry does not know is refused
// by the door, and one with a name that is none is not even answered.
func TestUsersTheRegistryDoesNotKnow(t *testing.T) {
	w := shared(t)
	publish, subscribe := []string{"in.{{name()}}.>"}, []string{"_INBOX.{{name()}}.>"}
	subject, data := goodEvent("ghost")
	c := dial(t, w.cluster.Servers()[0], w.extend(t, acme, "ghost", publish, subscribe))
	defer c.close()
	w.attack(t, "a user that the registry does not know", 1, func() {
		if got := c.request(subject, "", data); codeOf(got.data) != int(admit.CodeProducer) {
			t.Errorf("answered %q", got.data)
		}
	})
	star := dial(t, w.cluster.Servers()[0], w.extend(t, acme, "*", publish, subscribe))
	defer star.close()
	for _, name := range []string{"*", "ghost.x", "a b", "A", "-"} {
		subject, data := goodEvent(name)
		w.attack(t, "a user called * publishing to "+subject, 1, func() {
			star.pub(subject, "_INBOX."+name+".1", "", data)
			star.sync()
			got, _ := star.take() // it receives all that is sent to others: that is what such a name does
			for _, m := range got {
				if m.subject == "_INBOX."+name+".1" && codeOf(m.data) == 0 {
					t.Errorf("answered %v", m)
				}
			}
		})
	}
}

// Names that would open more than one's own corner are not signed.
func TestUserCreateRefusesNames(t *testing.T) {
	w := shared(t)
	key, _, err := account.NewUserKey()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "*", ">", "a.b", "a b", " ", "A", "a_b", "midplane-x", "midplane-ingress", "midplane-primary-1", "_INBOX", "{{name()}}", "a\n", strings.Repeat("a", 64)} {
		for _, role := range account.UserRoles {
			w.attack(t, "making a "+string(role)+" called "+name, 0, func() {
				err := w.cluster.Admin.Do(ctxOf(t), api.UserCreate, api.CreateUser{Tenant: acme, Name: name, Role: string(role), PublicKey: key, Subscriptions: []string{}}, nil)
				if fault.KindOf(err) != fault.Invalid {
					t.Errorf("%s %q: %v, want Invalid", role, name, err)
				}
			})
		}
	}
	for what, req := range map[string]api.CreateUser{
		"a role of the system":        {Tenant: acme, Name: "x", Role: "ingress", PublicKey: key, Subscriptions: []string{}},
		"an undeclared poller":        {Tenant: acme, Name: "x", Role: "poller", PublicKey: key, Subscriptions: []string{}},
		"an undeclared subscription":  {Tenant: acme, Name: "x", Role: "reader", PublicKey: key, Subscriptions: []string{"all"}},
		"another's subscription":      {Tenant: acme, Name: "x", Role: "app", PublicKey: key, Subscriptions: []string{"dead"}},
		"a name that is taken":        {Tenant: acme, Name: poller, Role: "poller", PublicKey: key, Subscriptions: []string{}},
		"a poller's name as a reader": {Tenant: acme, Name: poller, Role: "reader", PublicKey: key, Subscriptions: []string{}},
		"an account's key":            {Tenant: acme, Name: "x", Role: "producer", PublicKey: w.accountKey(t, acme), Subscriptions: []string{}},
		"another tenant":              {Tenant: "unknown", Name: "x", Role: "producer", PublicKey: key, Subscriptions: []string{}},
	} {
		w.attack(t, "user.create with "+what, 0, func() {
			var out api.CreatedUser
			if err := w.cluster.Admin.Do(ctxOf(t), api.UserCreate, req, &out); err == nil || out.JWT != "" {
				t.Errorf("%s was given a JWT", what)
			}
		})
	}
}

// The control channel believes a request only with the signature of the very
// user, over the very request, of about now.
func TestControlRequestsThatAreNotTheUsers(t *testing.T) {
	w := shared(t)
	c, foreign := w.as(t, acme, poller), w.as(t, globex, poller)
	report := api.PollerReport{Version: "mine"}
	good := signed(c, api.ChannelStatus, report, time.Now())
	if got := c.request("control.syd-01.status", "", good); got.header != "" {
		t.Fatalf("a good report was refused: %q", got.header)
	}
	// A newer version may send more than this one reads; that is passed over.
	for what, body := range map[string]string{
		"a field beside the signed ones": good[:len(good)-1] + `,"x":1}`,
		"a field in the signed body":     signed(c, api.ChannelStatus, map[string]any{"version": "x", "admin": true}, time.Now()),
	} {
		if got := c.request("control.syd-01.status", "", body); got.header != "" {
			t.Errorf("%s: a good report was refused: %q", what, got.header)
		}
	}
	mine := readCreds(t, w.creds[acme+"/"+poller])
	other := &wire{t: t, creds: readCreds(t, w.creds[acme+"/"+quietPoller])}
	for what, try := range map[string]struct {
		by         *wire
		verb, body string
	}{
		"another tenant's request replayed":         {foreign, "status", good},
		"one verb's request for another":            {c, "config", good},
		"unsigned":                                  {c, "status", `{"body":{"version":"mine"},"time":"` + time.Now().UTC().Format(time.RFC3339Nano) + `"}`},
		"nothing":                                   {c, "status", ""},
		"an empty object":                           {c, "status", "{}"},
		"no JSON":                                   {c, "status", "hello"},
		"two values":                                {c, "status", good + good},
		"six minutes old":                           {c, "status", signed(c, api.ChannelStatus, report, time.Now().Add(-6*time.Minute))},
		"six minutes early":                         {c, "status", signed(c, api.ChannelStatus, report, time.Now().Add(6*time.Minute))},
		"signed by another poller of the tenant":    {c, "status", signedAs(other, mine.Name, api.ChannelStatus, report, time.Now())},
		"signed by the same name in another tenant": {c, "status", signed(foreign, api.ChannelStatus, report, time.Now())},
		"signed for another user":                   {c, "status", signedAs(c, quietPoller, api.ChannelStatus, report, time.Now())},
		"a changed body":                            {c, "status", strings.Replace(good, "mine", "ours", 1)},
	} {
		w.attack(t, "a control request: "+what, 0, func() {
			got := try.by.request("control.syd-01."+try.verb, "", try.body)
			if !strings.Contains(got.header, "Nats-Service-Error-Code: denied") && !strings.Contains(got.header, "Nats-Service-Error-Code: invalid") {
				t.Errorf("%s: answered %q %q", what, got.header, got.data)
			}
		})
	}
	w.undisturbed(t)
}

// An account that imports another account's branch of the control channel,
// or the API behind the fence, gets no answer although the operator signed it.
func TestImportOfAnothersBranch(t *testing.T) {
	w := shared(t)
	keys := w.keys(t)
	evil, err := account.NewKeys([]account.Role{account.RolePoller})
	if err != nil {
		t.Fatal(err)
	}
	c := jwt.NewAccountClaims(evil.Public)
	c.Name = "evil"
	c.Limits.JetStreamLimits = jwt.JetStreamLimits{}
	c.Imports.Add(&jwt.Import{Name: "control", Account: keys.Control.Public, Subject: jwt.Subject("control." + w.accountKey(t, acme) + ".>"), LocalSubject: "control.>", Type: jwt.Service})
	c.IssuedAt = time.Now().Unix() - 1
	w.push(t, c)
	user, err := nkeys.FromSeed(evil.Roles[account.RolePoller])
	if err != nil {
		t.Fatal(err)
	}
	pub, err := user.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	c.SigningKeys.Add(pub)
	c.IssuedAt = time.Now().Unix()
	w.push(t, c)
	e := dial(t, w.cluster.Servers()[0], userOf(t, evil.Public, user, poller, false))
	defer e.close()
	stolen := w.as(t, acme, poller)
	for _, subject := range []string{"control.syd-01.config", "control.syd-01.status", "control." + w.accountKey(t, acme) + ".syd-01.config", "$JS.API.INFO", "in.syd-01.event.info.r1.net.reachability.changed.v1", "fence.STREAM.PURGE.EVENTS"} {
		w.attack(t, "a foreign account asking "+subject, 0, func() {
			got := e.request(subject, "", signed(stolen, api.ChannelConfig, api.ConfigRequest{}, time.Now()))
			if !strings.HasPrefix(got.header, "NATS/1.0 503") && !strings.Contains(got.data, "not enabled for account") {
				t.Errorf("%s: answered %q %q", subject, got.header, got.data)
			}
		})
	}
}

// The credentials of a deleted tenant are dead on every node, and so is a
// connection that was open.
func TestDeletedTenant(t *testing.T) {
	w, ctx := shared(t), ctxOf(t)
	if err := w.cluster.Apply(ctx, testcluster.Tenant("initech"), api.AccountPushed, api.StreamsReady, api.SchemasBound, api.IngressOpen); err != nil {
		t.Fatal(err)
	}
	path, err := w.cluster.User(ctx, "initech", account.RoleProducer, "feed")
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	nc, err := nats.Connect(w.cluster.Servers()[1], nats.UserCredentials(path), nats.CustomInboxPrefix("_INBOX.feed"), nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) { close(gone) }))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	w.attack(t, "deleting another tenant", 0, func() {
		if err := w.cluster.Admin.Do(ctx, api.TenantDelete, api.TenantRef{Tenant: "initech"}, nil); err != nil {
			t.Fatal(err)
		}
		select {
		case <-gone:
		case <-ctx.Done():
			t.Fatal("the open connection of a deleted tenant stays open")
		}
	})
	for _, server := range w.cluster.Servers() {
		w.attack(t, "a deleted tenant's credentials at "+server, 0, func() {
			for { // every node takes the tombstone by itself
				nc, err := nats.Connect(server, nats.UserCredentials(path), nats.NoReconnect())
				if err != nil && strings.Contains(strings.ToLower(err.Error()), "authorization") {
					return
				}
				if nc != nil {
					nc.Close()
				}
				if ctx.Err() != nil {
					t.Fatalf("let in: %v", err)
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
}
