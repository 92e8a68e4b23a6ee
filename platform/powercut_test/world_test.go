package powercut_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/event"
	"midplane/internal/testcluster"
	"midplane/telemetry"
	"midplane/tenants/account"
)

// patience bounds every wait; leaders is the promise: how long after a start
// every stream has a leader at the latest.
const (
	patience = 90 * time.Second
	leaders  = 60 * time.Second
)

const acme, feed = "acme", "feed"

// world is a deployment whose cluster is started and stopped.
type world struct {
	*testcluster.Cluster
	t     *testing.T
	dir   string
	opts  testcluster.Options
	log   *restarts
	began time.Time // when the nodes were started
}

// newWorld starts nodes with synced files in dir: three, unless opts say otherwise.
func newWorld(t *testing.T, dir string, opts testcluster.Options) *world {
	t.Helper()
	w := &world{t: t, dir: dir, opts: opts, log: &restarts{}}
	tel := telemetry.Nop()
	tel.Log = slog.New(w.log)
	w.opts.Tel = &tel
	w.start()
	return w
}

// start starts the cluster on what is in w.dir.
func (w *world) start() {
	w.t.Helper()
	w.began = time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := testcluster.New(ctx, w.dir, w.opts)
	if err != nil {
		w.t.Fatalf("start the cluster: %v", err)
	}
	w.Cluster = c
	w.t.Cleanup(func() {
		if err := c.Close(); err != nil {
			w.t.Errorf("stop the cluster: %v", err)
		}
	})
}

// stop stops all nodes.
func (w *world) stop() {
	w.t.Helper()
	for _, name := range w.Names() {
		w.Stop(name)
	}
}

// onboard makes the tenant acme.
func (w *world) onboard() { w.t.Helper(); w.add(acme) }

// add makes a tenant.
func (w *world) add(tenant string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := w.Apply(ctx, testcluster.Tenant(tenant), api.AccountPushed, api.StreamsReady, api.SchemasBound, api.IngressOpen); err != nil {
		w.t.Fatal(err)
	}
}

// user makes a user of acme and returns the path of its credentials.
func (w *world) user(role account.Role, name string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	creds, err := w.User(ctx, acme, role, name)
	if err != nil {
		w.t.Fatal(err)
	}
	return creds
}

// publish sends one event as feed and waits until it is acknowledged.
func (w *world) publish(creds, device string) error {
	nc, err := w.Connect(creds, feed)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err = js.PublishMsg(ctx, &nats.Msg{Subject: fmt.Sprintf("in.%s.event.info.%s.%s", feed, device, event.TypeReachabilityChanged), Header: nats.Header{},
		Data: []byte(`{"device":"` + device + `","from":"up","to":"down","message":"gone"}`)})
	return err
}

// led reports which of the four streams have no leader.
func (w *world) led() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var page api.Page[api.Stream]
	if err := w.Admin.Do(ctx, api.StreamList, api.ListRequest{Tenant: acme}, &page); err != nil {
		return err
	}
	led := 0
	for _, s := range page.Items {
		if s.Leader != "" {
			led++
		}
	}
	if led != 4 {
		return fmt.Errorf("%d of 4 streams have a leader: %+v", led, page.Items)
	}
	return nil
}

// holds reports whether EVENTS has the event about a device.
func (w *world) holds(creds, device string) error {
	nc, err := w.Connect(creds, "ops")
	if err != nil {
		return err
	}
	defer nc.Close()
	body, err := json.Marshal(map[string]string{"last_by_subj": fmt.Sprintf("event.*.*.*.%s.>", device)})
	if err != nil {
		return err
	}
	for _, ask := range []string{string(body), `{"seq":1}`} {
		msg, err := nc.Request("$JS.API.STREAM.MSG.GET."+event.StreamEvents, []byte(ask), 5*time.Second)
		if err != nil {
			return err
		}
		var answer struct {
			Message *struct {
				Data []byte `json:"data"`
			} `json:"message"`
		}
		if err := json.Unmarshal(msg.Data, &answer); err != nil {
			return err
		}
		if answer.Message != nil && strings.Contains(string(answer.Message.Data), `"`+device+`"`) {
			return nil
		}
	}
	return fmt.Errorf("EVENTS does not hold the event of %s", device)
}

// recovers checks what must hold after every start: leaders within the bound,
// the event that was acknowledged is there, and a new one is acknowledged.
func (w *world) recovers(producer, inspector, device string) {
	w.t.Helper()
	w.within(leaders-time.Since(w.began), "every stream has a leader", w.led)
	took := time.Since(w.began)
	w.within(patience, "the acknowledged event is there", func() error { return w.holds(inspector, device) })
	w.within(patience, "an event is acknowledged", func() error { return w.publish(producer, "after-"+device) })
	w.t.Logf("every stream has a leader %s after the nodes were started", took.Round(100*time.Millisecond))
}

// within asks until f has no complaint, and fails with the last one.
func (w *world) within(limit time.Duration, what string, f func() error) {
	w.t.Helper()
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if time.Since(began) > limit {
			w.t.Fatalf("%s: not within %s: %v", what, limit, err)
		}
	}
}

// jwts returns the files with account JWTs of one node: the resolver's, and the
// node's own copies.
func (w *world) jwts(node, folder string) []string {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(w.dir, "nodes", node, folder, "*.jwt"))
	if err != nil || len(files) < 3 {
		w.t.Fatalf("%s of %s holds %v, %v; SYS, CONTROL and acme belong there", folder, node, files, err)
	}
	return files
}

// empty truncates the files of the server's own account folder on all nodes, as
// a power cut does.
func (w *world) empty() {
	w.t.Helper()
	for _, node := range w.Names() {
		for _, path := range w.jwts(node, "accounts") {
			if err := os.Truncate(path, 0); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// forgetCopies removes a node's own copies.
func (w *world) forgetCopies(node string) {
	w.t.Helper()
	for _, path := range w.jwts(node, "account-copies") {
		if err := os.Remove(path); err != nil {
			w.t.Fatal(err)
		}
	}
}

// sameAccounts compares the account files and the copies of two nodes.
func (w *world) sameAccounts(one, other string) error {
	for _, folder := range []string{"accounts", "account-copies"} {
		for _, path := range w.jwts(one, folder) {
			want, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			got, err := os.ReadFile(filepath.Join(w.dir, "nodes", other, folder, filepath.Base(path)))
			if err != nil {
				return err
			}
			if len(want) == 0 || string(got) != string(want) {
				return fmt.Errorf("%s: %d bytes at %s, %d other bytes at %s", filepath.Base(path), len(want), one, len(got), other)
			}
		}
	}
	return nil
}

// quiet waits until every node had the time to find a stream missing: three
// times what it takes for that.
func (w *world) quiet() {
	w.t.Helper()
	until := time.Now().Add(15 * time.Second)
	w.within(patience, "the nodes are healthy for a while", func() error {
		if err := w.Healthy(context.Background()); err != nil {
			return err
		}
		if time.Now().Before(until) {
			return errors.New("not for long enough")
		}
		return nil
	})
}

// refused is nil when a user is not let in by any node.
func (w *world) refused(creds, user string) error {
	for _, url := range w.Servers() {
		nc, err := nats.Connect(url, nats.UserCredentials(creds), nats.CustomInboxPrefix("_INBOX."+user), nats.Timeout(5*time.Second))
		if err == nil {
			nc.Close()
			return fmt.Errorf("%s lets %s in", url, user)
		}
		if !errors.Is(err, nats.ErrAuthorization) {
			return err
		}
	}
	return nil
}
