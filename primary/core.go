package primary

import (
	"context"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/primary/store"
)

// watchTenants keeps the set of tenants that are read equal to what the
// control plane says, by long poll.
func (p *Primary) watchTenants(ctx context.Context) error {
	defer p.stopAll()
	wait := newBackoff(200*time.Millisecond, 5*time.Second)
	said := once{log: p.tel.Log, fails: "tenants not known, asking on", works: "tenants known"}
	var known uint64
	for ctx.Err() == nil {
		ask, cancel := context.WithTimeout(ctx, api.FollowWait+10*time.Second)
		var answer api.CoreTenantsAnswer
		began := time.Now()
		err := p.core.Do(ask, api.CoreTenants, api.CoreTenantsRequest{Known: known}, &answer)
		cancel()
		if err == nil {
			err = p.takeTenants(ctx, answer.Tenants)
		}
		if ctx.Err() != nil {
			return nil
		}
		said.note(err)
		switch {
		case err != nil:
		case answer.Revision != known || time.Since(began) > time.Second:
			known = answer.Revision
			wait.reset()
			continue
		}
		// Refused, or answered at once with nothing new: do not spin.
		if sleep(ctx, wait.next()) != nil {
			return nil
		}
	}
	return nil
}

func (p *Primary) takeTenants(ctx context.Context, specs []api.CoreTenant) error {
	listed := map[event.Tenant]bool{}
	stored, err := p.store.Tenants(ctx)
	if err != nil {
		return err
	}
	for _, spec := range specs {
		if err := event.CheckName("tenant", string(spec.Tenant)); err != nil {
			p.tel.Log.Error("a tenant is passed over", "error", err)
			continue
		}
		listed[spec.Tenant] = !spec.Deleted
		was, have := stored[spec.Tenant]
		if spec.Deleted || have && was.Account != spec.Account {
			// Before it is hidden, or dropped for another customer's with the same
			// id: nothing of the old one may be folded afterwards.
			p.stop(spec.Tenant)
		}
		if now := (store.Tenant{Name: spec.Name, Account: spec.Account, Deleted: spec.Deleted}); !have || was != now {
			if err := p.store.PutTenant(ctx, spec.Tenant, now); err != nil {
				return err
			}
		}
		if !spec.Deleted {
			p.read(ctx, spec)
		}
	}
	p.mu.Lock()
	var gone []event.Tenant
	for id := range p.tenants {
		if !listed[id] {
			gone = append(gone, id)
		}
	}
	p.mu.Unlock()
	for _, id := range gone {
		p.stop(id)
	}
	return nil
}

func (p *Primary) read(ctx context.Context, spec api.CoreTenant) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t, ok := p.tenants[spec.Tenant]; ok {
		t.update(spec)
		return
	}
	t := newTenant(p, spec)
	ctx, t.cancel = context.WithCancel(ctx)
	p.tenants[spec.Tenant] = t
	go t.run(ctx)
}

// tenant returns one that is being read, or nil.
func (p *Primary) tenant(id event.Tenant) *tenant {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tenants[id]
}

func (p *Primary) stop(id event.Tenant) {
	p.mu.Lock()
	t, ok := p.tenants[id]
	delete(p.tenants, id)
	p.mu.Unlock()
	if ok {
		t.cancel()
		<-t.done
	}
}

func (p *Primary) stopAll() {
	p.mu.Lock()
	all := make([]*tenant, 0, len(p.tenants))
	for _, t := range p.tenants {
		t.cancel()
		all = append(all, t)
	}
	p.mu.Unlock()
	for _, t := range all {
		<-t.done
	}
}

// tellFindings tells the control plane what was found, until it knows. It
// publishes the events; telling it twice is a duplicate.
func (p *Primary) tellFindings(ctx context.Context) error {
	wait := newBackoff(500*time.Millisecond, 30*time.Second)
	said := once{log: p.tel.Log, fails: "findings not told, trying on", works: "findings told"}
	for ctx.Err() == nil {
		left, err := p.tellSome(ctx)
		if ctx.Err() != nil {
			return nil
		}
		said.note(err)
		switch {
		case err != nil:
			if sleep(ctx, wait.next()) != nil {
				return nil
			}
		case left:
			wait.reset()
		default:
			wait.reset()
			select {
			case <-ctx.Done():
				return nil
			case <-p.found:
			}
		}
	}
	return nil
}

func (p *Primary) tellSome(ctx context.Context) (left bool, err error) {
	const some = 100
	pending, err := p.store.Untold(ctx, some)
	if err != nil {
		return false, err
	}
	for _, f := range pending {
		ask, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := p.core.Do(ask, api.CoreFinding, api.Finding{Tenant: f.Tenant, ID: f.ID, Severity: f.Severity, Alarm: f.Alarm}, nil)
		cancel()
		if err != nil && fault.Retryable(err) {
			return false, err
		}
		if err != nil { // will never be taken, for instance since the tenant is gone: it stays in our own alarms
			p.tel.Log.Error("finding refused by the control plane", "tenant", f.Tenant, "finding", f.ID, "error", err)
		}
		if err := p.store.Told(ctx, f.Pos); err != nil {
			return false, err
		}
	}
	return len(pending) == some, nil
}
