package reconcile

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/bus"
	"midplane/event"
	"midplane/fault"
	"midplane/platform/control/alarm"
	"midplane/platform/registry"
	"midplane/subject"
	"midplane/tenants"
	"midplane/tenants/account"
)

const (
	// declaredAtOnce is how many declarations may be unacknowledged.
	declaredAtOnce = 1000
	// partsAtOnce is how many parts of a new site are published between two records
	// of how far it has come: what hangs is begun again there.
	partsAtOnce = 16
)

// declare publishes the declared devices as state, so that what is declared
// reaches readers the same way as what is seen, and a device never polled
// shows as unknown. Only what changed since the last time is published, and of a
// spec in parts only parts that changed are looked at.
func (w *Walk) declare(ctx context.Context, t *registry.Tenant) error {
	last, at := w.cfg.Registry.Declared(t.ID)
	state := t.Account.Incarnations[event.StreamState]
	if last.State != state {
		last = registry.Declared{State: state}
	}
	if last.Revision == t.SpecRevision {
		return nil
	}
	js, err := w.cfg.Dialer.JetStream(t)
	if err != nil {
		return err
	}
	next := last
	next.Parts, next.Pollers, next.Removed = maps.Clone(last.Parts), maps.Clone(last.Pollers), maps.Clone(last.Removed)
	if next.Removed == nil {
		next.Removed = map[string]registry.Removal{}
	}
	if t.PartNames == nil {
		next.Parts, next.Pollers = nil, nil
	} else if next.Parts == nil {
		next.Parts, next.Pollers = map[event.Site][]string{}, map[event.Site][]event.Producer{}
	}
	unrecorded := 0
	for step := range w.steps(t, last) {
		n, err := step.publish(ctx, js, t, next.Removed)
		if err != nil {
			return err
		}
		step.done(t, &next)
		// What was published of a spec in one piece is known only as a whole.
		if unrecorded += n; unrecorded >= declaredAtOnce && t.PartNames != nil && len(last.Devices) == 0 {
			if at, err = w.cfg.Registry.PutDeclared(ctx, t.ID, next, at); err != nil {
				return err
			}
			unrecorded = 0
		}
	}
	next.Revision, next.Devices = t.SpecRevision, nil
	if t.PartNames == nil {
		next.Devices = map[string]event.Declared{}
		for _, d := range t.Spec.Declared() {
			next.Devices[declaredKey(d.Site, d.Device)] = d.Declared
		}
	}
	_, err = w.cfg.Registry.PutDeclared(ctx, t.ID, next, at)
	return err
}

func declaredKey(site event.Site, device event.Entity) string {
	return string(site) + "/" + string(device)
}

// declaring is one step: what was published of a site, or of some of its parts, and
// what is to be.
type declaring struct {
	site    event.Site
	old     map[event.Entity]event.Declared
	now     []event.Declared
	parts   []string // of the site, that are published after this step
	pollers []event.Producer
}

// steps yields what differs, site by site.
func (w *Walk) steps(t *registry.Tenant, last registry.Declared) func(yield func(declaring) bool) {
	return func(yield func(declaring) bool) {
		known := devicesBySite(last.Devices)
		sites := map[event.Site]tenants.Site{}
		for _, site := range t.Spec.Sites {
			sites[site.ID] = site
		}
		for _, id := range slices.Sorted(maps.Keys(union(sites, last.Parts, known))) {
			for _, step := range w.siteSteps(t, last, sites[id], id, known[id]) {
				if !yield(step) {
					return
				}
			}
		}
	}
}

func union(sites map[event.Site]tenants.Site, parts map[event.Site][]string, known map[event.Site]map[event.Entity]event.Declared) map[event.Site]bool {
	out := map[event.Site]bool{}
	for id := range sites {
		out[id] = true
	}
	for id := range parts {
		out[id] = true
	}
	for id := range known {
		out[id] = true
	}
	return out
}

func devicesBySite(devices map[string]event.Declared) map[event.Site]map[event.Entity]event.Declared {
	out := map[event.Site]map[event.Entity]event.Declared{}
	for key, d := range devices {
		site := event.Site(key[:len(key)-len(d.Device)-1])
		if out[site] == nil {
			out[site] = map[event.Entity]event.Declared{}
		}
		out[site][d.Device] = d
	}
	return out
}

// siteSteps returns the steps of one site. site is empty when it is gone.
func (w *Walk) siteSteps(t *registry.Tenant, last registry.Declared, site tenants.Site, id event.Site, old map[event.Entity]event.Declared) []declaring {
	step := declaring{site: id, old: old, parts: t.PartNames[id], pollers: site.PollerIDs()}
	were, are := last.Parts[id], t.PartNames[id]
	if t.PartNames != nil && slices.Equal(last.Pollers[id], step.pollers) {
		were, are = without(were, are), without(are, were)
	}
	if len(were) > 0 {
		step.old = map[event.Entity]event.Declared{}
		for _, d := range w.inParts(t, tenants.Site{ID: id, Pollers: pollersOf(last.Pollers[id])}, were) {
			step.old[d.Device] = d
		}
	}
	switch {
	case t.PartNames == nil:
		for _, d := range site.Devices {
			step.now = append(step.now, site.Declared(d))
		}
	case len(step.old) > 0 || len(are) <= partsAtOnce:
		step.now = w.inParts(t, site, are)
	default:
		return w.newSite(t, site, step, are)
	}
	return []declaring{step}
}

// newSite takes a site of which nothing was published in several steps.
func (w *Walk) newSite(t *registry.Tenant, site tenants.Site, step declaring, parts []string) (out []declaring) {
	done := without(step.parts, parts)
	for some := range slices.Chunk(parts, partsAtOnce) {
		done = append(done, some...)
		out = append(out, declaring{site: step.site, pollers: step.pollers, parts: slices.Clone(done), now: w.inParts(t, site, some)})
	}
	return out
}

func without(list, minus []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(minus, s) })
}

func pollersOf(ids []event.Producer) (out []tenants.Poller) {
	for _, id := range ids {
		out = append(out, tenants.Poller{ID: id})
	}
	return out
}

// inParts returns the devices of parts with the pollers that watch them.
func (w *Walk) inParts(t *registry.Tenant, site tenants.Site, refs []string) (out []event.Declared) {
	for _, ref := range refs {
		p, err := w.cfg.Registry.Specs.Part(t.ID, ref)
		if err != nil { // kept as long as it is needed; a registry was restored
			w.cfg.Log.Warn("a part that was declared is gone: devices that it had stay until they are declared again", "tenant", t.ID, "part", ref, "error", err)
			continue
		}
		for _, d := range p.Devices {
			out = append(out, site.Declared(d))
		}
	}
	return out
}

// done records that the step was published.
func (d declaring) done(t *registry.Tenant, next *registry.Declared) {
	switch {
	case t.PartNames == nil:
	case len(d.parts) == 0:
		delete(next.Parts, d.site)
		delete(next.Pollers, d.site)
	default:
		next.Parts[d.site], next.Pollers[d.site] = d.parts, d.pollers
	}
}

// list returns what is to be said: what is new or another, and that the rest is gone.
func (d declaring) list() (out []event.Declared) {
	gone := maps.Clone(d.old)
	for _, device := range d.now {
		if was, there := d.old[device.Device]; !there || was != device {
			out = append(out, device)
		}
		delete(gone, device.Device)
	}
	for _, id := range slices.Sorted(maps.Keys(gone)) {
		out = append(out, event.Declared{Device: id, Removed: true})
	}
	return out
}

// publish says it, and notes which devices are gone. It returns how many messages
// that took.
func (d declaring) publish(ctx context.Context, js jetstream.JetStream, t *registry.Tenant, removed map[string]registry.Removal) (int, error) {
	list := d.list()
	for some := range slices.Chunk(list, declaredAtOnce) {
		waits := make([]jetstream.PubAckFuture, len(some))
		for i, device := range some {
			f, err := js.PublishMsgAsync(declaration(t, d.site, device))
			if err != nil {
				return 0, fault.Wrap(fault.Unavailable, err, "declare %s", declaredKey(d.site, device.Device))
			}
			waits[i] = f
		}
		for i, device := range some {
			ack, err := acked(ctx, waits[i])
			if err != nil {
				return 0, err
			}
			key := declaredKey(d.site, device.Device)
			delete(removed, key)
			if device.Removed {
				removed[key] = registry.Removal{Site: d.site, Device: device.Device, Seq: ack.Sequence}
			}
		}
	}
	return len(list), nil
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

// declaration is the message that declares a device.
func declaration(t *registry.Tenant, site event.Site, d event.Declared) *nats.Msg {
	id := fmt.Sprintf("%s/declared/%d/%s/%s", account.UserControl, t.SpecRevision, site, subject.EncodeEntity(d.Device))
	return alarm.Message(t, event.KindState, "", site, d.Device, event.TypeDeclared, id, d)
}
