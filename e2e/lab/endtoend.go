package lab

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/bus"
	"midplane/event"
	"midplane/internal/testcluster"
	"midplane/poller/outbox"
	"midplane/telemetry"
)

const (
	endToEnd   = "end-to-end"
	pollerUser = "syd-01"
	// How much the poller has to do: every check is a change, each second.
	polled   = 4
	perPoll  = 2
	emptied  = 60 * time.Second // how long the outbox may take, once all is well
	pollerIn = "data-poller"
)

// EndToEnd is a poller process: outbox, door, stream, primary, ledger. Its checks ask
// a server that answers well and badly by turns. What no schema allows a poller does not
// send: that comes from the set, and its dead letters are counted here.
type EndToEnd struct {
	flap *testcluster.Flapping
}

// Name is the workload's.
func (e *EndToEnd) Name() string { return endToEnd }

// Declare declares the poller and its devices.
func (e *EndToEnd) Declare(w *World) {
	e.flap = testcluster.NewFlapping(w.t)
	w.users[pollerUser] = []string{"poller"}
	lines := []string{"pollers: [{id: " + pollerUser + "}]", "devices:"}
	for d := range polled {
		lines = append(lines, fmt.Sprintf("  - {id: r%d, address: 127.0.0.1, checks: [", d))
		for c := range perPoll {
			lines = append(lines, fmt.Sprintf("      {name: web-%d, collector: http, interval: 1s, timeout: 1s, params: {url: \"%s/r%d/%d\"}},", c, e.flap.URL, d, c))
		}
		lines = append(lines, "    ]}")
	}
	w.pollers += indented(2, lines...)
}

// Run runs the poller; it runs on until it is judged.
func (e *EndToEnd) Run(ctx context.Context, w *World) error {
	_, err := w.sys.Start("poller", "poller", "--creds", w.creds[pollerUser], "--server", strings.Join(w.sys.Servers, ","), "--ca", w.sys.CA(),
		"--data", filepath.Join(w.sys.Dir, pollerIn), "--http", "127.0.0.1:0")
	<-ctx.Done()
	return err
}

// Judge holds what the poller acknowledged against the streams, the primary, and what
// the ledger says.
func (e *EndToEnd) Judge(ctx context.Context, w *World) (p Part) {
	e.flap.Steady.Store(true)
	wait, cancel := context.WithTimeout(ctx, emptied)
	defer cancel()
	if err := w.sys.Await(wait, func(ctx context.Context) error { return outboxEmpty(ctx, w.sys) }); err != nil {
		p.find("the outbox is not empty: %v", err)
	}
	w.sys.Stop("poller")
	out, err := readOutbox(ctx, filepath.Join(w.sys.Dir, pollerIn, "outbox.db"))
	if err != nil {
		p.find("%v", err)
		return p
	}
	accounts := map[string]*account{}
	dead := map[string]int{} // by what was refused
	for _, lane := range out.Lanes {
		accounts[lane.Stream] = newAccount(out.Epoch, lane)
	}
	for _, stream := range event.Streams {
		if err := w.read(ctx, stream, func(m jetstream.Msg) error {
			if stream == event.StreamDead {
				dead[deadID(m.Data())]++
				return nil
			}
			ev, err := bus.Parse(m.Subject(), m.Headers(), m.Data())
			if err == nil && ev.Producer == pollerUser {
				accounts[stream].add(ev)
			}
			return err
		}); err != nil {
			p.find("%s: %v", stream, err)
			return p
		}
	}
	sent, given := uint64(0), 0
	for _, a := range accounts {
		sent += a.lane.Low
		given += len(a.gone)
		p.Findings = append(p.Findings, a.judge()...)
	}
	p.Findings = append(p.Findings, e.primary(ctx, w, accounts)...)
	letters := deadLetters(w.set.refused, dead, w.truth.calm)
	p.Findings = append(p.Findings, letters.Findings...)
	p.Figures = fmt.Sprintf("%d acknowledged to the poller, %d given up, all others stored once; %s", sent, given, letters.Figures)
	return p
}

// outboxEmpty reports an error until the poller says that nothing waits.
func outboxEmpty(ctx context.Context, d *testcluster.Deployment) error {
	var rows []api.Poller
	if err := d.Get(ctx, &rows, "pollers", "--tenant", tenant); err != nil {
		return err
	}
	for _, r := range rows {
		if r.ID == pollerUser && r.Status == api.PollerOnline && r.Outbox == 0 && r.Epoch > 0 {
			return nil
		}
	}
	return fmt.Errorf("%+v", rows)
}

// readOutbox reads what the outbox of a poller that has ended says.
func readOutbox(ctx context.Context, path string) (s outbox.Stats, err error) {
	o, err := outbox.Open(ctx, outbox.Config{Path: path, Producer: pollerUser}, telemetry.Nop())
	if err != nil {
		return s, err
	}
	return o.Stats(), o.Close()
}

// primary waits until the primary has what was stored, each once, and its ledger
// agrees; what it finds otherwise.
func (e *EndToEnd) primary(ctx context.Context, w *World, accounts map[string]*account) (found []string) {
	if err := w.sys.Await(ctx, func(ctx context.Context) error {
		var rows []api.Event
		if err := w.sys.Get(ctx, &rows, "events", "--tenant", tenant, "--limit", "0"); err != nil {
			return err
		}
		var ledger []api.Account
		if err := w.sys.Get(ctx, &ledger, "ledger", "--tenant", tenant); err != nil {
			return err
		}
		if found = append(accounts[event.StreamEvents].inPrimary(rows), inLedger(accounts, ledger)...); len(found) > 0 {
			return fmt.Errorf("%d findings", len(found))
		}
		return nil
	}); err != nil && len(found) == 0 {
		found = append(found, fmt.Sprintf("primary: %v", err))
	}
	return found
}
