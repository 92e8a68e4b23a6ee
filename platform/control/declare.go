package control

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/bus"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/control/registry"
	"midplane/subject"
	"midplane/tenants/account"
)

// declared is what the control plane has told readers of a tenant's devices.
type declared struct {
	Revision uint64                    `json:"revision"` // of the spec
	State    uint64                    `json:"state"`    // incarnation of STATE: one made anew has been told nothing
	Devices  map[string]event.Declared `json:"devices"`  // by "<site>/<device>"
	Removed  map[string]removal        `json:"removed"`  // until their subjects are purged
}

// removal is a device that is no longer declared.
type removal struct {
	Site   event.Site   `json:"site"`
	Device event.Entity `json:"device"`
	Seq    uint64       `json:"seq"` // of the message in STATE that says so
}

func declaredKey(t event.Tenant) string { return "declared." + string(t) }

// declare publishes the declared devices as state, so that what is declared
// reaches readers the same way as what is seen, and a device never polled
// shows as unknown. Only what changed since the last time is published.
func (l *leader) declare(ctx context.Context, t *registry.Tenant) error {
	last, at := l.declared(t.ID)
	state := t.Account.Incarnations[event.StreamState]
	if last.State != state {
		last = declared{}
	}
	if last.Revision == t.SpecRevision {
		return nil
	}
	js, err := l.cfg.Dialer.JetStream(t)
	if err != nil {
		return err
	}
	next := declared{Revision: t.SpecRevision, State: state, Devices: map[string]event.Declared{}, Removed: map[string]removal{}}
	var waits []jetstream.PubAckFuture
	sites := map[string]event.Site{}
	say := func(site event.Site, d event.Declared) (jetstream.PubAckFuture, error) {
		return js.PublishMsgAsync(l.declaration(t, site, d))
	}
	for _, d := range t.Spec.Declared() {
		key := string(d.Site) + "/" + string(d.Declared.Device)
		next.Devices[key], sites[key] = d.Declared, d.Site
		if last.Devices[key] == d.Declared {
			continue
		}
		f, err := say(d.Site, d.Declared)
		if err != nil {
			return fault.Wrap(fault.Unavailable, err, "declare %s", key)
		}
		waits = append(waits, f)
	}
	for key, r := range last.Removed {
		if _, back := next.Devices[key]; !back {
			next.Removed[key] = r
		}
	}
	gone := map[string]jetstream.PubAckFuture{}
	for key, d := range last.Devices {
		if _, still := next.Devices[key]; still {
			continue
		}
		site := event.Site(key[:len(key)-len(d.Device)-1])
		f, err := say(site, event.Declared{Device: d.Device, Removed: true})
		if err != nil {
			return fault.Wrap(fault.Unavailable, err, "remove %s", key)
		}
		gone[key] = f
		next.Removed[key] = removal{Site: site, Device: d.Device}
	}
	for _, f := range waits {
		if _, err := acked(ctx, f); err != nil {
			return err
		}
	}
	for key, f := range gone {
		ack, err := acked(ctx, f)
		if err != nil {
			return err
		}
		r := next.Removed[key]
		r.Seq = ack.Sequence
		next.Removed[key] = r
	}
	return l.putDeclared(ctx, t.ID, next, at)
}

// declared returns what readers were told, and the revision that says so.
func (l *leader) declared(t event.Tenant) (d declared, rev uint64) {
	e, ok := l.reg.Status.Get(declaredKey(t))
	if !ok || json.Unmarshal(e.Value, &d) != nil {
		return declared{}, e.Revision
	}
	return d, e.Revision
}

// putDeclared stores it by compare-and-set: declaring and trimming both change
// it, and a removal that one of them forgets is never purged.
func (l *leader) putDeclared(ctx context.Context, t event.Tenant, d declared, rev uint64) error {
	now, err := l.reg.CASStatus(ctx, declaredKey(t), d, rev)
	if err != nil {
		return err
	}
	return l.reg.Status.Wait(ctx, now)
}

func acked(ctx context.Context, f jetstream.PubAckFuture) (*jetstream.PubAck, error) {
	select {
	case ack := <-f.Ok():
		return ack, nil
	case err := <-f.Err():
		return nil, bus.Classify(err)
	case <-ctx.Done():
		return nil, fault.Wrap(fault.Unavailable, ctx.Err(), "no answer from the stream")
	}
}

// declaration is the message, stamped as the ingress would.
func (l *leader) declaration(t *registry.Tenant, site event.Site, d event.Declared) *nats.Msg {
	id := fmt.Sprintf("%s/declared/%d/%s/%s", account.UserControl, t.SpecRevision, site, subject.EncodeEntity(d.Device))
	return l.message(t, event.KindState, "", site, d.Device, event.TypeDeclared, id, d)
}

// message builds a message of the system's own.
func (c *Control) message(t *registry.Tenant, k event.Kind, sev event.Severity, site event.Site, entity event.Entity, typ event.Type, id string, payload any) *nats.Msg {
	now := time.Now().UTC().Format(time.RFC3339Nano)
	data, _ := json.Marshal(payload) // our own structs
	version := "1"
	if e, ok := t.Schemas.Lookup(typ); ok {
		version = fmt.Sprint(e.Schema.Version)
	}
	st := subject.In{Kind: k, Severity: sev, Entity: entity, Type: typ}.StoredAs(site)
	return &nats.Msg{Subject: t.Capability.Subject(st), Data: data, Header: nats.Header{
		event.HeaderMsgID: {id}, event.HeaderSpecVersion: {"1.0"}, event.HeaderID: {id}, event.HeaderType: {string(typ)},
		event.HeaderSource: {account.UserControl}, event.HeaderTime: {now}, event.HeaderReceived: {now},
		event.HeaderProducer: {account.UserControl}, event.HeaderSite: {string(site)}, event.HeaderSchemaVersion: {version},
		event.HeaderContentType: {"application/json"}, event.HeaderGuard: {event.GuardLevel},
	}}
}

// raise publishes an alarm as an event of the tenant. The same finding is the
// same id, and so stored once within the duplicate window.
func (c *Control) raise(ctx context.Context, t *registry.Tenant, id string, sev event.Severity, a event.Alarm) error {
	js, err := c.cfg.Dialer.JetStream(t)
	if err != nil {
		return err
	}
	msgID := account.UserControl + "/alarm/" + id
	_, err = js.PublishMsg(ctx, c.message(t, event.KindEvent, sev, event.NoSite, "midplane", event.TypeAlarm, msgID, a))
	return bus.Classify(err)
}

// hint tells every poller of the tenant to ask for its configuration now. One
// that misses it asks by itself within ten seconds.
func (l *leader) hint(t *registry.Tenant) error {
	nc, err := l.cfg.Dialer.Control(t)
	if err != nil {
		return err
	}
	data, _ := json.Marshal(api.Hint{Revision: t.SpecRevision}) // one number
	for _, p := range t.Spec.Pollers() {
		if err := nc.Publish(subject.Hint(string(p.ID)), data); err != nil {
			return fault.Wrap(fault.Unavailable, err, "hint to %s", p.ID)
		}
	}
	return nil
}
