package access

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Most sessions there may be: of one user, and of all.
const (
	maxOfOne = 20
	maxOfAll = 10000
)

// Session is one login, as it is shown.
type Session struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Kind     string    `json:"kind"` // user or link
	Role     Role      `json:"role"`
	Tenant   string    `json:"tenant,omitempty"`
	Created  time.Time `json:"created"`
	LastUsed time.Time `json:"lastUsed"`
	Expires  time.Time `json:"expires"` // at the latest
	From     string    `json:"from"`
	Agent    string    `json:"agent"`
	Current  bool      `json:"current"` // the one that asks
}

// live is a session; only the hash of its secret is kept.
type live struct {
	Session
	csrf       string
	generation string // of its user
}

// sessions are those of this process: they end with it.
type sessions struct {
	now func() time.Time

	mu  sync.Mutex
	all map[string]*live // by digest of the secret
}

// start makes a session with a new secret.
func (s *sessions) start(who Identity, generation, from, agent string) (string, Identity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now().UTC()
	s.sweep(now)
	s.limit(func(l *live) bool { return l.Name == who.Name && l.Kind == who.Kind }, maxOfOne)
	s.limit(func(*live) bool { return true }, maxOfAll)
	text := secret()
	l := &live{csrf: secret(), generation: generation, Session: Session{
		ID: handle(), Name: who.Name, Kind: who.Kind, Role: who.Role, Tenant: who.Tenant,
		Created: now, LastUsed: now, Expires: now.Add(Absolute), From: from, Agent: agent,
	}}
	s.all[digest(text)] = l
	return text, l.identity()
}

func (l *live) identity() Identity {
	return Identity{Name: l.Name, Kind: l.Kind, Role: l.Role, Tenant: l.Tenant, Session: l.ID, CSRF: l.csrf, Expires: l.Expires}
}

// get returns the session of a secret. used says that a person did something:
// what a page asks by itself keeps nothing alive.
func (s *sessions) get(text string, used bool) (Identity, string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, now := digest(text), s.now().UTC()
	l := s.all[key]
	if l == nil || l.over(now) {
		delete(s.all, key)
		return Identity{}, "", false
	}
	if used {
		l.LastUsed = now
	}
	return l.identity(), l.generation, true
}

// alive says whether a session is still there.
func (s *sessions) alive(id string) (generation string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.all {
		if l.ID == id {
			return l.generation, !l.over(s.now())
		}
	}
	return "", false
}

func (l *live) over(now time.Time) bool {
	return !now.Before(l.Expires) || now.Sub(l.LastUsed) >= Idle
}

// end ends a session by its secret.
func (s *sessions) end(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, digest(text))
}

// kill ends a session by its name when may allows it.
func (s *sessions) kill(id string, may func(Session) bool) (Session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, l := range s.all {
		if l.ID == id && may(l.Session) {
			delete(s.all, key)
			return l.Session, true
		}
	}
	return Session{}, false
}

// list returns those that may is true for, newest first.
func (s *sessions) list(may func(Session) bool) []Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(s.now())
	out := []Session{}
	for _, l := range s.all {
		if may(l.Session) {
			out = append(out, l.Session)
		}
	}
	slices.SortFunc(out, func(a, b Session) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID))
	})
	return out
}

func (s *sessions) sweep(now time.Time) {
	for key, l := range s.all {
		if l.over(now) {
			delete(s.all, key)
		}
	}
}

// limit ends the sessions used longest ago until there is room for one more.
func (s *sessions) limit(of func(*live) bool, most int) {
	for {
		n, oldest := 0, ""
		for key, l := range s.all {
			if !of(l) {
				continue
			}
			n++
			if oldest == "" || l.LastUsed.Before(s.all[oldest].LastUsed) {
				oldest = key
			}
		}
		if n < most {
			return
		}
		delete(s.all, oldest)
	}
}
