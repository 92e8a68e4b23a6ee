package serve

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"midplane/api"
	"midplane/console"
	"midplane/fault"
)

// auditDoor records acts, once it can.
type auditDoor struct {
	mu    sync.Mutex
	fail  []error
	got   []api.AuditAct
	taken chan struct{}
}

func (d *auditDoor) Query(context.Context, string, any, any) error { return nil }

func (d *auditDoor) Admin(_ context.Context, verb string, req, _ any) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.fail) > 0 {
		err := d.fail[0]
		d.fail = d.fail[1:]
		return err
	}
	if verb == api.AuditReport {
		d.got = append(d.got, req.(api.AuditAct))
		d.taken <- struct{}{}
	}
	return nil
}

// TestConsoleActsReachTheAuditLog: also when it does not answer at first, and
// when the server stops at once.
func TestConsoleActsReachTheAuditLog(t *testing.T) {
	var log strings.Builder
	door := &auditDoor{taken: make(chan struct{}, 10), fail: []error{fault.New(fault.Unavailable, "no leader")}}
	a := newAuditor(door, slog.New(slog.NewTextHandler(&log, nil)))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.run(ctx) }()
	a.add(console.Act{Kind: "user", Who: "ann", From: "192.0.2.1", Verb: "console.session.login", Result: "ok"})
	select {
	case <-door.taken:
	case <-time.After(90 * time.Second):
		t.Fatal("not reported")
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	a.add(console.Act{Verb: "console.session.login", Result: "refused"})
	if err := a.run(ctx); err != nil { // stopped already: it only flushes
		t.Fatal(err)
	}
	if len(door.got) != 2 || door.got[0].Who != "ann" || door.got[0].Detail != "kind=user" || door.got[0].ID == "" || door.got[1].Who != "" {
		t.Errorf("%+v", door.got)
	}
	for range auditWaits + 1 {
		a.add(console.Act{Verb: "console.session.login"})
	}
	door.fail = []error{fault.New(fault.Denied, "not yours"), fault.New(fault.Denied, "not yours")} // the first may meet the end of ctx
	a.acts = make(chan api.AuditAct, 1)
	a.add(console.Act{Verb: "console.session.logout"})
	if err := a.run(ctx); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "1000 wait for it") || !strings.Contains(log.String(), "not yours") {
		t.Errorf("log:\n%s", log.String())
	}
}
