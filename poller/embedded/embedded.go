// Package embedded runs pollers inside another process: those that the tenants'
// files mark as embedded, as "midplane up" does. It goes with the files as they
// change: a poller that is marked is given credentials and started, one that no
// longer is gets stopped, and one that ended by itself is started again.
//
// How a poller is made is handed in. It may use the disk below Config.Dir, and
// import api, tenants and what is below them.
package embedded

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/wait"
)

const (
	// lookEvery is how often the list of pollers is read. A list that takes long is
	// read less often, for a small part of the time: lookPart.
	lookEvery = time.Second
	lookMost  = 10 * time.Second
	lookPart  = 200
	// startAtOnce is how many are started at the same time: each waits until all
	// nodes know its credentials.
	startAtOnce = 8
	// answerWithin is how long credentials are waited for.
	answerWithin = 30 * time.Second
)

// Poller is a poller that runs until ctx ends.
type Poller interface {
	Run(ctx context.Context) error
}

// Place is whose poller it is, and what it has on the disk.
type Place struct {
	Tenant, Poller string
	Dir            string
	CredsFile      string
}

// Config says where the pollers are and how they are made.
type Config struct {
	Dir  string                                                      // with a folder for each
	Ask  func(ctx context.Context, verb string, req, resp any) error // the admin door
	Make func(Place) (Poller, error)
	Log  *slog.Logger
}

// Pollers are the embedded pollers of one process.
type Pollers struct {
	cfg     Config
	running map[string]*running // by tenant/poller
	logged  map[string]string   // why one of them does not run
}

// running is one poller that runs.
type running struct {
	stop context.CancelFunc
	done chan struct{}
	err  error // why it ended by itself; read after done
}

// New returns pollers of which none runs yet.
func New(cfg Config) *Pollers {
	return &Pollers{cfg: cfg, running: map[string]*running{}, logged: map[string]string{}}
}

// Run starts and stops pollers as the tenants' files change, until ctx ends and
// all of them have. It always returns nil: why one does not run is logged.
func (p *Pollers) Run(ctx context.Context) error {
	defer func() {
		for _, r := range p.running {
			r.stop()
		}
		for _, r := range p.running {
			<-r.done
		}
	}()
	for {
		began := time.Now()
		rows, err := api.All[api.Poller](ctx, p.cfg.Ask, api.PollerList, api.ListRequest{})
		pause := min(max(lookEvery, lookPart*time.Since(began)), lookMost)
		if err == nil {
			p.reconcile(ctx, rows)
		} else if ctx.Err() == nil {
			p.cfg.Log.Debug("pollers not listed", "error", err)
		}
		if wait.For(ctx, pause) != nil {
			return nil
		}
	}
}

func (p *Pollers) reconcile(ctx context.Context, rows []api.Poller) {
	wanted := map[string]bool{}
	var starts errgroup.Group
	starts.SetLimit(startAtOnce)
	var mu sync.Mutex // of running and logged, while some are started
	for _, row := range rows {
		if !row.Embedded {
			continue
		}
		key := row.Tenant + "/" + row.ID
		wanted[key] = true
		mu.Lock()
		r := p.running[key]
		mu.Unlock()
		if r != nil {
			select {
			case <-r.done: // by itself
				mu.Lock()
				delete(p.running, key)
				if ctx.Err() == nil {
					p.report(row, r.err)
				}
				mu.Unlock()
			default:
			}
			continue // it is started again at the next look
		}
		starts.Go(func() error {
			r, err := p.start(ctx, row)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				p.running[key] = r
			case ctx.Err() == nil:
				p.report(row, err)
			}
			return nil
		})
	}
	_ = starts.Wait() // what failed is reported
	for key, r := range p.running {
		if !wanted[key] {
			r.stop()
			<-r.done
			delete(p.running, key)
			delete(p.logged, key)
		}
	}
}

// report logs why a poller does not run, once as long as the reason is the
// same: it is tried again at every look.
func (p *Pollers) report(row api.Poller, err error) {
	key := row.Tenant + "/" + row.ID
	if p.logged[key] == err.Error() {
		return
	}
	p.logged[key] = err.Error()
	p.cfg.Log.Error("an embedded poller does not run, trying on", "tenant", row.Tenant, "poller", row.ID, "error", err, "hint", fault.HintOf(err))
}

func (p *Pollers) start(ctx context.Context, row api.Poller) (*running, error) {
	place := Place{Tenant: row.Tenant, Poller: row.ID, Dir: filepath.Join(p.cfg.Dir, row.Tenant, row.ID)}
	var err error
	if place.CredsFile, err = p.credentials(ctx, place.Dir, row); err != nil {
		return nil, err
	}
	poller, err := p.cfg.Make(place)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	r := &running{stop: stop, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		if r.err = poller.Run(ctx); r.err == nil {
			r.err = errors.New("it ended by itself")
		}
	}()
	return r, nil
}
