package access

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"midplane/event"
	"midplane/fault"
)

// AddUser adds a person.
func (s *Store) AddUser(name string, role Role, tenant, password string) error {
	err := event.CheckUserName("user", name)
	if err == nil {
		err = checkGrant(role, tenant, Admin, Operator, Viewer)
	}
	if err == nil {
		err = CheckPassword(name, password)
	}
	if err != nil {
		return err
	}
	hash, at := s.cost.hash(password), s.now().UTC()
	return s.change(func(b *book) error {
		if _, ok := b.user(name); ok {
			return fault.WithHint(fault.New(fault.Conflict, "user %s exists", name), "midplane console user passwd changes a password")
		}
		if len(b.Users) >= maxEntries {
			return fault.New(fault.Exhausted, "there are %d users", len(b.Users))
		}
		b.Users = append(b.Users, storedUser{User: User{Name: name, Role: role, Tenant: tenant, Created: at, Changed: at}, Hash: hash, Generation: handle()})
		b.note(at, "user.create", name, tenant, role)
		return nil
	})
}

// SetPassword gives a person another password and ends their sessions.
func (s *Store) SetPassword(name, password string) error {
	return s.setPassword(name, password, func(b *book) { b.note(s.now(), "user.passwd", name, "", "") })
}

func (s *Store) setPassword(name, password string, note func(*book)) error {
	if err := CheckPassword(name, password); err != nil {
		return err
	}
	hash, at := s.cost.hash(password), s.now().UTC()
	return s.change(func(b *book) error {
		for i := range b.Users {
			if b.Users[i].Name == name {
				b.Users[i].Hash, b.Users[i].Changed, b.Users[i].Generation = hash, at, handle()
				note(b)
				return nil
			}
		}
		return noUser(name)
	})
}

// DeleteUser removes a person and ends their sessions.
func (s *Store) DeleteUser(name string) error {
	return s.change(func(b *book) error {
		n := len(b.Users)
		b.Users = slices.DeleteFunc(b.Users, func(u storedUser) bool { return u.Name == name })
		if len(b.Users) == n {
			return noUser(name)
		}
		b.note(s.now(), "user.delete", name, "", "")
		return nil
	})
}

func noUser(name string) error {
	return fault.WithHint(fault.New(fault.NotFound, "there is no user %q", name), "see: midplane console user list")
}

// Users lists people by name.
func (s *Store) Users() ([]User, error) {
	b, err := s.current()
	out := make([]User, 0, len(b.Users))
	for _, u := range b.Users {
		out = append(out, u.User)
	}
	slices.SortFunc(out, func(a, b User) int { return cmp.Compare(a.Name, b.Name) })
	return out, err
}

// tokenPrefix lets scanners of secrets recognise a token.
const tokenPrefix = "mpc_"

// CreateToken makes a machine's token, which is returned this once.
func (s *Store) CreateToken(name string, role Role, tenant string, life time.Duration) (string, Token, error) {
	err := event.CheckUserName("token", name)
	if err == nil {
		err = checkGrant(role, tenant, Admin, Operator, Viewer, Metrics)
	}
	if err == nil {
		err = checkLife(life, MaxToken)
	}
	if err != nil {
		return "", Token{}, err
	}
	at := s.now().UTC()
	text := tokenPrefix + secret()
	t := Token{Name: name, Role: role, Tenant: tenant, Created: at, Expires: at.Add(life)}
	err = s.change(func(b *book) error {
		if slices.ContainsFunc(b.Tokens, func(t storedToken) bool { return t.Name == name }) {
			return fault.WithHint(fault.New(fault.Conflict, "token %s exists", name), "revoke it, or choose another name")
		}
		if len(b.Tokens) >= maxEntries {
			return fault.New(fault.Exhausted, "there are %d tokens", len(b.Tokens))
		}
		b.Tokens = append(b.Tokens, storedToken{Token: t, Hash: digest(text)})
		b.note(at, "token.create", name, tenant, role)
		return nil
	})
	return text, t, err
}

// RevokeToken ends a token.
func (s *Store) RevokeToken(name string) error {
	return s.change(func(b *book) error {
		n := len(b.Tokens)
		b.Tokens = slices.DeleteFunc(b.Tokens, func(t storedToken) bool { return t.Name == name })
		if len(b.Tokens) == n {
			return fault.WithHint(fault.New(fault.NotFound, "there is no token %q", name), "see: midplane console token list")
		}
		b.note(s.now(), "token.revoke", name, "", "")
		return nil
	})
}

// Tokens lists machines by name.
func (s *Store) Tokens() ([]Token, error) {
	b, err := s.current()
	out := make([]Token, 0, len(b.Tokens))
	for _, t := range b.Tokens {
		out = append(out, t.Token)
	}
	slices.SortFunc(out, func(a, b Token) int { return cmp.Compare(a.Name, b.Name) })
	return out, err
}

// CreateLink makes a code that is good for one login within LinkLife.
func (s *Store) CreateLink(role Role, tenant string) (string, error) {
	if err := checkGrant(role, tenant, Admin, Operator, Viewer); err != nil {
		return "", err
	}
	code := secret()
	return code, s.change(func(b *book) error {
		if len(b.Links) >= maxEntries {
			return fault.New(fault.Exhausted, "there are %d login links", len(b.Links))
		}
		b.Links = append(b.Links, storedLink{Hash: digest(code), Role: role, Tenant: tenant, Expires: s.now().UTC().Add(LinkLife)})
		b.note(s.now(), "link.create", "", tenant, role)
		return nil
	})
}

// takeLink spends a code: from here on it is good for nothing, even when the
// login fails after that.
func (s *Store) takeLink(code string) (storedLink, bool, error) {
	want := digest(code)
	has := func(b book) bool {
		return slices.ContainsFunc(b.Links, func(l storedLink) bool { return l.Hash == want && s.now().Before(l.Expires) })
	}
	b, err := s.current()
	if err != nil || !has(b) {
		return storedLink{}, false, err // a guess rewrites no file
	}
	var found storedLink
	err = s.change(func(b *book) error {
		b.Links = slices.DeleteFunc(b.Links, func(l storedLink) bool {
			if l.Hash == want {
				found = l
			}
			return l.Hash == want
		})
		return nil
	})
	return found, found.Hash != "", err
}

func (b book) user(name string) (storedUser, bool) {
	for _, u := range b.Users {
		if u.Name == name {
			return u, true
		}
	}
	return storedUser{}, false
}

func (b book) token(text string, now time.Time) (Token, bool) {
	if !strings.HasPrefix(text, tokenPrefix) {
		return Token{}, false
	}
	want := digest(text)
	for _, t := range b.Tokens {
		if t.Hash == want && now.Before(t.Expires) {
			return t.Token, true
		}
	}
	return Token{}, false
}
