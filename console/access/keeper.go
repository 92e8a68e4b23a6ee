package access

import (
	"crypto/rand"
	"strings"
	"sync"
	"time"

	"midplane/fault"
)

// Keeper establishes identities: it takes passwords, links, tokens and sessions.
// It is safe for concurrent use.
type Keeper struct {
	store    *Store
	now      func() time.Time
	noUser   string // a hash that no password has, for names without a user
	throttle throttle
	sessions sessions
	hashing  chan struct{} // each place costs memory and a processor
	strict   bool          // admins and operators need a second factor

	mu    sync.Mutex
	spent map[string]int64 // newest code that was used, by generation of its user
}

// hashers is how many passwords are looked at at once.
const hashers = 2

// Config says how strict a keeper is.
type Config struct {
	RequireMFA bool             // of admins and operators
	Now        func() time.Time // nil: the real clock
}

// NewKeeper returns a keeper for the users of a store.
func NewKeeper(store *Store, cfg Config) *Keeper {
	now := cfg.Now
	if now == nil {
		now = time.Now
	}
	return &Keeper{
		strict: cfg.RequireMFA, spent: map[string]int64{},
		store: store, now: now, noUser: store.cost.hash(secret()),
		throttle: throttle{now: now, tries: map[string]*tries{}},
		sessions: sessions{now: now, all: map[string]*live{}},
		hashing:  make(chan struct{}, hashers),
	}
}

// Try is one attempt to come in.
type Try struct {
	From  string // address
	Agent string // what the browser calls itself
	Old   string // secret of the session that the browser had: it ends
}

// Wait is how long to wait before the next try.
type Wait struct{ For time.Duration }

// Error implements error.
func (w Wait) Error() string { return "too many tries; wait " + w.For.Round(time.Second).String() }

func (k *Keeper) begin(limits ...limit) error {
	if wait := k.throttle.begin(limits...); wait > 0 {
		return fault.WithHint(fault.Wrap(fault.Exhausted, Wait{wait}, "login"), "a one-time link still works: midplane console link")
	}
	return nil
}

// Key returns a random key of this console, which stays the same.
func (k *Keeper) Key() ([]byte, error) {
	b, err := k.store.current()
	if err != nil || len(b.Key) > 0 {
		return b.Key, err
	}
	var key []byte
	err = k.store.change(func(b *book) error {
		if len(b.Key) == 0 {
			b.Key = make([]byte, 32)
			_, _ = rand.Read(b.Key) // never fails
		}
		key = b.Key
		return nil
	})
	return key, err
}

// Announce remembers where the console is open, for the command line.
func (k *Keeper) Announce(url string) error { return k.store.Announce(url) }

// Known says whether there is a user of that name. It is for the log, never
// for an answer.
func (k *Keeper) Known(name string) bool {
	b, err := k.store.current()
	_, ok := b.user(name)
	return err == nil && ok
}

// Redeem begins a session with the code of a one-time link.
func (k *Keeper) Redeem(code string, try Try) (string, Identity, error) {
	limits := []limit{{"link from " + try.From, 10}}
	if err := k.begin(limits...); err != nil {
		return "", Identity{}, err
	}
	link, ok, err := k.store.takeLink(code)
	if err != nil {
		return "", Identity{}, err
	}
	if !ok {
		return "", Identity{}, fault.WithHint(fault.New(fault.Denied, "this login link was used already, or is too old"), "midplane console link makes another")
	}
	k.throttle.good(limits...)
	k.Logout(try.Old)
	text, who := k.sessions.start(Identity{Name: "link", Kind: KindLink, Role: link.Role, Tenant: link.Tenant}, "", try.From, agentOf(try))
	return text, who, nil
}

// Token says whose token this is.
func (k *Keeper) Token(text string) (Identity, bool, error) {
	b, err := k.store.current()
	if err != nil {
		return Identity{}, false, err
	}
	t, ok := b.token(text, k.now())
	return Identity{Name: t.Name, Kind: KindToken, Role: t.Role, Tenant: t.Tenant, Expires: t.Expires}, ok, nil
}

// Notable says whether one more wrong token from an address is worth a line in
// the log: the first ten are, later ones now and then.
func (k *Keeper) Notable(from string) bool {
	return k.throttle.begin(limit{"token from " + from, 10}) == 0
}

// Session says whose session this is. used: a person did something.
func (k *Keeper) Session(text string, used bool) (Identity, bool, error) {
	who, generation, ok := k.sessions.get(text, used)
	if !ok {
		return Identity{}, false, nil
	}
	same, err := k.same(who, generation)
	if err == nil && !same {
		k.sessions.end(text)
	}
	return who, same && err == nil, err
}

// same says whether a session's user is still the one that logged in.
func (k *Keeper) same(who Identity, generation string) (bool, error) {
	if who.Kind != KindUser {
		return true, nil
	}
	b, err := k.store.current()
	if err != nil {
		return false, err
	}
	u, ok := b.user(who.Name)
	return ok && u.Generation == generation, nil
}

// Alive says whether an identity is still good: for answers that last.
func (k *Keeper) Alive(who Identity) bool {
	if who.Kind == KindToken {
		b, err := k.store.current()
		if err != nil || !k.now().Before(who.Expires) {
			return false
		}
		for _, t := range b.Tokens {
			if t.Name == who.Name && t.Role == who.Role && t.Tenant == who.Tenant && t.Expires.Equal(who.Expires) {
				return true
			}
		}
		return false
	}
	generation, ok := k.sessions.alive(who.Session)
	if !ok {
		return false
	}
	same, err := k.same(who, generation)
	return same && err == nil
}

// Logout ends a session by its secret.
func (k *Keeper) Logout(text string) {
	if text != "" {
		k.sessions.end(text)
	}
}

// may: an admin sees and ends every session, everybody else their own.
func may(who Identity) func(Session) bool {
	return func(s Session) bool {
		switch {
		case who.Role == Admin && who.Tenant == "":
			return true
		case who.Kind == KindUser:
			return s.Kind == KindUser && s.Name == who.Name
		}
		return who.Session != "" && s.ID == who.Session
	}
}

// Sessions lists the sessions that who may see, newest first.
func (k *Keeper) Sessions(who Identity) []Session {
	out := k.sessions.list(may(who))
	for i := range out {
		out[i].Current = who.Session != "" && out[i].ID == who.Session
	}
	return out
}

// End ends a session that who may end.
func (k *Keeper) End(who Identity, id string) (Session, error) {
	s, ok := k.sessions.kill(id, may(who))
	if !ok {
		return s, fault.New(fault.NotFound, "there is no such session")
	}
	return s, nil
}

// agentOf keeps what is printable, and not much of it.
func agentOf(t Try) string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, t.Agent)
	return clean[:min(len(clean), 160)]
}
