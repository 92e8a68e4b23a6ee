package control

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/control/registry"
	"midplane/telemetry"
	"midplane/tenants/account"
)

// doorman keeps the connections of every tenant's users to this node within
// their limits. A JWT limits an account only, and whoever reaches that limit
// locks out everybody, the system too: so the account's own limit is far above
// the tenant's (account.RoomToClose), and what is between is closed here, as
// soon as the server says that somebody connected.
type doorman struct {
	*Control
	nc     *nats.Conn // of SYS
	closed metric.Int64Counter
	told   seenAt
	asked  seenAt
	wake   chan struct{}

	mu     sync.Mutex
	due    map[string]bool       // account keys to look at
	system map[string]systemKeys // by account key
}

// How often everything is looked at whatever happened, since limits change, and
// how long connections may gather before the next look at them.
const (
	doormanEvery  = time.Second
	doormanGather = 5 * time.Millisecond
	doormanCount  = 5 * time.Second  // a user with several connections here is counted everywhere
	surplusTold   = 10 * time.Minute // an alarm about the same user is raised again
)

func newDoorman(c *Control) (*doorman, error) {
	closed, err := c.tel.Meter.Int64Counter(telemetry.MetricConnectionsClosed, metric.WithDescription("connections closed because their user or tenant had too many"))
	return &doorman{Control: c, closed: closed, system: map[string]systemKeys{}, due: map[string]bool{}, wake: make(chan struct{}, 1)}, err
}

// watchConnections runs the doorman until ctx ends.
func (c *Control) watchConnections(ctx context.Context) error {
	d, err := newDoorman(c)
	if err != nil {
		return err
	}
	// A connection of its own: a storm of connects must not hold up who asks.
	nc, err := c.cfg.Dialer.Connect(c.cfg.SystemKeys, account.RoleNode, account.UserNode)
	if err != nil {
		return err
	}
	defer nc.Close()
	d.nc = nc
	if _, err := nc.Subscribe("$SYS.ACCOUNT.*.CONNECT", d.connected); err != nil {
		return fault.Wrap(fault.Other, err, "listen for connections")
	}
	var counting sync.WaitGroup
	defer counting.Wait()
	counting.Go(func() { d.counting(ctx) })
	tick := time.NewTicker(doormanEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.wake:
			for _, key := range d.take() {
				d.look(ctx, c.reg.View().ByKey[key])
			}
			select {
			case <-ctx.Done():
			case <-time.After(doormanGather):
			}
		case <-tick.C:
			for _, t := range c.reg.View().ByKey {
				d.look(ctx, t)
			}
		}
	}
}

// counting holds the limits over all nodes until ctx ends. It waits for
// answers, which what is closed at once must not.
func (d *doorman) counting(ctx context.Context) {
	tick := time.NewTicker(doormanEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, t := range d.reg.View().ByKey {
			if err := d.count(ctx, t); err != nil {
				d.tel.Log.Debug("cannot count connections", "tenant", t.ID, "error", err)
				break // the others would wait as long
			}
		}
	}
}

// connected notes that somebody connected to this node.
func (d *doorman) connected(msg *nats.Msg) {
	var e struct {
		Server struct {
			Name string `json:"name"`
		} `json:"server"`
		Client struct {
			Account string `json:"acc"`
		} `json:"client"`
	}
	if json.Unmarshal(msg.Data, &e) != nil || e.Server.Name != d.cfg.Node {
		return
	}
	d.mu.Lock()
	d.due[e.Client.Account] = true
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

func (d *doorman) take() (keys []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for k := range d.due {
		keys = append(keys, k)
	}
	clear(d.due)
	return keys
}

// look closes at once what a user has too much of at this node.
func (d *doorman) look(ctx context.Context, t *registry.Tenant) {
	if t == nil || t.Spec == nil || t.Account.Deleted {
		return
	}
	if d.cfg.Doors.ShutsOut() {
		for _, c := range d.here(t) {
			if d.cfg.Doors.ShutOut(c.User) {
				d.close(ctx, t, []surplus{{c, surplusFlood}})
			}
		}
	}
	q := t.Spec.Quota
	if here, _ := d.cfg.Server.Load(t.Account.Key); here > q.ConnectionsPerUser {
		d.close(ctx, t, room{q.ConnectionsPerUser, unlimited}.surplus(d.here(t)))
	}
}

// count holds the limits over all nodes: every node asks all servers who is
// connected, comes to the same list, and closes what is its own. It asks only
// when there may be too many.
func (d *doorman) count(ctx context.Context, t *registry.Tenant) error {
	if t.Spec == nil || t.Account.Deleted {
		return nil
	}
	q := t.Spec.Quota
	here, elsewhere := d.cfg.Server.Load(t.Account.Key)
	if here == 0 {
		return nil
	}
	suspicious := here+elsewhere > q.Connections
	if !suspicious && here > 2 && d.asked.due(string(t.ID), doormanCount) { // more than the door and the control plane
		byUser := map[string]int{}
		for _, c := range d.here(t) {
			byUser[c.User]++
			suspicious = suspicious || byUser[c.User] > 1
		}
	}
	if !suspicious {
		return nil
	}
	all, err := d.everywhere(ctx, t)
	if err != nil {
		return err
	}
	d.close(ctx, t, room{q.ConnectionsPerUser, q.Connections}.surplus(all))
	return nil
}

// close closes those of this node.
func (d *doorman) close(ctx context.Context, t *registry.Tenant, list []surplus) {
	for _, s := range list {
		if s.at != d.cfg.Node || d.cfg.Server.Kick(s.ID) != nil {
			continue // another node's, or gone already
		}
		d.closed.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(telemetry.AttrTenant.String(string(t.ID)), telemetry.AttrReason.String(s.reason))))
		d.tell(ctx, t, s)
	}
}

// tell says, once in a while, that a user's connections are closed.
func (d *doorman) tell(ctx context.Context, t *registry.Tenant, s surplus) {
	name := "unknown"
	for n, u := range t.Users {
		if u.PublicKey == s.User {
			name = n
		}
	}
	if !d.told.due(string(t.ID)+"/"+name+"/"+s.reason, surplusTold) {
		return
	}
	q := t.Spec.Quota
	message := fmt.Sprintf("user %s has more than %d connections, the last to node %s from %s; what is more is closed", name, q.ConnectionsPerUser, d.cfg.Node, s.Host)
	hint := "is it one program? share a connection, or raise quota.connectionsPerUser; if its credentials were stolen, revoke it"
	if s.reason == surplusTenant {
		message = fmt.Sprintf("the tenant has more than %d connections; the newest of user %s, which has the most, are closed", q.Connections, name)
		hint = "raise quota.connections, or look who connects so often"
	}
	if s.reason == surplusFlood {
		message = fmt.Sprintf("producer %s sends on although it is told to wait; node %s shuts it out for a while, longer each time", name, d.cfg.Node)
		hint = "honour \"retry in\" of refusals with code 429, or raise quota.producerMessageRate and messageRate"
	}
	d.tel.Log.Warn("connections are closed", "tenant", t.ID, "user", name, "reason", s.reason, "from", s.Host)
	id := fmt.Sprintf("connections/%s/%s/%s/%d", d.cfg.Node, name, s.reason, time.Now().Unix()/int64(surplusTold.Seconds()))
	go func() { // the streams may take their time, and connections do not wait
		d.audit(ctx, api.AuditRecord{Verb: "connection.close", Tenant: string(t.ID), Target: name, Detail: message})
		rctx, cancel := request(ctx)
		defer cancel()
		if err := d.raise(rctx, t, id, event.Warning, event.Alarm{Alarm: "connections", Source: "node " + d.cfg.Node, Message: message, Hint: hint}); err != nil {
			d.told.forget(string(t.ID) + "/" + name + "/" + s.reason)
			d.tel.Log.Debug("alarm not stored", "tenant", t.ID, "error", err)
		}
	}()
}
