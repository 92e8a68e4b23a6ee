package registry

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/event"
	"midplane/fault"
	"midplane/tenants/account"
)

// User is the record of a tenant's user.
type User struct {
	Name      string       `json:"name"`
	Role      account.Role `json:"role"`
	PublicKey string       `json:"publicKey"`
	Subs      []string     `json:"subs"`
	// Site is where a poller is that joined without being declared in a file.
	Site    event.Site `json:"site,omitempty"`
	Created time.Time  `json:"created"`
	Expires time.Time  `json:"expires,omitzero"` // of its newest JWT; zero: never
	// Revoked is when the user was refused for good. The record stays: its key
	// is known to be dead.
	Revoked time.Time `json:"revoked,omitzero"`
	By      string    `json:"by,omitempty"` // who made it
	// newer is why the record cannot be read whole: a newer version stored it.
	newer error
}

// Live reports whether the user may still do anything.
func (u User) Live() bool { return u.Revoked.IsZero() && u.newer == nil }

// Newer says why a user's record cannot be read whole, nil when it can: a newer
// version stored it.
func (u User) Newer() error { return u.newer }

// readUser reads a record. One of a format that is not known here restricts its user
// in a way that is not known either: it is read as far as it can be, and its user
// may do nothing.
func readUser(data []byte) (u User, err error) {
	if u.newer = decode(data, &u); u.newer == nil {
		return u, nil
	}
	if err := json.Unmarshal(data, &u); err != nil {
		return User{}, err
	}
	return u, nil
}

// Operators is where the records of admins are kept: no tenant can have the name.
const Operators event.Tenant = "_"

// UserRecords are the tenants' users, and the admins under Operators.
type UserRecords struct{ in bucket }

func userKey(t event.Tenant, n string) string { return "user." + string(t) + "." + n }

// Get returns a user's record as this node has it now, and its revision.
func (r *UserRecords) Get(t event.Tenant, name string) (u User, rev uint64, ok bool) {
	e, ok := r.in.mirror.Get(userKey(t, name))
	if !ok {
		return User{}, 0, false
	}
	u, err := readUser(e.Value)
	return u, e.Revision, err == nil
}

// Create stores a new user; an existing name is a Conflict.
func (r *UserRecords) Create(ctx context.Context, t event.Tenant, u User) (uint64, error) {
	return r.in.cas(ctx, userKey(t, u.Name), u, 0, "user "+string(t)+"/"+u.Name)
}

// Change changes a user's record by compare-and-set and returns what was
// stored and at which revision. change is asked again, on the newest record,
// when another writer was faster; its error ends it. A record that change leaves
// as it is is not stored.
func (r *UserRecords) Change(ctx context.Context, t event.Tenant, name string, change func(*User) (bool, error)) (User, uint64, error) {
	for {
		u, rev, ok := r.Get(t, name)
		if !ok {
			return u, 0, fault.WithHint(fault.New(fault.NotFound, "user %s/%s does not exist", t, name), "see: midplane user list --tenant %s", t)
		}
		if u.newer != nil {
			return u, rev, fault.Wrap(fault.Other, u.newer, "user %s/%s", t, name)
		}
		changed, err := change(&u)
		if err != nil || !changed {
			return u, rev, err
		}
		next, err := r.in.cas(ctx, userKey(t, name), u, rev, "user "+string(t)+"/"+name)
		if !fault.Is(err, fault.Conflict) {
			return u, next, err
		}
		if err := r.in.fresh(ctx); err != nil {
			return u, 0, err
		}
	}
}

// Delete deletes a user, unless its record has another key by now.
func (r *UserRecords) Delete(ctx context.Context, t event.Tenant, was User) error {
	u, rev, ok := r.Get(t, was.Name)
	if !ok || u.PublicKey != was.PublicKey {
		return nil
	}
	if u.newer != nil {
		return fault.Wrap(fault.Other, u.newer, "user %s/%s", t, was.Name)
	}
	err := r.in.kv.Delete(ctx, userKey(t, was.Name), jetstream.LastRevision(rev))
	if lost(err) {
		return fault.New(fault.Conflict, "user %s/%s was changed in between", t, was.Name)
	}
	return fault.Wrap(fault.Unavailable, err, "forget user %s/%s", t, was.Name)
}

// Replace puts a new user in the place of one whose name may be used again.
func (r *UserRecords) Replace(ctx context.Context, t event.Tenant, u, was User) (uint64, error) {
	e, ok := r.in.mirror.Get(userKey(t, u.Name))
	var now User
	if !ok || decode(e.Value, &now) != nil || now.PublicKey != was.PublicKey || now.Live() != was.Live() {
		return 0, fault.New(fault.Conflict, "user %s/%s was changed in between", t, u.Name)
	}
	// What a newer version stored of the one before is not the other's.
	return r.in.replace(ctx, userKey(t, u.Name), u, e.Revision, "user "+string(t)+"/"+u.Name)
}

// DeleteAll deletes every user of a tenant.
func (r *UserRecords) DeleteAll(ctx context.Context, v *Tenant) error {
	for name := range v.Users {
		if err := r.in.kv.Delete(ctx, userKey(v.ID, name)); err != nil {
			return fault.Wrap(fault.Unavailable, err, "forget user %s/%s", v.ID, name)
		}
	}
	return nil
}
