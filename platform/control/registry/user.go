package registry

import (
	"context"
	"encoding/json"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/event"
	"midplane/fault"
)

// User returns a user's record as this node has it now, and its revision.
func (r *Registry) User(t event.Tenant, name string) (u User, rev uint64, ok bool) {
	e, ok := r.Config.Get(userKey(t, name))
	if !ok || json.Unmarshal(e.Value, &u) != nil {
		return User{}, 0, false
	}
	return u, e.Revision, true
}

// Operators is where the records of admins are kept: no tenant can have the name.
const Operators event.Tenant = "_"

// ChangeUser changes a user's record by compare-and-set and returns what was
// stored and at which revision. change is asked again, on the newest record,
// when somebody else was faster; its error ends it. A record that change leaves
// as it is is not stored.
func (r *Registry) ChangeUser(ctx context.Context, t event.Tenant, name string, change func(*User) (bool, error)) (User, uint64, error) {
	for {
		u, rev, ok := r.User(t, name)
		if !ok {
			return u, 0, fault.WithHint(fault.New(fault.NotFound, "user %s/%s does not exist", t, name), "see: midplane user list --tenant %s", t)
		}
		changed, err := change(&u)
		if err != nil || !changed {
			return u, rev, err
		}
		next, err := r.cas(ctx, r.reg, userKey(t, name), u, rev, "user "+string(t)+"/"+name)
		if !fault.Is(err, fault.Conflict) {
			return u, next, err
		}
		if err := r.Fresh(ctx); err != nil {
			return u, 0, err
		}
	}
}

// DeleteUser forgets a user, unless its record has another key by now.
func (r *Registry) DeleteUser(ctx context.Context, t event.Tenant, was User) error {
	u, rev, ok := r.User(t, was.Name)
	if !ok || u.PublicKey != was.PublicKey {
		return nil
	}
	err := r.reg.Delete(ctx, userKey(t, was.Name), jetstream.LastRevision(rev))
	if lost(err) {
		return fault.New(fault.Conflict, "user %s/%s was changed meanwhile", t, was.Name)
	}
	return fault.Wrap(fault.Unavailable, err, "forget user %s/%s", t, was.Name)
}
