package platform

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/event"
	"midplane/fault"
	"midplane/internal/run"
	"midplane/platform/control"
	"midplane/platform/control/dial"
	"midplane/platform/control/upgrade"
	"midplane/platform/ingress"
	"midplane/platform/node"
	"midplane/platform/registry"
	"midplane/streams"
	"midplane/tenants/account"
)

// instance is the node's parts from one start of its server to the stop.
type instance struct {
	of   *Platform
	node *node.Node
	// mayRestart is false for the second start: what that does not mend, a third
	// would not.
	mayRestart bool
	// set before serving
	reg     *registry.Registry
	doors   *ingress.Ingress
	control *control.Control
	serving atomic.Bool // all parts have started, and none is being stopped
	closed  atomic.Bool // most doors have been closed for a while that should be open
}

// run runs the parts until ctx ends or one of them fails.
func (i *instance) run(ctx context.Context) error {
	var g run.Group
	err := i.start(ctx, &g)
	if err == nil {
		i.serving.Store(true)
		i.of.serves()
		err = g.Wait(ctx)
		i.of.pauses()
		i.serving.Store(false)
		if ctx.Err() != nil {
			i.leave()
		}
	}
	if ctx.Err() != nil {
		err = nil
	}
	if errors.Is(err, node.ErrRestart) {
		i.of.tel.Log.Warn("restarting the server, once: it does not recover streams of an account that it did not know when it started", "error", err)
	}
	if errors.Is(err, node.ErrRepair) {
		i.of.tel.Log.Warn("restarting the server, to take replicas over from the other nodes")
	}
	if stop := g.Stop(); stop != nil && (err == nil || errors.Is(err, node.ErrRestart) || errors.Is(err, node.ErrRepair)) {
		err = stop // with a part that still runs there is no new start
	}
	return err
}

// leave hands over what this node leads and has its clients leave while its doors
// are still open, so that a planned stop refuses nothing.
func (i *instance) leave() {
	node.Duties{Of: i.node}.HandOverAll()
	i.control.Leave()
}

func (i *instance) start(ctx context.Context, g *run.Group) error {
	if err := g.Start(ctx, run.Part{Name: "server", Run: i.node.Run, Ready: i.node.Ready}); err != nil {
		return err
	}
	if err := g.Start(ctx, run.Part{Name: "recovery", Run: i.recovered}); err != nil {
		return err
	}
	if err := g.Start(ctx, run.Part{Name: "replicas", Run: i.node.Replicas.Run}); err != nil {
		return err
	}
	dialer := &dial.Dialer{Dial: i.node.Dial(), Node: i.of.cfg.Node.Name, Tel: i.of.tel}
	nc, err := dialer.Connect(i.of.cfg.Secrets.Control, account.RoleNode, account.UserNode)
	if err != nil {
		return err
	}
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(5*time.Second))
	if err != nil {
		return err
	}
	opened := i.of.wait("the registry: it takes "+i.of.quorum()+i.short(), "start the other nodes; if they run, can they reach each other?")
	reg, err := registry.Open(ctx, js, i.of.sealer, i.of.cfg.Replicas, i.of.refuse, func(kv jetstream.KeyValue) *registry.Mirror {
		return registry.NewMirror(kv, func() uint64 { return i.replica(kv.Bucket()) }, i.of.tel)
	})
	if err != nil {
		opened()
		return err
	}
	log, err := registry.OpenAudit(ctx, js, i.of.cfg.Replicas)
	opened()
	if err != nil {
		return err
	}
	synced := func(m *registry.Mirror) func(context.Context) error {
		return func(ctx context.Context) error {
			if err := m.Wait(ctx, 0); err != nil {
				return err
			}
			// The watch may be served by a replica that lags: nothing opens before
			// the registry has answered by quorum.
			if m != reg.Config {
				return nil
			}
			return reg.AwaitFresh(ctx)
		}
	}
	for _, part := range []run.Part{
		{Name: "connection", Run: func(ctx context.Context) error { <-ctx.Done(); nc.Close(); return nil }},
		{Name: "registry", Run: reg.Config.Run, Ready: synced(reg.Config)},
		{Name: "status", Run: reg.Status.Run, Ready: synced(reg.Status)},
	} {
		if err := g.Start(ctx, part); err != nil {
			return err
		}
	}
	if err := reg.View().Sealed(); err != nil {
		return fault.Wrap(fault.Other, err, "node %s", i.of.cfg.Node.Name)
	}
	// Before any door opens: what others store now would be read wrongly.
	if err := (upgrade.Room{Registry: reg, Mine: upgrade.Mine(i.of.cfg.Version)}).Check(); err != nil {
		return fault.Wrap(fault.Other, err, "node %s", i.of.cfg.Node.Name)
	}
	return i.startServices(ctx, g, reg, log, dialer)
}

// short says that this node's store is too small for what the cluster keeps of itself;
// "" when it is not.
func (i *instance) short() string {
	limit := i.node.Store().Limit
	if limit == 0 || limit >= registry.ControlReserved {
		return ""
	}
	return fmt.Sprintf("; this node's store may hold %d MiB, and the registry and the audit log need %d MiB: give it more disk, or a larger --max-store", limit>>20, registry.ControlReserved>>20)
}

// recovered ends the instance when the server has to be started again. A second
// start that does not recover the streams either goes on without them: a third
// would do no better, and the other tenants are served.
func (i *instance) recovered(ctx context.Context) error {
	err := i.node.Recovered(ctx)
	if err == nil || i.mayRestart {
		return err
	}
	i.of.tel.Log.Error("streams are not recovered, though the server has been started again", "error", err, "page", true)
	<-ctx.Done()
	return nil
}

func (i *instance) startServices(ctx context.Context, g *run.Group, reg *registry.Registry, log *registry.Audit, dialer *dial.Dialer) error {
	doors, err := ingress.New(ingress.Config{
		Broker: i.node, Registry: reg, Connect: dialer.Ingress,
		StateHas: func(ctx context.Context, t event.Tenant, subj string) (bool, error) {
			return stateHas(ctx, reg, dialer, t, subj)
		},
		Measure: func(ctx context.Context, t event.Tenant) (ingress.Measured, error) {
			return i.measure(ctx, reg, dialer, t)
		},
		Pulse: i.of.cfg.Node.Pulse,
	}, i.of.tel)
	if err != nil {
		return err
	}
	url := i.of.cfg.Advertise
	if url == "" {
		url = i.node.ClientURL()
	}
	ctl, err := control.New(control.Config{
		Node: i.of.cfg.Node.Name, ClientURL: url, Version: i.of.cfg.Version, Replicas: i.of.cfg.Replicas, Registry: reg, Dialer: dialer,
		Server: i.node, Duties: node.Duties{Of: i.node}, Replicated: i.node.Replicas, AskBeforeRepair: i.of.cfg.AskBeforeRepair, Doors: doors, Signer: i.of.signer, Control: i.of.cfg.Secrets.Control, System: i.of.cfg.Secrets.System.Public, Enrol: i.of.cfg.Secrets.Enrol,
		SystemKeys: i.of.cfg.Secrets.System, Audit: log,
		Certificates: i.of.cfg.Certificates, Pace: i.of.cfg.Pace, Overcommit: i.of.cfg.Overcommit,
	}, i.of.tel)
	if err != nil {
		return err
	}
	i.reg, i.doors, i.control = reg, doors, ctl
	if err := g.Start(ctx, run.Part{Name: "ingress", Run: doors.Run}); err != nil {
		return err
	}
	if err := g.Start(ctx, run.Part{Name: "control plane", Run: ctl.Run, Ready: ctl.Ready}); err != nil {
		return err
	}
	i.node.Open()
	return g.Start(ctx, run.Part{Name: "doors", Run: i.watchDoors})
}

// doorless is how long a node may have most doors closed that should be open
// before it is not ready, and all of them before it gives up.
const doorless = 10 * time.Second

// watchDoors ends the node when none of its doors has been open for a while:
// its clients go to the others, where they are served.
func (i *instance) watchDoors(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	shut, some := time.Now(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		_, closed, open := i.doors.Loaded()
		if len(closed) <= open {
			some = time.Now() // a tenant's own trouble is its condition, not the node's
		}
		if !i.doors.Shut() {
			shut = time.Now()
		}
		i.closed.Store(time.Since(some) > doorless)
		if time.Since(shut) > doorless {
			i.of.tel.Log.Error("no door has been open for a while, leaving", "closed", closed)
			i.node.LameDuck()
			return fault.New(fault.Unavailable, "no door could be opened for %s", doorless)
		}
	}
}

// mute reports whether this node has not been able to write its presence to the
// registry. The server itself takes 20 seconds to notice a lost quorum.
func (i *instance) mute() bool {
	_, seen, ok := registry.Get[registry.Presence](i.reg, registry.NodeKey(i.of.cfg.Node.Name))
	return !ok || time.Since(seen) > 2*registry.Live
}

// replica returns the last sequence of this node's own replica of a bucket.
func (i *instance) replica(bucket string) uint64 {
	for _, s := range i.node.Streams(i.of.cfg.Secrets.Control.Public) {
		if s.Name == "KV_"+bucket {
			return s.Last
		}
	}
	return 0
}

// measure returns how many bytes a tenant's streams hold: as this node's replicas
// have it where they keep up, and as the leaders say otherwise.
func (i *instance) measure(ctx context.Context, reg *registry.Registry, dialer *dial.Dialer, id event.Tenant) (ingress.Measured, error) {
	t := reg.View().Tenants[id]
	if t == nil {
		return ingress.Measured{}, fault.New(fault.NotFound, "tenant %s", id)
	}
	m := ingress.Measured{Bytes: i.node.CurrentBytes(t.Account.Key)}
	if len(m.Bytes) >= len(event.Streams) {
		return m, nil
	}
	m.Asked = true
	js, err := dialer.JetStream(t)
	if err != nil {
		return m, err
	}
	for _, name := range event.Streams {
		if _, ok := m.Bytes[name]; ok {
			continue
		}
		s, err := js.Stream(ctx, name)
		if err != nil {
			return m, fault.Wrap(fault.Unavailable, err, "stream %s of %s", name, id)
		}
		m.Bytes[name] = s.CachedInfo().State.Bytes
	}
	return m, nil
}

// stateHas asks STATE whether it holds a subject.
func stateHas(ctx context.Context, reg *registry.Registry, dialer *dial.Dialer, id event.Tenant, subj string) (bool, error) {
	t := reg.View().Tenants[id]
	if t == nil {
		return false, fault.New(fault.NotFound, "tenant %s", id)
	}
	nc, err := dialer.Control(t)
	if err != nil {
		return false, err
	}
	_, err = streams.GetMessage(ctx, nc, event.StreamState, streams.Get{Last: subj})
	if errors.Is(err, streams.ErrNoMessage) {
		return false, nil
	}
	return err == nil, fault.Wrap(fault.Unavailable, err, "STATE of %s", id)
}
