//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
)

func (s *story) separate(t *testing.T) {
	s.apart(t)
	// With the credentials of acme's poller, at the place where it is.
	poller := as(t, s, s.cafile, "acme", pollers["acme"], s.poller(t, "acme"), s.servers())
	defer poller.nc.Close()
	down := []byte(`{"device":"this-host","status":"down","method":"host"}`)
	for _, subj := range []string{
		"in.hq-01.state.this-host.net.reachability.v1", // as globex' poller
		"state.hq.this-host.net.reachability.v1",       // past the door
		"event.hq.critical.this-host.net.reachability.changed.v1",
		"w.guess.state.hq.this-host.net.reachability.v1",
		"control.hq-01.config", "admin.admin.tenant.list", "core.primary-1.tenants",
		"$JS.API.STREAM.LIST", "$JS.API.STREAM.MSG.GET.STATE", "$SYS.REQ.SERVER.PING", "_INBOX.hq-01.x",
	} {
		poller.mayNotPublish(t, subj, down)
	}
	for _, subj := range []string{">", "in.>", "state.>", "_INBOX.>", "_INBOX.hq-01.>", "hint.hq-01", "$SYS.>", "w.>"} {
		poller.mayNotListen(t, subj)
	}
	s.sameNames(t)
	s.readsOwn(t)
}

// sameNames has acme make a producer with the very name of globex' poller and
// speak about a device with the very id of globex' device.
func (s *story) sameNames(t *testing.T) {
	const name = "hq-01"
	u := as(t, s, s.cafile, "acme", name, s.user(t, "acme", "producer", name), s.servers())
	defer u.nc.Close()
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	ack, err := u.js.Publish(ctx, "in."+name+".state.this-host.net.reachability.v1", []byte(`{"device":"this-host","status":"down","method":"host","address":"sent-by-acme"}`))
	if err != nil {
		t.Fatalf("acme's own producer is refused: %v", err)
	}
	if ack.Stream != "STATE" {
		t.Fatalf("stored in %s", ack.Stream)
	}
	// It is there when something later of the same stream has been folded:
	// acme's poller goes on reporting.
	eventually(t, 3*time.Minute, "acme's own device is seen after that", func() error { return allUp(s, "acme", time.Now().Add(-5*time.Second), devices["acme"]...) })
	rows, err := list[api.Device](s, "devices", "tenant=globex")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range rows {
		if d.Status != "up" || strings.Contains(d.Address+d.Message, "acme") {
			t.Errorf("what acme sent reached globex: %+v", d)
		}
	}
}

// readsOwn has the one of acme who may read everything read everything.
func (s *story) readsOwn(t *testing.T) {
	u := as(t, s, s.cafile, "acme", "ann", s.user(t, "acme", "inspector", "ann"), s.servers())
	defer u.nc.Close()
	for _, stream := range []string{"EVENTS", "STATE", "METRICS"} {
		// The first metrics may come later than the first states.
		eventually(t, time.Minute, "acme's inspector reads "+stream, func() error { return u.readsOnly(t, stream, "syd", "_") })
	}
	u.mayNotPublish(t, "in.syd-01.state.this-host.net.reachability.v1", []byte(`{"device":"this-host","status":"down","method":"host"}`))
	u.mayNotListen(t, "state.>")
}

// readsOnly reads what a stream holds, at least one message, all of these sites.
func (u *user) readsOnly(t *testing.T, stream string, sites ...string) error {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	c, err := u.js.CreateConsumer(ctx, stream, jetstream.ConsumerConfig{AckPolicy: jetstream.AckNonePolicy, InactiveThreshold: 30 * time.Second})
	if err != nil {
		return err
	}
	batch, err := c.FetchNoWait(1000)
	if err != nil {
		return err
	}
	read := 0
	for m := range batch.Messages() {
		read++
		site, _, _ := strings.Cut(strings.TrimPrefix(m.Subject(), strings.ToLower(strings.TrimSuffix(stream, "S"))+"."), ".")
		if !slices.Contains(sites, site) {
			t.Errorf("%s reads %s in %s", u.name, m.Subject(), stream)
		}
	}
	if err := batch.Error(); err != nil {
		return err
	}
	if read == 0 {
		return fmt.Errorf("nothing is read of %s", stream)
	}
	return nil
}
