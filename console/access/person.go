package access

import (
	"context"
	"time"

	"midplane/fault"
)

// hashWait is how long a login waits for its turn.
const hashWait = 5 * time.Second

// wrong is the answer to every login that fails, for one reason or another.
func wrong() error {
	return fault.WithHint(fault.New(fault.Denied, "user, password or code is wrong"), "a user with a second factor gives its code too; midplane console user passwd NAME sets another password")
}

// Credentials are what a person types. Code is of the second factor, when they
// have one.
type Credentials struct {
	User     string `json:"user"`
	Password string `json:"password"`
	Code     string `json:"code"`
}

// Login begins a session. A name that does not exist costs the same work and
// gets the same answer, and is counted in the same way; the answer does not
// reveal which of the factors was wrong either.
func (k *Keeper) Login(ctx context.Context, c Credentials, try Try) (string, Identity, error) {
	user, err := k.person(ctx, c, try, true)
	if err != nil {
		return "", Identity{}, err
	}
	text, who := k.begun(user, try)
	return text, who, nil
}

// begun begins the session of a person who has shown who they are.
func (k *Keeper) begun(user storedUser, try Try) (string, Identity) {
	k.Logout(try.Old)
	return k.sessions.start(Identity{Name: user.Name, Kind: KindUser, Role: user.Role, Tenant: user.Tenant}, user.Generation, try.From, agentOf(try))
}

// person returns the user that credentials are of. Without whole, the second
// factor is not asked for.
func (k *Keeper) person(ctx context.Context, c Credentials, try Try, whole bool) (storedUser, error) {
	if len(c.User) > 63 || len(c.Password) > MaxPassword || len(c.Code) > 16 {
		return storedUser{}, wrong()
	}
	limits := []limit{{"user " + c.User + " from " + try.From, 5}, {"from " + try.From, 20}, {"user " + c.User, 100}}
	if err := k.begin(limits...); err != nil {
		return storedUser{}, err
	}
	b, err := k.store.current()
	if err != nil {
		return storedUser{}, err
	}
	user, known := b.user(c.User)
	if !known {
		user.Hash = k.noUser
	}
	ok, err := k.matches(ctx, user.Hash, c.Password)
	if err != nil {
		return storedUser{}, err
	}
	if !ok || !known || whole && !k.second(user, c.Code) {
		return storedUser{}, wrong()
	}
	k.throttle.good(limits...)
	return user, nil
}

// second says whether the second factor is right, or not needed. A code that
// was right is spent.
func (k *Keeper) second(user storedUser, code string) bool {
	if user.Factor == "" {
		return !k.strict || user.Role == Viewer
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	step := stepOf(user.Factor, code, k.now(), k.spent[user.Generation])
	if step == 0 {
		return false
	}
	k.spent[user.Generation] = step
	return true
}

// ChangePassword gives a user another password, who must know the old one, and
// begins a new session: every old one ends.
func (k *Keeper) ChangePassword(ctx context.Context, who Identity, old, password string, try Try) (string, Identity, error) {
	if who.Kind != KindUser {
		return "", Identity{}, fault.New(fault.Invalid, "only a user has a password")
	}
	if err := CheckPassword(who.Name, password); err != nil {
		return "", Identity{}, err
	}
	if old == password {
		return "", Identity{}, fault.New(fault.Invalid, "this is the password that you have")
	}
	if _, err := k.person(ctx, Credentials{User: who.Name, Password: old}, try, false); err != nil {
		return "", Identity{}, err
	}
	if err := k.store.setPassword(who.Name, password, func(*book) {}); err != nil { // recorded as an act of the user
		return "", Identity{}, err
	}
	b, err := k.store.current()
	if err != nil {
		return "", Identity{}, err
	}
	user, ok := b.user(who.Name)
	if !ok { // deleted at this very moment
		return "", Identity{}, wrong()
	}
	text, who := k.begun(user, try)
	return text, who, nil
}

func (k *Keeper) matches(ctx context.Context, hash, password string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, hashWait)
	defer cancel()
	select {
	case k.hashing <- struct{}{}:
		defer func() { <-k.hashing }()
		return matches(hash, password), nil
	case <-ctx.Done():
		return false, fault.WithHint(fault.New(fault.Exhausted, "too many logins at once"), "try again")
	}
}
