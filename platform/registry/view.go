package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"math"
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
	ID           event.Tenant
	Spec         *tenants.Spec // nil: not declared, or cannot be read here (then Problem says so)
	SpecRevision uint64
	// PartNames are the names of the spec's parts by site; nil when it is one value.
	PartNames       map[event.Site][]string
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
	parts       map[string]*tenants.Part // of the spec, by name
	// waiting says that parts of a newer spec have not arrived, and this is the one
	// before.
	waiting bool
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
			return site.ID
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
	waiting  bool // of a tenant at least
}

// Declared returns a tenant that has a spec, NotFound otherwise.
func (v *View) Declared(id string) (*Tenant, error) {
	if t := v.Tenants[event.Tenant(id)]; t != nil && t.Spec != nil && !t.ID.OfSystem() {
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
	// changes is how many of the mirror there were before last was made: a part that
	// arrives late may raise no revision.
	changes uint64
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
	_, changes, _ := v.mirror.Since(math.MaxUint64)
	if v.last != nil && v.last.Revision == rev && (!v.last.waiting || v.changes == changes) {
		return v.last
	}
	v.changes = changes
	groups := map[event.Tenant]map[string]Entry{}
	var levelRevision uint64
	var level Level // without a record, or with one that cannot be read: v0.1.0's
	v.mirror.All(func(e Entry) {
		kind, rest, _ := strings.Cut(e.Key, ".")
		if kind == "token" || kind == partKind {
			return // changes nothing of how the tenant is served, before a spec names it
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
		next.waiting = next.waiting || t.waiting
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
	if t.keys = len(g); old != nil && old.Revision == t.Revision && old.keys == t.keys && old.base == base.types && !old.waiting {
		return old
	}
	fail := func(err error) {
		if err != nil && t.Problem == "" {
			t.Problem = err.Error()
		}
	}
	if e, ok := g["spec."]; ok {
		v.spec(t, old, e)
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

// spec reads a tenant's spec, or takes that of the view before when it is the same,
// or when parts of this one have not arrived: nobody sees half a spec.
func (v *views) spec(t, old *Tenant, e Entry) {
	if old != nil && old.SpecRevision == e.Revision && old.base == t.base && !old.waiting {
		t.takeSpec(old)
		return
	}
	err := decode(e.Value, &struct{}{})
	switch {
	case err != nil:
	case tenants.Divided(e.Value):
		if err = v.divided(t, old, e.Value); fault.Is(err, fault.NotFound) {
			t.waiting = true
			if old != nil && old.Spec != nil {
				t.takeSpec(old)
				return
			}
		}
	default:
		t.Spec, err = tenants.ParseStored(e.Value)
	}
	if t.Spec != nil {
		t.Schemas, err = t.base.With(t.Spec.Schemas)
	}
	if err != nil && t.Problem == "" {
		t.Problem = err.Error()
	}
	t.SpecRevision, t.specProblem = e.Revision, t.Problem
}

// takeSpec takes the spec of the view before.
func (t *Tenant) takeSpec(old *Tenant) {
	t.Spec, t.Schemas, t.SpecRevision, t.PartNames, t.parts = old.Spec, old.Schemas, old.SpecRevision, old.PartNames, old.parts
	t.Problem, t.specProblem = old.specProblem, old.specProblem
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
