package console

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"midplane/console/access"
)

const password = "tall heron reads maps"

// people are users and tokens of a test, and a clock that only it moves.
type people struct {
	store  *access.Store
	keeper *access.Keeper
	ahead  atomic.Int64
	tokens map[string]string // by "role" or "role tenant"
}

func (p *people) now() time.Time          { return time.Now().Add(time.Duration(p.ahead.Load())) }
func (p *people) forward(d time.Duration) { p.ahead.Add(int64(d)) }

// grants are the identities that tests ask with.
var grants = []struct {
	role   access.Role
	tenant string
}{{access.Admin, ""}, {access.Operator, ""}, {access.Viewer, ""}, {access.Viewer, "acme"}, {access.Viewer, "globex"}, {access.Metrics, ""}}

func newPeople(t *testing.T) *people {
	t.Helper()
	store, err := access.Open(access.Folder(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	p := &people{store: store, tokens: map[string]string{}}
	p.keeper = access.NewKeeper(store, access.Config{Now: p.now})
	for _, g := range grants {
		name := string(g.role)
		if g.tenant != "" {
			name += "-" + g.tenant
		}
		text, _, err := store.CreateToken(name, g.role, g.tenant, access.TokenLife)
		if err != nil {
			t.Fatal(err)
		}
		p.tokens[name] = text
	}
	return p
}

// user adds the user of a grant, once: a password takes its time, and more of
// it under the race detector.
func (p *people) user(t *testing.T, name string) {
	t.Helper()
	role, tenant, _ := strings.Cut(name, "-")
	if !p.keeper.Known(name) {
		if err := p.store.AddUser(name, access.Role(role), tenant, password); err != nil {
			t.Fatal(err)
		}
	}
}

// one is the access of every test that does not bring its own: an admin's
// token is in adminToken.
var (
	oneAccess  sync.Once
	oneKeeper  *access.Keeper
	adminToken string
)

// guarded gives a configuration users and tokens, unless it has some.
func guarded(t *testing.T, cfg Config) Config {
	t.Helper()
	if cfg.Access != nil {
		return cfg
	}
	oneAccess.Do(func() {
		store, err := access.Open(access.Folder(testDir))
		if err != nil {
			t.Fatal(err)
		}
		if adminToken, _, err = store.CreateToken("test", access.Admin, "", access.TokenLife); err != nil {
			t.Fatal(err)
		}
		oneKeeper = access.NewKeeper(store, access.Config{})
	})
	cfg.Access = oneKeeper
	return cfg
}

// anonymous makes a request come without an identity.
func anonymous(r *http.Request) { r.Header.Del("Authorization") }

// withToken is a request of a token.
func withToken(text string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+text) }
}
