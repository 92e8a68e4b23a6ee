package node

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/fault"
	"midplane/telemetry"
	"midplane/tenants/account"
)

func newStoreKey() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b)
	return base64.StdEncoding.EncodeToString(b)
}

// bucket is one that a node may make.
const bucket = "REGISTRY"

// contents is every file below dir with the sum of what it holds.
func contents(t *testing.T, dir string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		fmt.Fprintf(&out, "%s %x\n", path, sha256.Sum256(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func inFiles(t *testing.T, dir, text string) (found bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		found = found || bytes.Contains(data, []byte(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// with runs three nodes and hands over their JetStream: a stream of one replica
// is not allowed.
func with(t *testing.T, k keys, cfgs []Config, f func(jetstream.JetStream)) {
	t.Helper()
	var nodes []running
	for _, cfg := range cfgs {
		nodes = append(nodes, start(t, cfg))
	}
	token, err := account.IssueUser(k.control, account.RoleNode, account.User{Name: account.UserNode, Key: storeUser.key})
	if err != nil {
		t.Fatal(err)
	}
	sign, err := account.SignWith(storeUser.seed)
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect("", nodes[0].Dial(), nats.UserJWT(func() (string, error) { return token, nil }, sign), nats.CustomInboxPrefix("_INBOX."+account.UserNode))
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	f(js)
	nc.Close()
	for _, n := range nodes {
		if err := n.stop(); err != nil {
			t.Fatal(err)
		}
	}
}

// keyed are the same nodes with a key each.
func keyed(cfgs []Config, key string) []Config {
	out := append([]Config{}, cfgs...)
	for i := range out {
		out[i].StoreKey = key
	}
	return out
}

var storeUser = func() (u struct {
	key  string
	seed []byte
}) {
	u.key, u.seed, _ = account.NewUserKey()
	return u
}()

func write(t *testing.T, js jetstream.JetStream, count int, text string) {
	t.Helper()
	var kv jetstream.KeyValue
	var err error
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		if kv, err = js.KeyValue(t.Context(), bucket); errors.Is(err, jetstream.ErrBucketNotFound) {
			kv, err = js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: bucket, MaxBytes: 1 << 20, Replicas: 3})
		}
		if err == nil || time.Since(began) > patience {
			break
		}
	}
	for i := 0; err == nil && i < count; i++ {
		_, err = kv.PutString(t.Context(), fmt.Sprint("k", i), text)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func hasAll(t *testing.T, js jetstream.JetStream, count int, text string) {
	t.Helper()
	var kv jetstream.KeyValue
	var err error
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		if kv, err = js.KeyValue(t.Context(), bucket); err == nil || time.Since(began) > patience {
			break
		}
	}
	for i := 0; err == nil && i < count; i++ {
		var e jetstream.KeyValueEntry
		if e, err = kv.Get(t.Context(), fmt.Sprint("k", i)); err == nil && string(e.Value()) != text {
			err = fmt.Errorf("k%d holds %q", i, e.Value())
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What is stored cannot be read from the disk; another key, no key and a lost
// check file are refused before a byte of the store changes; with the right key
// everything is there.
func TestStoreIsEncrypted(t *testing.T) {
	const text, count = "winter is here, and everyone may know", 50
	k := newKeys(t)
	cfgs := keyed(three(t, k), newStoreKey())
	cfg := cfgs[0]
	with(t, k, cfgs, func(js jetstream.JetStream) { write(t, js, count, text) })
	if inFiles(t, cfg.Dir, "winter") || inFiles(t, cfg.Dir, cfg.StoreKey) {
		t.Error("what was stored, or the key, is in clear on disk")
	}
	before := contents(t, cfg.Dir)
	refused := func(what, key string, kind fault.Kind, says string) {
		t.Helper()
		other := cfg
		other.StoreKey = key
		_, err := New(other, telemetry.Nop())
		if !fault.Is(err, kind) || !strings.Contains(err.Error(), says) || fault.HintOf(err) == "" {
			t.Errorf("%s: %v, want %s, %q", what, err, kind, says)
		}
		if err != nil && key != "" && strings.Contains(err.Error()+fault.HintOf(err), key) {
			t.Errorf("%s: the error holds the key", what)
		}
	}
	refused("another key", newStoreKey(), fault.Denied, "with another key")
	refused("no key", "", fault.Denied, "no key was given")
	refused("no key at all", "short", fault.Invalid, "not 32 bytes")
	refused("31 bytes", base64.StdEncoding.EncodeToString(make([]byte, 31)), fault.Invalid, "not 32 bytes")
	if after := contents(t, cfg.Dir); after != before {
		t.Errorf("a refused start changed files:\n%s\nbefore:\n%s", after, before)
	}

	// Without the check file the key cannot be known to be right, and nothing is risked.
	check := filepath.Join(cfg.Dir, checkFile)
	data, err := os.ReadFile(check)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(check); err != nil {
		t.Fatal(err)
	}
	refused("the right key without the check file", cfg.StoreKey, fault.Denied, "is missing")
	refused("no key without the check file", "", fault.Denied, "no key was given")
	for _, damaged := range []string{"", "{}", string(data[:len(data)/2])} {
		if err := os.WriteFile(check, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(fmt.Sprintf("a check file %q", damaged), cfg.StoreKey, fault.Denied, checkFile)
	}
	if err := os.WriteFile(check, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if after := contents(t, cfg.Dir); after != before {
		t.Error("a refused start changed files")
	}

	cfgs = keyed(cfgs, cfg.StoreKey+"\n") // as a file holds it
	with(t, k, cfgs, func(js jetstream.JetStream) { hasAll(t, js, count, text) })
	with(t, k, cfgs, func(js jetstream.JetStream) { hasAll(t, js, count, text) })
}

// A store that was made in clear is not taken for an encrypted one.
func TestStoreInClearIsRefusedWithAKey(t *testing.T) {
	k := newKeys(t)
	cfgs := three(t, k)
	with(t, k, cfgs, func(js jetstream.JetStream) { write(t, js, 5, "winter") })
	dir := cfgs[0].Dir
	before := contents(t, dir)
	if _, err := New(keyed(cfgs, newStoreKey())[0], telemetry.Nop()); !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "is not encrypted") {
		t.Errorf("a key for a store in clear: %v", err)
	}
	if after := contents(t, dir); after != before {
		t.Error("a refused start changed files")
	}
	with(t, k, cfgs, func(js jetstream.JetStream) { hasAll(t, js, 5, "winter") })
}
