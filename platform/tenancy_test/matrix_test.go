package tenancy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/platform/ingress/admit"
	tenancy "midplane/platform/tenancy_test"
	"midplane/tenants/account"
)

// TestPermissionMatrix tries every cell of the matrix: what is allowed really
// arrives or is answered, what is refused gets an error or comes to nothing,
// and after every cell nothing else has changed.
func TestPermissionMatrix(t *testing.T) {
	m, err := tenancy.Load()
	if err != nil {
		t.Fatal(err)
	}
	c := shared(t).cast(t, m)
	try := map[string]func(*testing.T, *cast, tenancy.Cell){
		tenancy.Connect: tryConnect, tenancy.Publish: tryPublish, tenancy.Subscribe: trySubscribe,
		tenancy.Answer: tryAnswer, tenancy.Deliver: tryDeliver, tenancy.Name: tryName, tenancy.Header: func(t *testing.T, c *cast, cell tenancy.Cell) { tryHeader(t, c, m, cell) },
	}
	for _, verb := range tenancy.Verbs {
		t.Run(verb, func(t *testing.T) {
			// What is allowed comes first: it stores something, and every user gets through.
			allowed := slices.DeleteFunc(m.Cells(), func(x tenancy.Cell) bool {
				return x.Verb != verb || !x.Allowed || x.Verb == tenancy.Answer || x.Verb == tenancy.Deliver
			})
			c.witnessed(t, verb, allowed)
			for _, cell := range m.Cells() {
				if cell.Verb != verb || slices.Contains(allowed, cell) && (verb == tenancy.Publish || verb == tenancy.Subscribe) {
					continue
				}
				c.cell(t, cell, func(t *testing.T) { try[verb](t, c, cell) })
			}
		})
	}
	shared(t).undisturbed(t)
	for _, l := range c.lines {
		l.close()
	}
}

// cell tries one and counts it.
func (c *cast) cell(t *testing.T, cell tenancy.Cell, try func(*testing.T)) {
	t.Helper()
	c.w.tried++
	for _, l := range c.lines {
		l.settle()
	}
	was := t.Failed()
	what := fmt.Sprintf("%s %s %s %s", cell.Role, cell.Verb, cell.Via, cell.Subject)
	if cell.Allowed || cell.Verb == tenancy.Connect {
		try(t)
	} else {
		c.w.attack(t, what, 1, func() { try(t) })
	}
	if t.Failed() && !was {
		t.Logf("the first cell that is not as the table says: %s", what)
	}
	if !t.Failed() {
		c.w.asStated++
	}
}

func tryConnect(t *testing.T, c *cast, cell tenancy.Cell) {
	w := c.wire(t, cell.Role, cell.Subject == "in-process")
	err := w.connect()
	if cell.Allowed != (err == nil) {
		t.Errorf("%s over %s: %v", cell.Role, cell.Subject, err)
	}
	w.close()
}

// witnessed tries what is allowed, with a witness in the tenant that receives and
// publishes everything. Then the witness is gone, and the streams go on.
func (c *cast) witnessed(t *testing.T, verb string, cells []tenancy.Cell) {
	if verb != tenancy.Publish && verb != tenancy.Subscribe {
		return
	}
	witness := c.w.witness(t)
	defer witness.Close()
	for i, cell := range cells {
		c.cell(t, cell, func(t *testing.T) {
			if verb == tenancy.Publish {
				c.arrives(t, witness, cell, fmt.Sprintf("matrix %d", i))
			} else {
				c.receives(t, witness, cell, fmt.Sprintf("matrix %d", i))
			}
		})
	}
	witness.Close()
	for _, s := range c.w.sides {
		s.follow(t)
	}
}

// harmless keeps a message of the control plane's own store from changing
// anything: it is answered, and refused for its sequence.
var harmless = block("Nats-Expected-Last-Sequence: 987654321")

// arrives publishes, and the witness receives the message or it is answered.
func (c *cast) arrives(t *testing.T, witness *nats.Conn, cell tenancy.Cell, mark string) {
	t.Helper()
	l, subject := c.line(t, cell.Role), c.subject(cell.Role, cell.Subject)
	sub, err := witness.SubscribeSync(subject)
	if err == nil {
		err = witness.FlushWithContext(ctxOf(t))
	}
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Unsubscribe() // the connection closes soon
	header := ""
	if cell.Role == "CONTROL/node" {
		header = harmless
	}
	for deadline := time.Now().Add(90 * time.Second); ; {
		l.take()
		l.pub(subject, l.inbox(), header, mark)
		l.sync()
		for range 50 {
			got, errs := l.take()
			if len(errs) > 0 {
				t.Errorf("%s: publishing to %s: %v", cell.Role, subject, errs)
				return
			}
			if cell.How == "taken" {
				return
			}
			for _, g := range got {
				if !strings.HasPrefix(g.header, "NATS/1.0 503") {
					return
				}
			}
			if msg, err := sub.NextMsg(10 * time.Millisecond); err == nil && string(msg.Data) == mark {
				return
			}
			l.sync()
		}
		if time.Now().After(deadline) {
			t.Errorf("%s: what it publishes to %s neither arrives nor is answered", cell.Role, subject)
			return
		}
	}
}

// receives subscribes, and a message that is sent there arrives.
func (c *cast) receives(t *testing.T, witness *nats.Conn, cell tenancy.Cell, mark string) {
	t.Helper()
	l, subject := c.line(t, cell.Role), c.subject(cell.Role, cell.Subject)
	l.take()
	l.write("SUB " + subject + " m1\r\n")
	l.sync()
	defer func() { l.write("UNSUB m1\r\n"); l.sync(); l.take() }()
	if _, errs := l.take(); len(errs) > 0 && cell.Role != "ENROL/token" { // a token has one subscription, and its inbox is it
		t.Errorf("%s: subscribing to %s: %v", cell.Role, subject, errs)
	}
	if cell.How == "taken" {
		return
	}
	subject = strings.NewReplacer(">", "x.y", "*", "x").Replace(subject)
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if err := witness.Publish(subject, []byte(mark)); err != nil {
			t.Fatal(err)
		}
		if err := witness.FlushWithContext(ctxOf(t)); err != nil {
			t.Fatal(err)
		}
		l.sync()
		got, _ := l.take()
		if slices.ContainsFunc(got, func(a arrived) bool { return a.data == mark }) {
			return
		}
	}
	t.Errorf("%s: nothing of what is sent to %s arrives", cell.Role, subject)
}

// tryPublish is refused, with and without a reply.
func tryPublish(t *testing.T, c *cast, cell tenancy.Cell) {
	l, subject := c.line(t, cell.Role), c.subject(cell.Role, cell.Subject)
	l.take()
	if cell.How == "no-responders" {
		// A listener that has just gone may be known to the server for a moment still.
		for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			inbox := l.inbox()
			l.pub(subject, inbox, "", "")
			l.sync()
			for _, got := range at(inbox, l) {
				if !strings.HasPrefix(got.header, "NATS/1.0 503") {
					t.Errorf("%s: %s is answered: %v", cell.Role, subject, got)
				}
				return
			}
		}
		t.Errorf("%s: no answer that there are no responders on %s", cell.Role, subject)
		return
	}
	inbox := l.inbox()
	l.pub(subject, inbox, "", "{}")
	l.pub(subject, "", block("Nats-Msg-Id: x"), `{"seq":1}`)
	l.sync()
	errs := l.errs
	if got := at(inbox, l); len(got) > 0 || !contains(errs, "Violation") {
		t.Errorf("%s: %s is not refused: %v %v", cell.Role, subject, got, errs)
	}
}

// at takes what came to an inbox; answers to what was asked before are not it.
func at(inbox string, l *wire) []arrived {
	got, _ := l.take()
	return slices.DeleteFunc(got, func(a arrived) bool { return a.subject != inbox })
}

func trySubscribe(t *testing.T, c *cast, cell tenancy.Cell) {
	l, subject := c.line(t, cell.Role), c.subject(cell.Role, cell.Subject)
	l.take()
	l.write("SUB " + subject + " m2\r\n")
	l.sync()
	if _, errs := l.take(); !contains(errs, "Violation") && !contains(errs, "Subscriptions Exceeded") {
		t.Errorf("%s: subscribing to %s is not refused: %v", cell.Role, subject, errs)
	}
}

// tryAnswer has an answer sent somewhere.
func tryAnswer(t *testing.T, c *cast, cell tenancy.Cell) {
	ask := askings[cell.Via]
	if ask == nil {
		t.Fatalf("no way is known to ask for %s", cell.Via)
	}
	l, aim := c.line(t, cell.Role), c.subject(cell.Role, cell.Subject)
	if cell.Allowed {
		c.reaches(t, cell, func() { ask(l, aim); l.sync(); l.take() })
		return
	}
	var was uint64
	control := strings.HasPrefix(cell.Role, "CONTROL/")
	if control {
		was = c.revision(t)
	}
	l.take()
	ask(l, aim)
	l.sync()
	if got, _ := l.take(); len(got) > 0 && aim != "hint."+l.creds.Name {
		t.Errorf("%s has %s sent to %s: received %v", cell.Role, cell.Via, aim, got)
	}
	if control {
		if now := c.revision(t); now != was {
			t.Errorf("%s has %s sent to %s: the registry went from revision %d to %d", cell.Role, cell.Via, aim, was, now)
		}
	}
}

func (c *cast) revision(t *testing.T) uint64 {
	t.Helper()
	var s api.ClusterStatus
	if err := c.w.cluster.Admin.Do(ctxOf(t), api.NodeStatus, struct{}{}, &s); err != nil {
		t.Fatal(err)
	}
	return s.Revision
}

// reaches does something until one of acme's watchers has received something.
// That is all it does: nothing is stored, and globex receives nothing.
func (c *cast) reaches(t *testing.T, cell tenancy.Cell, do func()) {
	t.Helper()
	side := c.w.sides[acme]
	side.tolerant = true
	defer func() { side.tolerant = false }()
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); {
		was := side.reached
		c.w.attack(t, cell.Role+" has "+cell.Via+" sent to "+cell.Subject, 1, do)
		if side.reached > was {
			// What else is on its way still comes to the tolerant.
			for range 3 {
				side.unharmed(t, "acme", 1)
			}
			return
		}
	}
	t.Errorf("%s: %s does not arrive at %s", cell.Role, cell.Via, cell.Subject)
}

// pushes are consumers that deliver to the subject AIM.
var pushes = map[string]string{
	"events":                        `"stream_name":"EVENTS","config":{"name":"push","ack_policy":"none","deliver_policy":"last","deliver_subject":"AIM"}`,
	"dead letters to a queue group": `"stream_name":"DEAD","config":{"name":"push","ack_policy":"explicit","deliver_policy":"last","deliver_subject":"AIM","deliver_group":"ingress"}`,
	"states with flow control":      `"stream_name":"STATE","config":{"name":"push","ack_policy":"none","deliver_policy":"last","deliver_subject":"AIM","flow_control":true,"idle_heartbeat":100000000}`,
}

// makers are the roles that may make consumers.
var makers = []string{"tenant/inspector", "tenant/primary"}

func tryDeliver(t *testing.T, c *cast, cell tenancy.Cell) {
	cfg := pushes[cell.Via]
	if cfg == "" {
		t.Fatalf("no way is known to make a consumer of %s", cell.Via)
	}
	l, stream := c.line(t, cell.Role), strings.Split(cfg, `"`)[3]
	if !slices.Contains(makers, cell.Role) {
		l.take()
		l.pub("$JS.API.CONSUMER.CREATE."+stream+".push", l.inbox(), "", "{"+strings.Replace(cfg, "AIM", c.subject(cell.Role, cell.Subject), 1)+"}")
		l.sync()
		if _, errs := l.take(); !contains(errs, "Violation") {
			t.Errorf("%s makes a consumer: %v", cell.Role, errs)
		}
		return
	}
	if c.cleaner == nil {
		c.cleaner = c.w.cleaner(t)
	}
	do := func() {
		l.request("$JS.API.CONSUMER.CREATE."+stream+".push", "", "{"+strings.Replace(cfg, "AIM", c.subject(cell.Role, cell.Subject), 1)+"}")
	}
	if cell.Allowed {
		c.reaches(t, cell, do)
		c.w.sides[acme].tolerant = true
		defer func() { c.w.sides[acme].tolerant = false }()
	} else {
		do()
		c.w.sides[acme].unharmed(t, "a delivery", 1)
	}
	if _, err := c.cleaner.RequestWithContext(ctxOf(t), c.fill.Replace("a.CAP.CONSUMER.DELETE.")+stream+".push", nil); err != nil {
		t.Fatal(err)
	}
	c.w.sides[acme].unharmed(t, "acme after the consumer is gone", 1)
}

// tryName asks for a user with that name or subscription, and has the role's
// own key sign one.
func tryName(t *testing.T, c *cast, cell tenancy.Cell) {
	key, _, err := account.NewUserKey()
	if err != nil {
		t.Fatal(err)
	}
	_, role, _ := strings.Cut(cell.Role, "/")
	u := account.User{Name: cell.Subject, Key: key}
	req := api.CreateUser{Tenant: acme, Name: cell.Subject, Role: role, PublicKey: key, Subscriptions: []string{}}
	if cell.Via == "as its subscription" {
		u.Name, u.Subs = "other", []string{"all", cell.Subject}
		req.Name, req.Subscriptions = reader, []string{"all", cell.Subject}
	}
	if _, err := account.IssueUser(c.keys["tenant"], account.Role(role), u); err == nil {
		t.Errorf("a %s with %q %s was signed", role, cell.Subject, cell.Via)
	}
	var out api.CreatedUser
	if err := c.w.cluster.Admin.Do(ctxOf(t), api.UserCreate, req, &out); err == nil || out.JWT != "" {
		t.Errorf("a %s with %q %s was made", role, cell.Subject, cell.Via)
	}
}

// ways are how a header can be written.
var ways = map[string]func(name, line string) string{
	"as it is":                 func(_, line string) string { return block(line) },
	"in capitals":              func(name, line string) string { return block(strings.ToUpper(name) + strings.TrimPrefix(line, name)) },
	"in small letters":         func(name, line string) string { return block(strings.ToLower(name) + strings.TrimPrefix(line, name)) },
	"doubled":                  func(_, line string) string { return block(line, line) },
	"behind a line feed":       func(_, line string) string { return block("ce-id: 1\n" + line) },
	"behind a carriage return": func(_, line string) string { return block("ce-id: 1\r" + line) },
	"in a second block":        func(_, line string) string { return block("ce-id: 1") + block(line) },
}

// tryHeader writes something into a message that would be in order without.
func tryHeader(t *testing.T, c *cast, m tenancy.Matrix, cell tenancy.Cell) {
	l := c.line(t, cell.Role)
	l.take()
	switch way := ways[cell.Via]; {
	case cell.Via == "":
		i := slices.IndexFunc(m.Tricks, func(x tenancy.Trick) bool { return x.Shows == cell.Subject })
		play(t, l, m.Tricks[i])
	case way != nil:
		name, _, _ := strings.Cut(cell.Subject, ":")
		subject, data := goodEvent(l.creds.Name)
		l.pub(subject, l.inbox(), way(name, cell.Subject), data)
		l.sync()
		got, errs := l.take()
		if len(got) == 0 && len(errs) == 0 {
			got = append(got, l.await())
		}
		if len(errs) == 0 && codeOf(got[0].data) != int(admit.CodeHeader) {
			t.Errorf("%s: %q %s is answered %q", cell.Role, cell.Subject, cell.Via, got[0].data)
		}
	default: // another request than one to the door: it changes nothing, whichever it is
		for _, data := range []string{"", "{}"} {
			l.pub(cell.Via, l.inbox(), cell.Subject, data)
			l.sync()
			l.take()
		}
	}
}
