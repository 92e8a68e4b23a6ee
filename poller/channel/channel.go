// Package channel is a poller's end of the control channel: over it the poller
// asks what to watch and for the secrets that this refers to, is given hints that
// there is something new, and reports how it is. What it was given is kept on
// disk, secrets sealed with a key derived from the poller's own, so that a poller
// works on when the control plane does not answer.
//
// config.go asks for the configuration and keeps it, parts.go does so part by part
// when it is large, secrets.go for secrets and
// secretstore.go keeps those, hint.go listens to hints, report.go reports, line.go
// moves all of it to another connection when credentials are renewed, and
// credentials.go reads the poller's key. It may import api and what is below it.
package channel

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"golang.org/x/sync/errgroup"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/spread"
	"midplane/internal/wait"
	"midplane/subject"
)

const (
	askEvery    = 10 * time.Second
	reportEvery = 5 * time.Second
	askTimeout  = 5 * time.Second
	// Without an answer it asks again after a delay that grows from retryFirst to
	// retryMost.
	retryFirst = 100 * time.Millisecond
	retryMost  = 5 * time.Second
	// stubborn is how many answers in a row must be older than what is had,
	// before that is believed: one may come from a node that lags behind, all
	// of them mean that the registry was restored.
	stubborn = 3
	// configFile keeps the last good configuration.
	configFile = "config.json"
)

// Config says whose channel it is, and who is given what comes over it.
type Config struct {
	User      string // name of the poller, and of its user
	Dir       string // of what is kept on disk
	CredsFile string // its key signs requests and seals secrets

	Apply func(api.PollerConfig)   // a configuration that is another one
	Pace  func(api.Pace)           // with every answer that has one
	Types func(map[event.Type]int) // versions that the doors take, with every answer
	Polls func(*api.Polls)         // whether and how only changes are sent, with every answer
}

// Channel is the poller's end of the control channel: it keeps the
// configuration current and reports how the poller is.
type Channel struct {
	cfg   Config
	path  string // of the last good configuration
	log   *slog.Logger
	store *secretStore
	hints chan struct{} // ask now

	mu      sync.Mutex
	have    api.PollerConfig
	want    uint64 // a hint named it
	secrets uint64 // and this, for secrets

	// asking's own, and before it Restore's.
	parts      *parts
	older      int  // answers in a row that were older
	unanswered int  // questions for secrets in a row
	unserved   int  // questions for a revision that was hinted at, in a row
	silent     bool // the last question had no answer
}

// New returns a channel that has nothing yet: Restore reads what is on disk, and
// Run asks.
func New(cfg Config, log *slog.Logger) *Channel {
	return &Channel{
		cfg: cfg, path: filepath.Join(cfg.Dir, configFile), log: log, hints: make(chan struct{}, 1), parts: &parts{dir: filepath.Join(cfg.Dir, partsDir), all: map[string]part{}},
		store: newSecretStore(cfg.Dir, func() (nkeys.KeyPair, error) { return keyOf(cfg.CredsFile) }),
	}
}

// Revision is that of the configuration in use, 0 when there is none.
func (c *Channel) Revision() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.have.Revision
}

// Secret returns the value of a secret that the configuration refers to. The
// error is NotFound, and holds none.
func (c *Channel) Secret(name string) (string, error) { return c.store.secret(name) }

// Problem names the secrets that are referred to and not there, "" when all are.
func (c *Channel) Problem() string { return c.store.problem() }

// Run asks and reports over nc until ctx ends. status returns what to report.
func (c *Channel) Run(ctx context.Context, nc *nats.Conn, status func() api.PollerReport) error {
	sub, err := nc.Subscribe(subject.Hint(c.cfg.User), c.onHint)
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "subscribe to hints")
	}
	defer sub.Unsubscribe() // the connection may be gone
	client := api.NewChannel(nc, c.cfg.User, signer(c.cfg.CredsFile))
	reports := make(chan struct{}, 1)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.asking(ctx, nc, client, reports) })
	g.Go(func() error { return c.reporting(ctx, nc, client, reports, status) })
	return g.Wait()
}

// asking asks at once, when connected again, on a hint and every ten seconds;
// sooner when there was no answer.
func (c *Channel) asking(ctx context.Context, nc *nats.Conn, client *api.Channel, reports chan struct{}) error {
	connected := nc.StatusChanged(nats.CONNECTED)
	defer nc.RemoveStatusListener(connected)
	delay := wait.NewGrowing(retryFirst, retryMost).By(2)
	for ctx.Err() == nil {
		next := c.place(askEvery)
		if nc.IsConnected() {
			changed, err := c.ask(ctx, client)
			c.note(ctx, err)
			if err != nil {
				next = delay.Next()
			} else {
				delay.Reset()
				next = c.place(askEvery)
			}
			if changed {
				wait.Nudge(reports)
			}
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-connected:
		case <-c.hints:
		}
		timer.Stop()
	}
	return nil
}

// note logs when answers stop and when they come again.
func (c *Channel) note(ctx context.Context, err error) {
	if ctx.Err() != nil || (err != nil) == c.silent {
		return
	}
	if c.silent = err != nil; c.silent {
		c.log.Warn("no configuration from the control plane, going on with what there is", "revision", c.Revision(), "error", err)
		return
	}
	c.log.Info("the control plane answers", "revision", c.Revision())
}

// place returns how long until this poller's place in an interval: pollers that
// were started together, or connected again together, do not ask together.
func (c *Channel) place(interval time.Duration) time.Duration {
	now := time.Now()
	return spread.Next(now, spread.Phase(c.cfg.User, interval), interval).Sub(now)
}
