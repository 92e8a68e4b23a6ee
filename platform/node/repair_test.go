package node

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"midplane/fault"
	"midplane/telemetry"
	"midplane/tenants/account"
)

// jwts are two JWTs of one account, and one of another.
type jwts struct{ key, old, new, other string }

func makeJWTs(t *testing.T) jwts {
	t.Helper()
	k := newKeys(t)
	tk, old := k.tenant(t, "acme")
	issued, _, err := account.IssuedAt(old)
	if err != nil {
		t.Fatal(err)
	}
	// A tombstone is as good as any newer JWT.
	tomb, err := k.signer.Tombstone("acme", tk.Public, issued)
	if err != nil {
		t.Fatal(err)
	}
	_, other := k.tenant(t, "globex")
	return jwts{key: tk.Public, old: old, new: tomb, other: other}
}

const none = "\x00none"

func putJWT(t *testing.T, dir, key, content string) {
	t.Helper()
	if content == none {
		return
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, key+jwtSuffix), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, dir, key string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, key+jwtSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return none
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// In any state that a power cut leaves the two files in, the resolver gets the
// newest good JWT of them, and nothing that is none.
func TestResolverIsRepairedFromTheCopyAndNeverToAnOlderJWT(t *testing.T) {
	j := makeJWTs(t)
	garbage := j.new[:len(j.new)/2]
	forged := j.new[:len(j.new)-4] + "AAAA"
	for name, x := range map[string]struct{ resolver, copied, want, wantCopy string }{
		"missing":                        {none, j.old, j.old, j.old},
		"empty":                          {"", j.old, j.old, j.old},
		"half of it":                     {garbage, j.old, j.old, j.old},
		"zeros":                          {string(make([]byte, 4096)), j.old, j.old, j.old},
		"with a wrong signature":         {forged, j.old, j.old, j.old},
		"of another account":             {j.other, j.old, j.old, j.old},
		"older than the copy":            {j.old, j.new, j.new, j.new},
		"newer than the copy":            {j.new, j.old, j.new, j.new},
		"the same":                       {j.new, j.new, j.new, j.new},
		"good, without a copy":           {j.old, none, j.old, j.old},
		"good, with an empty copy":       {j.old, "", j.old, j.old},
		"good, with a damaged copy":      {j.old, garbage, j.old, j.old},
		"good, with another's copy":      {j.old, j.other, j.old, j.old},
		"empty, without a copy":          {"", none, none, none},
		"empty, with an empty copy":      {"", "", none, ""},
		"half of it, and a damaged copy": {garbage, forged, none, forged},
	} {
		t.Run(name, func(t *testing.T) {
			f := newAccountFiles(t.TempDir(), telemetry.Nop().Log)
			putJWT(t, f.resolver, j.key, x.resolver)
			putJWT(t, f.copies, j.key, x.copied)
			if err := f.repair(); err != nil {
				t.Fatal(err)
			}
			if got := content(t, f.resolver, j.key); got != x.want {
				t.Errorf("the resolver has %d bytes, want %d", len(got), len(x.want))
			}
			known, err := f.settle()
			if err != nil || known[j.key] != (x.want != none) {
				t.Errorf("known: %v, %v", known, err)
			}
			if got := content(t, f.copies, j.key); got != x.wantCopy {
				t.Errorf("the copy has %d bytes, want %d", len(got), len(x.wantCopy))
			}
		})
	}
}

func TestCopyIsNeverReplacedByAnOlderJWTAndADamagedOneAlways(t *testing.T) {
	j := makeJWTs(t)
	f := newAccountFiles(t.TempDir(), telemetry.Nop().Log)
	if err := f.repair(); err != nil {
		t.Fatal(err)
	}
	keep := func(f *accountFiles, token, want string) {
		t.Helper()
		if err := f.keep(j.key, token); err != nil {
			t.Error(err)
		}
		if got := content(t, f.copies, j.key); got != want {
			t.Errorf("the copy has %d bytes, want %d", len(got), len(want))
		}
	}
	keep(f, j.old, j.old)
	keep(f, j.new, j.new)
	keep(f, j.old, j.new)
	// And by a node that has just started.
	f = newAccountFiles(filepath.Dir(f.copies), telemetry.Nop().Log)
	keep(f, j.old, j.new)
	f = newAccountFiles(filepath.Dir(f.copies), telemetry.Nop().Log)
	putJWT(t, f.copies, j.key, "")
	keep(f, j.old, j.old)
	for _, bad := range []string{"", "x", j.other} {
		if err := f.keep(j.key, bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%.5q is taken for a JWT of the account: %v", bad, err)
		}
	}
	for path, want := range map[string]fs.FileMode{f.copies: 0o700, filepath.Join(f.copies, j.key+jwtSuffix): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

// A file that is damaged while the server runs is written again when the JWT is
// applied: the server itself believes that it is there.
func TestApplyWritesAFileThatWasDamagedWhileTheServerRan(t *testing.T) {
	k := newKeys(t)
	n := start(t, single(t, k))
	tk, token := k.tenant(t, "acme")
	if err := n.Apply(tk.Public, token); err != nil {
		t.Fatal(err)
	}
	for _, damage := range []string{"", token[:20]} {
		putJWT(t, n.accounts.files.resolver, tk.Public, damage)
		if err := n.Apply(tk.Public, token); err != nil {
			t.Error(err)
		}
		if got := content(t, n.accounts.files.resolver, tk.Public); got != token {
			t.Errorf("the file has %d bytes, want %d", len(got), len(token))
		}
	}
}
