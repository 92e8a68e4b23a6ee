package registry

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
)

// The server itself keeps the log: a client that could ask the whole JetStream API
// may neither purge it, nor delete a record, nor have that allowed again.
func TestServerKeepsTheAuditLog(t *testing.T) {
	s := broker(t, t.TempDir(), 0)
	defer stop(s)
	js := connect(t, s)
	ctx := testContext(t)
	log, err := OpenAudit(ctx, js, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Append(ctx, api.AuditRecord{ID: "1", Who: "ann", Verb: "user.create", Result: api.AuditOK}); err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(ctx, StreamAudit)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, err error) {
		t.Helper()
		if err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("purge", stream.Purge(ctx))
	refused("delete", stream.DeleteMsg(ctx, 1))
	refused("secure delete", stream.SecureDeleteMsg(ctx, 1))
	for name, change := range map[string]func(*jetstream.StreamConfig){
		"allow deletion": func(c *jetstream.StreamConfig) { c.DenyDelete = false },
		"allow purge":    func(c *jetstream.StreamConfig) { c.DenyPurge = false },
		"allow roll-up":  func(c *jetstream.StreamConfig) { c.AllowRollup = true },
	} {
		cfg := stream.CachedInfo().Config
		change(&cfg)
		_, err := js.UpdateStream(ctx, cfg)
		refused(name, err)
	}
	if _, err := OpenAudit(ctx, js, 1); err != nil { // the next start
		t.Fatal(err)
	}
	if first, last, _, err := log.Bounds(ctx); err != nil || first != 1 || last != 1 {
		t.Errorf("%d to %d, %v", first, last, err)
	}
}

// Reading goes in order over more records than one batch, from anywhere to
// anywhere, and stops when it is asked to.
func TestReadTheAuditLog(t *testing.T) {
	s := broker(t, t.TempDir(), 0)
	defer stop(s)
	js := connect(t, s)
	ctx := testContext(t)
	log, err := OpenAudit(ctx, js, 1)
	if err != nil {
		t.Fatal(err)
	}
	const n = 3*auditBatch + 7
	for i := range n {
		if err := log.Append(ctx, api.AuditRecord{ID: fmt.Sprint(i + 1), Who: "ann", Verb: "user.create", Result: api.AuditOK}); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range []struct{ from, to, stop, want uint64 }{
		{1, n, n, n}, {0, n, n, n}, {2, 2, n, 1}, {n, n, n, 1}, {5, 4, n, 0}, {10, n, 12, 3}, {n + 1, n + 1, n, 0}, {n - 1, n + 3, n + 3, 2},
	} {
		var got uint64
		err := log.Read(ctx, x.from, x.to, 100*time.Millisecond, func(r api.AuditRecord) bool {
			if want := max(x.from, 1) + got; r.Seq != want || r.ID != fmt.Sprint(want) {
				t.Fatalf("%+v: record %d is %+v", x, want, r)
			}
			got++
			return r.Seq < x.stop
		})
		if err != nil || got != x.want {
			t.Errorf("%+v: %d records, %v", x, got, err)
		}
	}
}
