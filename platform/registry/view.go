package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"

	"midplane/event"
	"midplane/fault"
	"midplane/schemas"
	"midplane/schemas/catalog"
	"midplane/subject"
	"midplane/tenants"
	"midplane/tenants/account"
)

// Tenant is all a node knows of one tenant, immutable. A tenant whose account
// has not been made yet has a Spec but no Account.
type Tenant struct {
	ID              event.Tenant
	Spec            *tenants.Spec // nil: not declared, or cannot be read here (then Problem says so)
	SpecRevision    uint64
	Account         Account
	AccountRevision uint64
	Keys            account.Keys
	Capability      subject.Capability
	Next            subject.Capability // see Secrets
	Retired         []account.Retired
	Schemas         *schemas.Set
	Users           map[string]User
	Secrets         map[string]Secret
	// Made is the key of the account whose streams have all been made: before
	// that they cannot be read.
	Made         string
	madeRevision uint64
	keys         int // of the registry, that all this is from
	// Revision is the newest of everything above.
	Revision uint64
	// Problem is why the tenant cannot be served, "" normally.
	Problem string
	base    *schemas.Set // Midplane's own types, at the level of the deployment
	// unsealed is what Account.Sealed holds, as it was stored.
	unsealed []byte
	// specProblem is the part of Problem that comes from the spec.
	specProblem string
}

// Leaving reports whether the tenant was asked to go and is not gone yet.
func (t *Tenant) Leaving() bool { return t.Account.Leaving }

// Readable reports whether the tenant is open and its streams are there.
func (t *Tenant) Readable() bool { return t.Open() && t.Made == t.Account.Key }

// WorkRevision is the newest of what the control plane works on: a user that
// is added changes nothing of accounts and streams.
func (t *Tenant) WorkRevision() uint64 { return max(t.SpecRevision, t.AccountRevision) }

// Open reports whether the tenant can be served: declared, with an account.
func (t *Tenant) Open() bool {
	return t.Spec != nil && t.Account.JWT != "" && !t.Account.Deleted && !t.Account.Leaving && t.Problem == ""
}

// SiteOf returns the site that producer belongs to, event.NoSite when it has none.
func (t *Tenant) SiteOf(producer string) event.Site {
	if t.Spec != nil {
		if site, ok := t.Spec.SiteOf(event.Producer(producer)); ok {
			return site
		}
	}
	if u := t.Users[producer]; u.Site != "" {
		return u.Site
	}
	return event.NoSite
}

// Sealed returns an error when not one of the tenants' keys can be unsealed:
// then the master key is not the one that they were sealed with.
func (v *View) Sealed() error {
	var first error
	for _, t := range v.Tenants {
		if t.Account.JWT == "" || t.Account.Deleted {
			continue
		}
		if t.Capability != "" {
			return nil
		}
		first = fault.WithHint(fault.New(fault.Denied, "%s", t.Problem), "is this the master key that the deployment was made with?")
	}
	return first
}

// Joined are the tenant's pollers that came by a token and that its file does not
// declare, by name. Once it does, the declaration counts.
func (t *Tenant) Joined() []User {
	var out []User
	for u := range maps.Values(t.Users) {
		if u.Role != account.RolePoller || u.Site == "" {
			continue
		}
		if _, declared := t.Spec.SiteOf(event.Producer(u.Name)); !declared {
			out = append(out, u)
		}
	}
	slices.SortFunc(out, func(a, b User) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// Pollers returns the pollers that are declared, in the order of the file, and then
// those that have joined without.
func (t *Tenant) Pollers() []tenants.PollerAt {
	out := t.Spec.Pollers()
	for _, u := range t.Joined() {
		out = append(out, tenants.PollerAt{Site: u.Site, Poller: tenants.Poller{ID: event.Producer(u.Name)}})
	}
	return out
}

// View is everything at one revision of the registry, immutable.
type View struct {
	Revision uint64
	Tenants  map[event.Tenant]*Tenant
	ByKey    map[string]*Tenant // by account key
	Admins   map[string]User
}

// Declared returns a tenant that has a spec, NotFound otherwise.
func (v *View) Declared(id string) (*Tenant, error) {
	if t := v.Tenants[event.Tenant(id)]; t != nil && t.Spec != nil {
		return t, nil
	}
	return nil, fault.WithHint(fault.New(fault.NotFound, "tenant %q does not exist", id), "see: midplane get tenants")
}

// Serving is Declared for what needs the tenant's account: Unavailable when the
// tenant cannot be served yet.
func (v *View) Serving(id string) (*Tenant, error) {
	t, err := v.Declared(id)
	if err == nil && !t.Open() {
		return nil, fault.WithHint(fault.New(fault.Unavailable, "tenant %s is not ready", t.ID), "wait for it: midplane status")
	}
	return t, err
}

// views builds a View from the mirror, reusing what has not changed: compiled
// schemas and unsealed keys are the expensive parts.
type views struct {
	mirror *Mirror
	sealer *account.Sealer
	mu     sync.Mutex
	last   *View
}

func newViews(m *Mirror, s *account.Sealer) *views { return &views{mirror: m, sealer: s} }

// View returns the current view.
func (r *Registry) View() *View { return r.views.current() }

// WaitView waits until the view is at least at revision rev.
func (r *Registry) WaitView(ctx context.Context, rev uint64) (*View, error) {
	if err := r.Config.Wait(ctx, rev); err != nil {
		return nil, err
	}
	return r.View(), nil
}

func (v *views) current() *View {
	v.mu.Lock()
	defer v.mu.Unlock()
	rev, _ := v.mirror.Revision()
	if v.last != nil && v.last.Revision == rev {
		return v.last
	}
	groups := map[event.Tenant]map[string]Entry{}
	var levelRevision uint64
	var level Level // without a record, or with one that cannot be read: v0.1.0's
	v.mirror.All(func(e Entry) {
		kind, rest, _ := strings.Cut(e.Key, ".")
		if kind == "token" {
			return // changes nothing of how the tenant is served
		}
		if e.Key == levelKey {
			if levelRevision = e.Revision; decode(e.Value, &level) != nil {
				level = Level{}
			}
			return
		}
		t, user, _ := strings.Cut(rest, ".")
		g := groups[event.Tenant(t)]
		if g == nil {
			g = map[string]Entry{}
			groups[event.Tenant(t)] = g
		}
		g[kind+"."+user] = e
	})
	next := &View{Revision: rev, Tenants: map[event.Tenant]*Tenant{}, ByKey: map[string]*Tenant{}}
	base := baseSet{catalog.At(level.Types), levelRevision}
	for id, g := range groups {
		if id == Operators {
			next.Admins = v.tenant(id, g, nil, base).Users
			continue
		}
		var old *Tenant
		if v.last != nil {
			old = v.last.Tenants[id]
		}
		t := v.tenant(id, g, old, base)
		next.Tenants[id] = t
		if t.Account.Key != "" {
			next.ByKey[t.Account.Key] = t
		}
	}
	v.last = next
	return next
}

// baseSet is Midplane's own types at the level of the deployment, and the revision
// of the level.
type baseSet struct {
	types    *schemas.Set
	revision uint64
}

func (v *views) tenant(id event.Tenant, g map[string]Entry, old *Tenant, base baseSet) *Tenant {
	t := &Tenant{ID: id, Users: map[string]User{}, Secrets: secrets(g), base: base.types}
	for _, e := range g {
		t.Revision = max(t.Revision, e.Revision)
	}
	t.Revision = max(t.Revision, base.revision)
	// What is stored has a higher revision than all before; what is taken away
	// raises none, and there is one key less.
	if t.keys = len(g); old != nil && old.Revision == t.Revision && old.keys == t.keys && old.base == base.types {
		return old
	}
	fail := func(err error) {
		if err != nil && t.Problem == "" {
			t.Problem = err.Error()
		}
	}
	if e, ok := g["spec."]; ok {
		if old != nil && old.SpecRevision == e.Revision && old.base == base.types {
			t.Spec, t.Schemas = old.Spec, old.Schemas
			t.Problem = old.specProblem
		} else {
			var err error
			if err = decode(e.Value, &struct{}{}); err == nil {
				t.Spec, err = tenants.ParseStored(e.Value)
			}
			fail(err)
			if t.Spec != nil {
				t.Schemas, err = base.types.With(t.Spec.Schemas)
				fail(err)
			}
		}
		t.SpecRevision, t.specProblem = e.Revision, t.Problem
	}
	if e, ok := g["account."]; ok {
		if old != nil && old.AccountRevision == e.Revision && (old.Account.Deleted || old.Capability != "") {
			t.Account, t.Keys, t.Capability = old.Account, old.Keys, old.Capability
			t.Next, t.Retired, t.unsealed = old.Next, old.Retired, old.unsealed
		} else {
			fail(v.account(t, e.Value))
		}
		t.AccountRevision = e.Revision
	}
	if e, ok := g["made."]; ok {
		fail(fault.Wrap(fault.Other, json.Unmarshal(e.Value, &t.Made), "tenant %s", id))
		t.madeRevision = e.Revision
	}
	for k, e := range g {
		if name, ok := strings.CutPrefix(k, "user."); ok {
			u, err := readUser(e.Value)
			fail(fault.Wrap(fault.Other, err, "user %s/%s", id, name))
			t.Users[name] = u
		}
	}
	return t
}

func (v *views) account(t *Tenant, data []byte) error {
	if err := decode(data, &t.Account); err != nil {
		return fault.Wrap(fault.Other, err, "account of %s", t.ID)
	}
	if t.Account.Deleted || t.Account.Key == "" { // gone, or asked to go before it was made
		return nil
	}
	var s Secrets
	var unsealed json.RawMessage
	if err := v.sealer.Open(sealContext(t.ID), t.Account.Sealed, &unsealed); err != nil {
		return err
	}
	if err := decode(unsealed, &s); err != nil {
		return fault.Wrap(fault.Other, err, "secrets of %s", t.ID)
	}
	t.unsealed = unsealed
	t.Keys, t.Capability, t.Next, t.Retired = s.Keys, subject.Capability(s.Capability), subject.Capability(s.Next), s.Retired
	return nil
}
