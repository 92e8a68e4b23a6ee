package main

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"midplane/api"
	"midplane/fault"
	"midplane/tenants"
	"midplane/tenants/account"
)

func (f *fake) admin(_ context.Context, verb string, body []byte) (any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var ref api.TenantRef
	if verb == api.TenantSpec || verb == api.TenantStatus || verb == api.TenantDelete {
		if err := api.Decode(body, &ref); err != nil {
			return nil, err
		}
		if f.revs[ref.Tenant] == 0 {
			return nil, fault.New(fault.NotFound, "no tenant %q", ref.Tenant)
		}
	}
	switch verb {
	case api.TenantList, api.SiteList, api.PollerList, api.StreamList, api.LimitList, api.SchemaList:
		return f.page(verb, body)
	case api.NodeStatus:
		return f.cluster()
	case api.NodeDrain, api.NodeUndrain:
		return nil, f.drain(verb, body)
	case api.TenantSpec:
		return api.SpecAnswer{Spec: f.specs[ref.Tenant], Revision: f.revs[ref.Tenant]}, nil
	case api.TenantCheck:
		return f.check(body)
	case api.SpaceCheck:
		return space(body)
	case api.TenantPut:
		return f.put(body)
	case api.TenantStatus:
		return f.status(ref.Tenant)
	case api.TenantDelete:
		f.looks[ref.Tenant] = -1000
		return nil, nil
	case api.UserCreate:
		return f.createUser(body)
	case api.UserList:
		return f.userRows(body)
	case api.UserRevoke, api.UserDelete:
		return f.endUser(verb, body)
	case api.UserSubscribe, api.UserUnsubscribe:
		return f.subscribe(verb, body)
	case api.AuditList:
		return auditPage(body)
	case api.UpgradeStatus, api.UpgradeFinish:
		return upgrade(verb)
	case api.NodeDrop:
		var n api.NodeRef
		if err := api.Decode(body, &n); err != nil {
			return nil, err
		}
		if n.Node != "n3" {
			return nil, fault.WithHint(fault.New(fault.Conflict, "node %s is live", n.Node), "stop it first")
		}
		return nil, nil
	case api.PrimaryDrop:
		var p api.PrimaryRef
		if err := api.Decode(body, &p); err != nil {
			return nil, err
		}
		if p.Primary != "core-1" {
			return nil, fault.New(fault.NotFound, "no primary %q", p.Primary)
		}
		return nil, nil
	}
	if strings.HasPrefix(verb, "token.") {
		return f.token(verb, body)
	}
	if strings.HasPrefix(verb, "rotat") {
		return f.rotations(verb, body)
	}
	if strings.HasPrefix(verb, "secret.") {
		return f.secret(verb, body)
	}
	return nil, fault.New(fault.NotFound, "no verb %s", verb)
}

// check says what put would change. The control plane refuses the tenant
// "refused", which no command finds fault with.
func (f *fake) check(body []byte) (any, error) {
	var req api.PutTenant
	if err := api.Decode(body, &req); err != nil {
		return nil, err
	}
	spec, err := tenants.ParseJSON(req.Spec)
	if err != nil {
		return nil, err
	}
	if spec.ID == "refused" {
		return nil, fault.New(fault.Conflict, "poller refused/p: the name is taken by a user of role app")
	}
	out := api.TenantPlan{Tenant: string(spec.ID), Revision: f.revs[string(spec.ID)]}
	for _, s := range tenants.Plan(nil, spec) {
		out.Steps = append(out.Steps, api.TenantStep(s))
	}
	return out, nil
}

// put stores a spec by compare-and-set. The tenant "contested" is always being
// changed by another command; the first answer about "flaky" gets lost.
func (f *fake) put(body []byte) (any, error) {
	var req api.PutTenant
	if err := api.Decode(body, &req); err != nil {
		return nil, err
	}
	var spec struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(req.Spec, &spec); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "spec")
	}
	if spec.ID == "contested" || req.Revision != f.revs[spec.ID] {
		return nil, fault.New(fault.Conflict, "tenant %s was changed by another command", spec.ID)
	}
	f.specs[spec.ID] = req.Spec
	f.revs[spec.ID] += 10
	f.looks[spec.ID] = 0
	if spec.ID == "flaky" && !f.flaky {
		f.flaky = true
		return nil, fault.New(fault.Unavailable, "no leader")
	}
	return api.TenantRevision{Tenant: spec.ID, Revision: f.revs[spec.ID]}, nil
}

// status becomes ready bit by bit; the tenant "stuck" never does.
func (f *fake) status(id string) (any, error) {
	f.looks[id]++
	looks := f.looks[id]
	if looks < 0 {
		if looks > -998 {
			delete(f.revs, id)
			delete(f.specs, id)
		}
		return api.Tenant{ID: id}, nil
	}
	t := api.Tenant{ID: id, Tenant: id, Name: "The " + id, Account: f.acme.Public, Policy: "enforce", Revision: f.revs[id], Sites: 1}
	if id == "globex" {
		t.Account = f.control.Public // any other key
	}
	for i, name := range []string{api.AccountPushed, api.StreamsReady, api.SchemasBound, api.IngressOpen, api.PrimaryReading} {
		c := api.Condition{Type: name, OK: looks > i || f.specs[id] == nil}
		if id == "stuck" && name == api.PrimaryReading {
			c.OK, c.Message = false, "no primary has reported"
		}
		t.Conditions = append(t.Conditions, c)
	}
	t.Ready = !slices.ContainsFunc(t.Conditions, func(c api.Condition) bool { return !c.OK })
	return t, nil
}

func (f *fake) createUser(body []byte) (any, error) {
	var req api.CreateUser
	if err := api.Decode(body, &req); err != nil {
		return nil, err
	}
	if req.Tenant != "acme" {
		return nil, fault.New(fault.NotFound, "no tenant %q", req.Tenant)
	}
	if req.Name == "lost" && f.users["lost"].Name == "" {
		f.users["lost"] = req
		return nil, fault.New(fault.Unavailable, "no leader")
	}
	have, existed := f.users[req.Name]
	if existed && (have.PublicKey != req.PublicKey || have.Role != req.Role || !slices.Equal(have.Subscriptions, req.Subscriptions)) {
		return nil, fault.New(fault.Conflict, "user %s exists with another key, role or subscriptions", req.Name)
	}
	if slices.Contains(req.Subscriptions, "nosuch") {
		return nil, fault.New(fault.NotFound, "no subscription %q of %s", "nosuch", req.Name)
	}
	f.users[req.Name] = req
	jwt, err := account.IssueUser(f.acme, account.Role(req.Role), account.User{Name: req.Name, Key: req.PublicKey, Subs: req.Subscriptions})
	return api.CreatedUser{JWT: jwt, Existed: existed, Servers: []string{"nats://127.0.0.1:1", "nats://127.0.0.1:2"}}, err
}

// space answers as nodes with 10 GiB for tenants do.
func space(body []byte) (any, error) {
	var req api.SpaceRequest
	if err := api.Decode(body, &req); err != nil {
		return nil, err
	}
	out := api.Space{Capacity: 10 << 30}
	for _, n := range req.Storage {
		out.Promised += n
	}
	if out.Promised > out.Capacity && !req.Overcommit {
		return nil, fault.WithHint(fault.New(fault.Exhausted, "quota.storage does not fit"), "lower quota.storage, or promise more than there is with --overcommit")
	}
	return out, nil
}
