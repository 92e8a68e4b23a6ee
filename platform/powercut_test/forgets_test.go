package powercut_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"midplane/internal/forgetfs"
	"midplane/internal/testcluster"
	"midplane/tenants/account"
)

// disk is what a power cut takes with it in this trial: the files of all nodes
// are on one disk that keeps only what was synced. What is older than any delay
// of a disk (the deployment folder) and what is of the clients is beside it.
func disk(t *testing.T) (dir string, f *forgetfs.FS) {
	t.Helper()
	f, dir = forgetfs.Mount(t), t.TempDir()
	if err := os.Symlink(f.Dir, filepath.Join(dir, "nodes")); err != nil {
		t.Fatal(err)
	}
	return dir, f
}

// All nodes lose power right after a new tenant's first event was acknowledged.
func TestPowerCutRightAfterANewTenantLosesNothing(t *testing.T) {
	dir, f := disk(t)
	w := newWorld(t, dir, testcluster.Options{})
	w.onboard()
	made := time.Now()
	producer, inspector := w.user(account.RoleProducer, feed), w.user(account.RoleInspector, "ops")
	w.within(patience, "an event is acknowledged", func() error { return w.publish(producer, "r1") })
	// The rig can lose: this file has everything but a sync.
	control := filepath.Join(f.Dir, "n1", "not-synced")
	if err := os.WriteFile(control, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.Cut()
	t.Logf("the power is cut %s after the tenant was made", time.Since(made).Round(time.Millisecond))
	w.stop()
	if err := f.Restore(); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(control); !errors.Is(err, fs.ErrNotExist) && len(data) > 0 {
		t.Fatalf("the disk kept what was not synced: %q, %v", data, err)
	}
	for _, node := range w.Names() {
		for _, path := range append(w.jwts(node, "accounts"), w.jwts(node, "account-copies")...) {
			if info, err := os.Stat(path); err != nil || info.Size() == 0 {
				t.Errorf("%s is empty after the cut: %v", path, err)
			}
		}
	}
	w.start()
	w.recovers(producer, inspector, "r1")
	if n := w.log.counted(); len(n) > 0 {
		t.Errorf("the JWTs were lost, and the nodes helped themselves: restarts %v", n)
	}
}
