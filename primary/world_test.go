package primary

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"midplane/api"
	"midplane/event"
	"midplane/subject"
)

// world is a real server in operator mode, with a CONTROL account, tenants and
// the exact permissions of the roles that a primary has, and a control plane
// of which only core.… is there.
type world struct {
	t        testing.TB
	operator nkeys.KeyPair
	srv      *server.Server
	resolver *server.MemAccResolver
	control  account
	dir      string

	mu       sync.Mutex
	revision uint64
	changed  chan struct{}
	tenants  map[event.Tenant]*worldTenant
	reports  map[event.Tenant]api.CursorReport
	findings map[string]api.Finding
	resent   map[string][]api.ResendRequest // by the primary that asked
	life     time.Duration                  // of a tenant's credentials; 0: they never end
	given    int                            // how often they were
}

type account struct {
	key    nkeys.KeyPair
	public string
}

type worldTenant struct {
	account
	core api.CoreTenant
	js   jetstream.JetStream
	seqs map[string]uint64
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), changed: make(chan struct{}), tenants: map[event.Tenant]*worldTenant{},
		reports: map[event.Tenant]api.CursorReport{}, findings: map[string]api.Finding{}, resent: map[string][]api.ResendRequest{}, resolver: &server.MemAccResolver{}}
	w.operator = ok(nkeys.CreateOperator())(t)
	sys := w.account("SYS", false)
	w.control = w.account("CONTROL", false)
	oc := jwt.NewOperatorClaims(ok(w.operator.PublicKey())(t))
	oc.SystemAccount = sys.public
	w.start(oc, sys)
	t.Cleanup(func() { w.srv.Shutdown(); w.srv.WaitForShutdown() })
	w.serveCore()
	return w
}

func ok[T any](v T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (w *world) start(oc *jwt.OperatorClaims, sys account) {
	w.t.Helper()
	claims := ok(jwt.DecodeOperatorClaims(ok(oc.Encode(w.operator))(w.t)))(w.t)
	srv, err := server.NewServer(&server.Options{
		ServerName: "n1", Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true, JetStream: true, StoreDir: filepath.Join(w.dir, "js"),
		TrustedOperators: []*jwt.OperatorClaims{claims}, AccountResolver: w.resolver, SystemAccount: sys.public,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	srv.Start()
	if !srv.ReadyForConnections(10 * time.Second) {
		w.t.Fatal("the server does not start")
	}
	w.srv = srv
}

func (w *world) account(name string, js bool) account {
	w.t.Helper()
	key := ok(nkeys.CreateAccount())(w.t)
	a := account{key: key, public: ok(key.PublicKey())(w.t)}
	c := jwt.NewAccountClaims(a.public)
	c.Name = name
	if js {
		c.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: 1 << 26, DiskStorage: 1 << 30, Streams: 10, Consumer: 100}
	}
	if err := w.resolver.Store(a.public, ok(c.Encode(w.operator))(w.t)); err != nil {
		w.t.Fatal(err)
	}
	return a
}

// user signs a JWT for a key that is kept elsewhere.
func (w *world) user(a account, name, public string, pub, sub []string) string {
	w.t.Helper()
	c := jwt.NewUserClaims(public)
	c.Name = name
	c.Permissions.Pub.Allow, c.Permissions.Sub.Allow = pub, sub
	if w.life > 0 {
		c.Expires = time.Now().Add(w.life).Unix()
	}
	return ok(c.Encode(a.key))(w.t)
}

// creds writes a .creds file.
func (w *world) creds(a account, name, file string, pub, sub []string) string {
	w.t.Helper()
	key := ok(nkeys.CreateUser())(w.t)
	token := w.user(a, name, ok(key.PublicKey())(w.t), pub, sub)
	body := ok(jwt.FormatUserConfig(token, ok(key.Seed())(w.t)))(w.t)
	path := filepath.Join(w.dir, file)
	if err := os.WriteFile(path, body, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

func (w *world) dial(creds, name string) *nats.Conn {
	w.t.Helper()
	nc, err := nats.Connect(w.srv.ClientURL(), nats.UserCredentials(creds), nats.CustomInboxPrefix(subject.InboxPrefix(name)))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(nc.Close)
	return nc
}

// config is a primary's; its credentials have the roles' permissions and no more.
func (w *world) config(name string) Config {
	return Config{
		Name: name, Dir: filepath.Join(w.dir, name), Servers: []string{w.srv.ClientURL()}, Version: "v1.2.3",
		CoreCreds:  w.creds(w.control, name, name+"-core.creds", []string{"core." + name + ".>"}, []string{"_INBOX." + name + ".>"}),
		QueryCreds: w.creds(w.control, name, name+"-query.creds", []string{"_INBOX.>", "_R_.>"}, []string{"query.>", "$SRV.>"}),
	}
}

func (w *world) query() *api.Query {
	w.t.Helper()
	creds := w.creds(w.control, "ops", "ops.creds", []string{"query.ops.>"}, []string{"_INBOX.ops.>"})
	return api.NewQuery(w.dial(creds, "ops"), "ops")
}

// add makes a tenant with its streams, which a primary then learns of.
func (w *world) add(id event.Tenant) *worldTenant {
	w.t.Helper()
	t := &worldTenant{account: w.account(string(id), true), seqs: map[string]uint64{}}
	creds := w.creds(t.account, "midplane-control", string(id)+".creds", []string{">"}, []string{">"})
	t.js = ok(jetstream.New(w.dial(creds, "midplane-control")))(w.t)
	t.core = api.CoreTenant{Tenant: id, Name: string(id), Account: t.public, Incarnations: map[string]uint64{}}
	for _, s := range event.Streams {
		w.makeStream(t, s, 1)
		t.core.Incarnations[s] = 1
	}
	w.change(func() { w.tenants[id] = t })
	return t
}

func (w *world) makeStream(t *worldTenant, stream string, first uint64) {
	w.t.Helper()
	cfg := jetstream.StreamConfig{Name: stream, Subjects: []string{string(event.KindOfStream(stream)) + ".>"}, FirstSeq: first}
	if stream == event.StreamState {
		cfg.MaxMsgsPerSubject = 1
	}
	if _, err := t.js.CreateStream(context.Background(), cfg); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	w.revision++
	close(w.changed)
	w.changed = make(chan struct{})
}

// put stores a message as the ingress would have.
func (t *worldTenant) put(tt testing.TB, kind event.Kind, entity event.Entity, typ event.Type, payload any, more ...string) uint64 {
	tt.Helper()
	in := subject.In{Producer: "syd-01", Kind: kind, Entity: entity, Type: typ}
	if kind == event.KindEvent {
		in.Severity = event.Warning
	}
	stream := kind.Stream()
	t.seqs[stream]++
	seq := t.seqs[stream]
	now := time.Now().UTC().Format(time.RFC3339Nano)
	id := fmt.Sprintf("syd-01/1/%s/%d", stream, seq)
	m := nats.NewMsg(in.StoredAs("syd").String())
	for name, value := range map[string]string{
		event.HeaderMsgID: id, event.HeaderID: id, event.HeaderTime: now, event.HeaderReceived: now, event.HeaderProducer: "syd-01",
		event.HeaderSite: "syd", event.HeaderEpoch: "1", event.HeaderSequence: fmt.Sprint(seq), event.HeaderLow: fmt.Sprint(seq - 1),
	} {
		m.Header[name] = []string{value}
	}
	for i := 0; i+1 < len(more); i += 2 {
		m.Header[more[i]] = []string{more[i+1]}
	}
	m.Data, _ = json.Marshal(payload)
	ack, err := t.js.PublishMsg(context.Background(), m)
	if err != nil {
		tt.Fatal(err)
	}
	return ack.Sequence
}
