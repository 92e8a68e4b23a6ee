package embedded

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"midplane/api"
	"midplane/fault"
	"midplane/telemetry"
	"midplane/tenants/account"
)

// admin is an admin door with a list of pollers. It notes the keys that
// credentials are asked for with.
type admin struct {
	signs account.Keys

	mu   sync.Mutex
	rows []api.Poller
	keys map[string][]string
	err  error // of the next request for credentials
}

func newAdmin(t *testing.T, rows ...api.Poller) *admin {
	t.Helper()
	signs, err := account.NewKeys(account.TenantRoles)
	if err != nil {
		t.Fatal(err)
	}
	return &admin{signs: signs, rows: rows, keys: map[string][]string{}}
}

func (a *admin) list(rows ...api.Poller) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rows = rows
}

func (a *admin) ask(_ context.Context, verb string, req, resp any) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch verb {
	case api.PollerList:
		resp.(*api.Page[api.Poller]).Items = a.rows
		return nil
	case api.UserCreate:
		r := req.(api.CreateUser)
		a.keys[r.Tenant+"/"+r.Name] = append(a.keys[r.Tenant+"/"+r.Name], r.PublicKey)
		if err := a.err; err != nil {
			a.err = nil
			return err
		}
		var err error
		resp.(*api.CreatedUser).JWT, err = account.IssueUser(a.signs, account.RolePoller, account.User{Name: r.Name, Key: r.PublicKey})
		return err
	}
	return fault.New(fault.Other, "verb %s", verb)
}

// fake is a poller that counts its runs. Each lasts until it is stopped, or ends
// at once with an error.
type fake struct {
	mu             sync.Mutex
	place          Place
	started, ended int
	end            error // at once
}

func (f *fake) Run(ctx context.Context) error {
	f.mu.Lock()
	f.started++
	end := f.end
	f.mu.Unlock()
	if end == nil {
		<-ctx.Done()
	}
	f.mu.Lock()
	f.ended++
	f.mu.Unlock()
	return end
}

// runs returns how often it was started, and how often that has ended.
func (f *fake) runs() (started, ended int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.started, f.ended
}

func TestPollersGoWithTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdmin(t, api.Poller{Tenant: "acme", ID: "syd-01", Embedded: true}, api.Poller{Tenant: "acme", ID: "mel-01"})
		syd, mel := &fake{}, &fake{end: errors.New("no room")}
		var log bytes.Buffer
		p := New(Config{Dir: t.TempDir(), Ask: a.ask, Log: slog.New(slog.NewTextHandler(&log, nil)), Make: func(at Place) (Poller, error) {
			f := map[string]*fake{"acme/syd-01": syd, "acme/mel-01": mel}[at.Tenant+"/"+at.Poller]
			f.mu.Lock()
			defer f.mu.Unlock()
			f.place = at
			return f, nil
		}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()
		time.Sleep(10 * time.Second)
		if started, ended := syd.runs(); started != 1 || ended != 0 {
			t.Errorf("the marked one was started %d times and ended %d times", started, ended)
		}
		if started, _ := mel.runs(); started != 0 {
			t.Error("one that is not marked was started")
		}
		if _, err := os.Stat(syd.place.CredsFile); err != nil || filepath.Dir(syd.place.CredsFile) != syd.place.Dir {
			t.Errorf("%+v: %v", syd.place, err)
		}
		a.list(api.Poller{Tenant: "acme", ID: "mel-01", Embedded: true})
		time.Sleep(10 * time.Second)
		if _, ended := syd.runs(); ended != 1 {
			t.Error("one that is no longer marked runs on")
		}
		if started, _ := mel.runs(); started < 4 || started > 6 {
			t.Errorf("one that ends by itself was started %d times in 10 s, want every second look", started)
		}
		mel.mu.Lock()
		mel.end = nil
		mel.mu.Unlock()
		time.Sleep(10 * time.Second)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if started, ended := mel.runs(); started != ended {
			t.Errorf("%d starts, %d ends", started, ended)
		}
		if n := strings.Count(log.String(), "no room"); n != 1 {
			t.Errorf("why it ended is logged %d times:\n%s", n, log.String())
		}
	})
}

// TestAKeyIsKept: a lost answer and a restart ask with the same key, or the name
// would be taken by another.
func TestAKeyIsKept(t *testing.T) {
	a := newAdmin(t)
	a.err = fault.New(fault.Unavailable, "the answer is lost")
	p := New(Config{Dir: t.TempDir(), Ask: a.ask, Log: telemetry.Nop().Log})
	row := api.Poller{Tenant: "acme", ID: "syd-01"}
	dir := filepath.Join(t.TempDir(), "syd-01")
	if _, err := p.credentials(t.Context(), dir, row); !fault.Is(err, fault.Unavailable) {
		t.Fatal(err)
	}
	for range 2 {
		file, err := p.credentials(t.Context(), dir, row)
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		creds, err := account.ReadCreds(data)
		if keys := a.keys["acme/syd-01"]; err != nil || creds.PublicKey != keys[0] || keys[len(keys)-1] != keys[0] {
			t.Errorf("asked with %v, the credentials are of %s: %v", keys, creds.PublicKey, err)
		}
		if _, err := os.Stat(seedOf(file)); !os.IsNotExist(err) {
			t.Errorf("the key lies beside the credentials still: %v", err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "poller.creds"), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := p.credentials(t.Context(), dir, row); !fault.Is(err, fault.Invalid) || fault.HintOf(err) == "" {
		t.Errorf("damaged credentials: %v", err)
	}
}
