package node

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"midplane/internal/forgetfs"
	"midplane/tenants/account"
)

// onForgetfulDisk starts a node whose files are on a disk that keeps only what
// was synced. The returned function cuts the power and returns what is left of
// an account: in the resolver's file and in the copy.
func onForgetfulDisk(t *testing.T, k keys) (running, func(key string) [2]string) {
	t.Helper()
	f := forgetfs.Mount(t)
	cfg := single(t, k)
	cfg.Dir = filepath.Join(f.Dir, "n1")
	n := start(t, cfg)
	return n, func(key string) [2]string {
		t.Helper()
		f.Cut()
		if err := n.stop(); err != nil {
			t.Fatal(err)
		}
		if err := f.Restore(); err != nil {
			t.Fatal(err)
		}
		return [2]string{content(t, n.accounts.files.resolver, key), content(t, n.accounts.files.copies, key)}
	}
}

// left checks what is left of a JWT.
func left(t *testing.T, got [2]string, want string) {
	t.Helper()
	for i, where := range []string{"the server's file", "the copy"} {
		if got[i] != want {
			t.Errorf("%s has %d bytes after the cut, want %d", where, len(got[i]), len(want))
		}
	}
}

func TestAppliedJWTSurvivesAPowerCutInBothFiles(t *testing.T) {
	k := newKeys(t)
	n, cut := onForgetfulDisk(t, k)
	tk, token := k.tenant(t, "acme")
	if err := n.Apply(tk.Public, token); err != nil {
		t.Fatal(err)
	}
	left(t, cut(tk.Public), token)
}

// So does a newer one, which the server writes over the old.
func TestReplacedJWTSurvivesAPowerCut(t *testing.T) {
	k := newKeys(t)
	n, cut := onForgetfulDisk(t, k)
	tk, token := k.tenant(t, "acme")
	issued, _, err := account.IssuedAt(token)
	if err != nil {
		t.Fatal(err)
	}
	tomb, err := k.signer.Tombstone("acme", tk.Public, issued)
	if err != nil {
		t.Fatal(err)
	}
	for _, next := range []string{token, tomb} {
		if err := n.Apply(tk.Public, next); err != nil {
			t.Fatal(err)
		}
	}
	left(t, cut(tk.Public), tomb)
}

// A JWT that the server has got from another node is durable once it is applied,
// though the server then has nothing to write.
func TestJWTFromAnotherNodeIsSyncedWhenItIsApplied(t *testing.T) {
	k := newKeys(t)
	n, cut := onForgetfulDisk(t, k)
	tk, token := k.tenant(t, "acme")
	if err := n.accounts.resolver.Merge(tk.Public + "|" + token); err != nil {
		t.Fatal(err)
	}
	if err := n.Apply(tk.Public, token); err != nil {
		t.Fatal(err)
	}
	left(t, cut(tk.Public), token)
}

// The accounts that a node begins with are durable when it has started.
func TestFirstAccountsSurviveAPowerCut(t *testing.T) {
	k := newKeys(t)
	_, cut := onForgetfulDisk(t, k)
	left(t, cut(k.control.Public), k.accounts[k.control.Public])
}

// Many apply the same account at once; it costs nothing when it is synced.
func TestApplyIsSafeForConcurrentUse(t *testing.T) {
	k := newKeys(t)
	n, cut := onForgetfulDisk(t, k)
	tk, token := k.tenant(t, "acme")
	var g sync.WaitGroup
	for range 16 {
		g.Go(func() {
			for range 20 {
				if err := n.Apply(tk.Public, token); err != nil {
					t.Error(err)
				}
			}
		})
	}
	g.Wait()
	left(t, cut(tk.Public), token)
}

// What a node merges from its peers before it starts is durable when it has
// started, and what is damaged at a peer is left there.
func TestMergedJWTsAreDurableAndDamagedOnesAreLeftOut(t *testing.T) {
	k := newKeys(t)
	first := start(t, single(t, k))
	good, token := k.tenant(t, "acme")
	bad, other := k.tenant(t, "globex")
	for key, token := range map[string]string{good.Public: token, bad.Public: other} {
		if err := first.Apply(key, token); err != nil {
			t.Fatal(err)
		}
	}
	putJWT(t, first.accounts.files.resolver, bad.Public, other[:100])
	f := forgetfs.Mount(t)
	cfg := single(t, k)
	cfg.Name, cfg.Dir = "n2", filepath.Join(f.Dir, "n2")
	cfg.Merge = &Merge{Servers: []string{first.ClientURL()}, Wait: patience, Options: systemUser(t, k)}
	n := start(t, cfg)
	f.Cut()
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}
	if err := f.Restore(); err != nil {
		t.Fatal(err)
	}
	left(t, [2]string{content(t, n.accounts.files.resolver, good.Public), content(t, n.accounts.files.copies, good.Public)}, token)
	left(t, [2]string{content(t, n.accounts.files.resolver, bad.Public), content(t, n.accounts.files.copies, bad.Public)}, none)
	if _, err := os.Stat(n.accounts.files.resolver); err != nil {
		t.Error(err)
	}
}

// systemUser are the options of a node's user of SYS.
func systemUser(t *testing.T, k keys) []nats.Option {
	t.Helper()
	key, seed, err := account.NewUserKey()
	if err != nil {
		t.Fatal(err)
	}
	token, err := account.IssueUser(k.system, account.RoleNode, account.User{Name: account.UserNode, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	sign, err := account.SignWith(seed)
	if err != nil {
		t.Fatal(err)
	}
	return []nats.Option{nats.UserJWT(func() (string, error) { return token, nil }, sign), nats.CustomInboxPrefix("_INBOX." + account.UserNode)}
}
