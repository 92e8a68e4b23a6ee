package tenancy_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/bus"
	"midplane/event"
	"midplane/internal/testcluster"
	"midplane/platform/ingress/admit"
	"midplane/subject"
	"midplane/tenants"
	"midplane/tenants/account"
)

// small makes a tenant with a type "test.blob.v1", which takes any text.
func small(t *testing.T, c *testcluster.Cluster, id, policy string, quota map[string]any) (feed, ops *nats.Conn) {
	t.Helper()
	s, err := spec(id, policy, quota)
	if err != nil {
		t.Fatal(err)
	}
	blob := map[string]any{"type": "test.blob.v1", "kind": "state", "version": 1, "example": map[string]any{"blob": "x"}, "line": "{blob}",
		"schema": map[string]any{"type": "object", "required": []string{"blob"}, "properties": map[string]any{"blob": map[string]any{"type": "string"}}, "additionalProperties": false}}
	data, err := json.Marshal([]any{blob})
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &s.Schemas); err != nil {
		t.Fatal(err)
	}
	if err := c.Apply(ctxOf(t), s, api.AccountPushed, api.StreamsReady, api.SchemasBound, api.IngressOpen); err != nil {
		t.Fatal(err)
	}
	open := func(role account.Role, name string) *nats.Conn {
		path, err := c.User(ctxOf(t), id, role, name)
		if err != nil {
			t.Fatal(err)
		}
		nc, err := nats.Connect(strings.Join(c.Servers(), ","), nats.DontRandomize(), nats.UserCredentials(path), nats.CustomInboxPrefix("_INBOX."+name),
			nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		return nc
	}
	return open(account.RoleProducer, producer), open(account.RoleInspector, inspector)
}

// answer is what a publish was answered with.
type answer struct {
	bus.Ack
	Error *jetstream.APIError `json:"error"`
}

func (a answer) code() int {
	if a.Error == nil {
		return 0
	}
	return int(a.Error.ErrorCode)
}

func say(t *testing.T, nc *nats.Conn, subject, data string) answer {
	t.Helper()
	msg, err := nc.Request(subject, []byte(data), 10*time.Second)
	if err != nil {
		t.Fatalf("%s: %v", subject, err)
	}
	var a answer
	if err := json.Unmarshal(msg.Data, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

const fromFeed = "in.feed.event.info.r1.net.reachability.changed.v1"

// Over its rate a producer is asked to come back at a time, and then it may.
func TestRateLimit(t *testing.T) {
	feed, _ := small(t, shared(t).cluster, "slow", tenants.PolicyEnforce, map[string]any{"messageRate": 3, "producerMessageRate": 3})
	if a := say(t, feed, fromFeed, valid); a.code() != 0 {
		t.Fatalf("the first one: %v", a.Error)
	}
	a := say(t, feed, fromFeed, valid)
	if a.code() != int(admit.CodeRate) || a.Error.Code != 429 {
		t.Fatalf("the second one at once: %+v %v, want 429: a node's share is one a second", a, a.Error)
	}
	when := regexp.MustCompile(`retry in (\d+) ms`).FindStringSubmatch(a.Error.Description)
	if when == nil {
		t.Fatalf("%q does not say when to retry", a.Error.Description)
	}
	ms, err := strconv.Atoi(when[1])
	if err != nil || ms < 1 || ms > 1001 {
		t.Fatalf("asked to wait %s ms", when[1])
	}
	time.Sleep(time.Duration(ms) * time.Millisecond)
	if a := say(t, feed, fromFeed, valid); a.code() != 0 || a.Seq != 2 {
		t.Errorf("came back when asked to: %+v %v", a, a.Error)
	}
}

// header returns a stored message's headers and subject.
func header(t *testing.T, ops *nats.Conn, stream string, seq uint64) (nats.Header, string) {
	t.Helper()
	msg, err := ops.Request("$JS.API.STREAM.MSG.GET."+stream, []byte(fmt.Sprintf(`{"seq":%d}`, seq)), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Message struct {
			Subject string `json:"subject"`
			Hdrs    []byte `json:"hdrs"`
		} `json:"message"`
	}
	if err := json.Unmarshal(msg.Data, &got); err != nil || got.Message.Subject == "" {
		t.Fatalf("%s %d: %s", stream, seq, msg.Data)
	}
	h, err := nats.DecodeHeadersMsg(got.Message.Hdrs)
	if err != nil {
		t.Fatal(err)
	}
	return h, got.Message.Subject
}

// Under "warn" what breaks its schema is stored, and says so.
func TestWarnPolicy(t *testing.T) {
	feed, ops := small(t, shared(t).cluster, "lax", tenants.PolicyWarn, map[string]any{"messageSize": "1KiB"})
	for _, tc := range []struct{ shows, subject, data, says string }{
		{"a broken payload", fromFeed, `{"device":"r1"}`, "required"},
		{"no JSON at all", fromFeed, "hello", "net.reachability.changed.v1"},
		{"an unknown type", "in.feed.event.info.r1.no.such.v1", "{}", "no.such.v1"},
	} {
		a := say(t, feed, tc.subject, tc.data)
		if a.code() != 0 {
			t.Fatalf("%s: %v", tc.shows, a.Error)
		}
		h, _ := header(t, ops, event.StreamEvents, a.Seq)
		if got := h["ce-violation"]; len(got) != 1 || !strings.Contains(got[0], tc.says) {
			t.Errorf("%s: ce-violation %q does not say %q", tc.shows, got, tc.says)
		}
	}
	a := say(t, feed, fromFeed, valid)
	if h, _ := header(t, ops, event.StreamEvents, a.Seq); h["ce-violation"] != nil || h["ce-schemaversion"] == nil {
		t.Errorf("a good message is marked: %v", h)
	}
	if a := say(t, feed, fromFeed, strings.Repeat("a", 1025)); a.code() != int(admit.CodeSize) || a.Error.Code != 413 {
		t.Errorf("a message larger than the tenant's size: %v", a.Error)
	}
}

// Every refused message is kept with its reason.
func TestDeadLettersHoldTheRefusals(t *testing.T) {
	feed, ops := small(t, shared(t).cluster, "strict", tenants.PolicyEnforce, map[string]any{"messageSize": "1KiB"})
	refusals := []struct {
		subject, header, data, reason string
		code                          admit.Code
	}{
		{fromFeed, "", `{"device":"r1"}`, subject.DeadSchema, admit.CodeSchema},
		{fromFeed, "", strings.Repeat("a", 1025), subject.DeadSize, admit.CodeSize},
		{"in.feed.state.r1.no.such.v1", "", "{}", subject.DeadUnknownType, admit.CodeUnknownType},
		{fromFeed, "Nats-Rollup", valid, subject.DeadHeader, admit.CodeHeader},
		{"in.feed.dead.EVENTS.dropped.r1.x.v1", "", "x", subject.DeadDenied, admit.CodeRole},
		{"in.feed.nonsense", "", "x", subject.DeadHeader, admit.CodeSubject},
	}
	for i, r := range refusals {
		m := &nats.Msg{Subject: r.subject, Data: []byte(r.data)}
		if r.header != "" {
			m.Header = nats.Header{r.header: {"all"}}
		}
		msg, err := feed.RequestMsg(m, 10*time.Second)
		if err != nil || codeOf(string(msg.Data)) != int(r.code) {
			t.Fatalf("%+v: %v", r, err)
		}
		h, stored := header(t, ops, event.StreamDead, await(t, ops, i+1))
		st, err := subject.ParseStored(stored)
		if err != nil || st.DeadReason != r.reason || st.Producer != producer {
			t.Errorf("stored at %s, want reason %s: %v", stored, r.reason, err)
		}
		for name, want := range map[string]string{"ce-deadreason": r.reason, "ce-deadcode": strconv.Itoa(int(r.code)), "ce-deadsize": strconv.Itoa(len(r.data)),
			"ce-deadattempts": "1", "ce-producer": producer, "ce-source": account.UserIngress} {
			if got := h[name]; len(got) != 1 || got[0] != want {
				t.Errorf("%s: %s = %q, want %q", r.subject, name, got, want)
			}
		}
		if d := h["ce-deaddetail"]; len(d) != 1 || d[0] == "" {
			t.Errorf("%s: it does not say why", r.subject)
		}
		if h[r.header] != nil && r.header != "" {
			t.Errorf("the refused header is stored")
		}
	}
}

// await waits until DEAD has its nth message: the ingress answers first.
func await(t *testing.T, ops *nats.Conn, n int) uint64 {
	t.Helper()
	for ctx := ctxOf(t); ctx.Err() == nil; {
		msg, err := ops.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET.DEAD", []byte(fmt.Sprintf(`{"seq":%d}`, n)))
		if err == nil && !strings.Contains(string(msg.Data), `"error"`) {
			return uint64(n)
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("there is no dead letter %d", n)
	return 0
}

// STATE keeps its last fifth for updates of what it has.
func TestHeadroomOfState(t *testing.T) {
	feed, _ := small(t, shared(t).cluster, "tiny", tenants.PolicyEnforce, map[string]any{"storage": "16MiB", "messageRate": 1_000_000})
	blob := `{"blob":"` + strings.Repeat("x", 100_000) + `"}`
	state := func(entity int) answer {
		return say(t, feed, fmt.Sprintf("in.feed.state.e%d.test.blob.v1", entity), blob)
	}
	stored := 0
	var last answer
	for last.code() == 0 && stored < 100 {
		if last = state(stored); last.code() == 0 {
			stored++
		}
	}
	if last.code() != int(admit.CodeStreamFull) || last.Error.Code != 503 || !strings.Contains(last.Error.Description, "known entities only") {
		t.Fatalf("after %d states: %+v %v, want the ingress' 10077", stored, last, last.Error)
	}
	if limit := 16 << 20 / 5; stored*100_000 > limit*82/100 {
		t.Errorf("%d states of 100 kB went into %d bytes", stored, limit)
	}
	for i := range 20 {
		if a := state(i % stored); a.code() != 0 {
			t.Fatalf("update %d of a known entity: %v", i, a.Error)
		}
	}
	if a := state(1000); a.code() != int(admit.CodeStreamFull) {
		t.Errorf("a new entity: %+v %v", a, a.Error)
	}
	if a := say(t, feed, fromFeed, valid); a.code() != 0 {
		t.Errorf("an event: %v", a.Error)
	}
}

// A rate that is raised and lowered holds on the running cluster, and what one
// producer is refused for costs another of its tenant nothing.
func TestRatesChange(t *testing.T) {
	quota := map[string]any{"messageRate": 600, "producerMessageRate": 2, "connectionsPerUser": 4}
	feed, _ := small(t, shared(t).cluster, "tunable", tenants.PolicyEnforce, quota)
	// limited publishes until a message is refused.
	limited := func(what string) {
		t.Helper()
		for ctx := ctxOf(t); ctx.Err() == nil; {
			switch a := say(t, feed, fromFeed, valid); a.code() {
			case 0:
			case int(admit.CodeProducerRate):
				return
			default:
				t.Fatalf("%s: %+v %v", what, a, a.Error)
			}
		}
		t.Fatalf("%s: everything passes", what)
	}
	limited("at two a second")
	other := shared(t).cluster.As(t, "tunable", account.RoleProducer, "other")
	limited("at two a second, again")
	if a := say(t, other, "in.other.event.info.r1.net.reachability.changed.v1", valid); a.code() != 0 {
		t.Errorf("another producer of the tenant: %v", a.Error)
	}
	change := func(rate int) {
		t.Helper()
		quota["producerMessageRate"] = rate
		s, err := spec("tunable", tenants.PolicyEnforce, quota)
		if err != nil {
			t.Fatal(err)
		}
		if err := shared(t).cluster.Apply(ctxOf(t), s, api.AccountPushed, api.SchemasBound, api.IngressOpen); err != nil {
			t.Fatal(err)
		}
	}
	change(500)
	time.Sleep(100 * time.Millisecond) // the bucket was empty: 50 come in
	for n := range 20 {
		if a := say(t, feed, fromFeed, valid); a.code() != 0 {
			t.Fatalf("raised to 500 a second, message %d: %v", n, a.Error)
		}
	}
	change(1)
	limited("lowered to one a second")
}
