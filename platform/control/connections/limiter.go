package connections

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/internal/once"
	"midplane/internal/wait"
	"midplane/platform/node"
	"midplane/platform/registry"
	"midplane/telemetry"
)

// Server is what the limiter asks of its own node's server.
type Server interface {
	Clients(accountKey string) []node.Client
	Load(accountKey string) (here, elsewhere int)
	Kick(client uint64) error
}

// Doors is what the limiter asks of its own node's doors.
type Doors interface {
	// ShutOut reports whether a user's connections are to be closed for a while.
	ShutOut(userKey string) bool
	ShutsOut() bool // whether there may be such a user
}

// Recorder stores what was done in the audit log.
type Recorder interface {
	Record(ctx context.Context, rec api.AuditRecord)
}

// Raiser raises an alarm in a tenant.
type Raiser interface {
	Raise(ctx context.Context, t *registry.Tenant, id string, sev event.Severity, a event.Alarm) error
}

// LimiterConfig is what a Limiter is given.
type LimiterConfig struct {
	Node     string
	Registry *registry.Registry
	System   *System
	Server   Server
	Doors    Doors
	Audit    Recorder
	Alarms   Raiser
}

// Limiter keeps the connections of every tenant's users to this node within their
// limits. A JWT limits an account only, and a user that reaches that limit locks
// out all others, the system too: so the account's own limit is far above the
// tenant's (account.RoomToClose), and what is between is closed here, as soon as
// the server reports that a client connected.
type Limiter struct {
	cfg    LimiterConfig
	tel    telemetry.Telemetry
	nc     *nats.Conn // to SYS
	closed metric.Int64Counter
	alarms once.Every
	asked  once.Every
	wake   chan struct{}

	mu     sync.Mutex
	due    map[string]bool       // account keys to look at
	came   map[string]bool       // account keys with new connections here, or with a user who has several
	system map[string]systemKeys // by account key
	counts map[event.Tenant]closedCounts
}

// How often everything is looked at even without an event, since limits change,
// and how long connections may gather before the next look at them.
const (
	lookEvery  = time.Second
	lookPause  = 5 * time.Millisecond
	countEvery = 5 * time.Second  // a user with several connections here is counted everywhere
	alarmEvery = 10 * time.Minute // an alarm about the same user is raised again
	// countSeldom is how often a tenant is looked at for such a user though nothing
	// was heard of a new connection.
	countSeldom = time.Minute
)

// NewLimiter returns a Limiter; Run works.
func NewLimiter(cfg LimiterConfig, tel telemetry.Telemetry) (*Limiter, error) {
	closed, err := tel.Meter.Int64Counter(telemetry.MetricConnectionsClosed, metric.WithDescription("connections closed because their user or tenant had too many"))
	return &Limiter{cfg: cfg, tel: tel, closed: closed, system: map[string]systemKeys{}, due: map[string]bool{}, came: map[string]bool{}, counts: map[event.Tenant]closedCounts{}, wake: make(chan struct{}, 1)}, err
}

// Run limits connections until ctx ends.
func (l *Limiter) Run(ctx context.Context) error {
	// A connection of its own: a storm of connects must not hold up other questions.
	nc, err := l.cfg.System.Open()
	if err != nil {
		return err
	}
	defer nc.Close()
	l.nc = nc
	if _, err := nc.Subscribe("$SYS.ACCOUNT.*.CONNECT", l.connected); err != nil {
		return fault.Wrap(fault.Other, err, "listen for connections")
	}
	var counting sync.WaitGroup
	defer counting.Wait()
	counting.Go(func() { l.counting(ctx) })
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.wake:
			for _, key := range l.take() {
				l.look(ctx, l.cfg.Registry.View().ByKey[key])
			}
			select {
			case <-ctx.Done():
			case <-time.After(lookPause):
			}
		case <-tick.C:
			for _, t := range l.cfg.Registry.View().ByKey {
				l.look(ctx, t)
			}
		}
	}
}

// counting holds the limits over all nodes until ctx ends. It waits for
// answers, which what is closed at once must not.
func (l *Limiter) counting(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, t := range l.cfg.Registry.View().ByKey {
			if err := l.count(ctx, t); err != nil {
				l.tel.Log.Debug("cannot count connections", "tenant", t.ID, "error", err)
				break // the others would wait as long
			}
		}
	}
}

// connected notes that a client connected to this node.
func (l *Limiter) connected(msg *nats.Msg) {
	var e struct {
		Server struct {
			Name string `json:"name"`
		} `json:"server"`
		Client struct {
			Account string `json:"acc"`
		} `json:"client"`
	}
	if json.Unmarshal(msg.Data, &e) != nil || e.Server.Name != l.cfg.Node {
		return
	}
	l.mu.Lock()
	l.due[e.Client.Account], l.came[e.Client.Account] = true, true
	l.mu.Unlock()
	wait.Nudge(l.wake)
}

func (l *Limiter) take() (keys []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for k := range l.due {
		keys = append(keys, k)
	}
	clear(l.due)
	return keys
}

// look closes at once what a user has too much of at this node.
func (l *Limiter) look(ctx context.Context, t *registry.Tenant) {
	if t == nil || t.Spec == nil || t.Account.Deleted {
		return
	}
	if l.cfg.Doors.ShutsOut() {
		for _, c := range l.here(t) {
			if l.cfg.Doors.ShutOut(c.User) {
				l.close(ctx, t, []surplus{{c, surplusFlood}})
			}
		}
	}
	q := t.Spec.Quota
	if here, _ := l.cfg.Server.Load(t.Account.Key); here > q.ConnectionsPerUser {
		l.close(ctx, t, limits{q.ConnectionsPerUser, unlimited}.surplus(l.here(t)))
	}
}

// count holds the limits over all nodes: every node asks all servers who is
// connected, comes to the same list, and closes what is its own. It asks only
// when there may be too many.
func (l *Limiter) count(ctx context.Context, t *registry.Tenant) error {
	if t.Spec == nil || t.Account.Deleted {
		return nil
	}
	q := t.Spec.Quota
	here, elsewhere := l.cfg.Server.Load(t.Account.Key)
	if here == 0 {
		return nil
	}
	suspicious := here+elsewhere > q.Connections
	if !suspicious && here > 2 && l.askAgain(t) { // more than the door and the control plane
		byUser := map[string]int{}
		for _, c := range l.here(t) {
			byUser[c.User]++
			suspicious = suspicious || byUser[c.User] > 1
		}
		if suspicious {
			l.mu.Lock()
			l.came[t.Account.Key] = true
			l.mu.Unlock()
		}
	}
	if !suspicious {
		return nil
	}
	all, err := l.everywhere(ctx, t)
	if err != nil {
		return err
	}
	l.close(ctx, t, limits{q.ConnectionsPerUser, q.Connections}.surplus(all))
	return nil
}

// askAgain reports whether this node's connections into an account are to be looked
// at: soon when there is a new one, and now and then in case that was not heard of.
func (l *Limiter) askAgain(t *registry.Tenant) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	every := countSeldom
	if l.came[t.Account.Key] {
		every = countEvery
	}
	if !l.asked.Due(string(t.ID), every) {
		return false
	}
	delete(l.came, t.Account.Key)
	return true
}

// close closes those of this node.
func (l *Limiter) close(ctx context.Context, t *registry.Tenant, list []surplus) {
	for _, s := range list {
		if s.at != l.cfg.Node || l.cfg.Server.Kick(s.ID) != nil {
			continue // another node's, or gone already
		}
		l.closed.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(telemetry.AttrTenant.String(string(t.ID)), telemetry.AttrReason.String(s.reason))))
		name := nameOf(t, s.User)
		l.noteClosed(t, name, s.reason)
		l.raiseAlarm(ctx, t, s, name)
	}
}
