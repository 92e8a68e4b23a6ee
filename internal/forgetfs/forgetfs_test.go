package forgetfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// put writes a file, synced or not.
func put(t *testing.T, path, content string, synced bool) {
	t.Helper()
	f, err := os.Create(path)
	must(t, err)
	_, err = f.WriteString(content)
	must(t, err)
	if synced {
		must(t, f.Sync())
	}
	must(t, f.Close())
}

func syncDir(t *testing.T, dir string) {
	t.Helper()
	d, err := os.Open(dir)
	must(t, err)
	must(t, d.Sync())
	must(t, d.Close())
}

// after cuts the power and returns what is left: content by path, "/" for a folder.
func after(t *testing.T, f *FS) map[string]string {
	t.Helper()
	f.Cut()
	must(t, f.Restore())
	out := map[string]string{}
	must(t, filepath.WalkDir(f.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == f.Dir {
			return err
		}
		name := strings.TrimPrefix(path, f.Dir+"/")
		if d.IsDir() {
			out[name] = "/"
			return nil
		}
		data, err := os.ReadFile(path)
		out[name] = string(data)
		return err
	}))
	return out
}

// Each case works in the mounted folder; what is in want is left, and no more.
func TestOnlyWhatWasSyncedIsLeftAfterTheCut(t *testing.T) {
	for name, x := range map[string]struct {
		do   func(t *testing.T, dir string)
		want map[string]string
	}{
		"a write without a sync is gone": {func(t *testing.T, dir string) {
			put(t, dir+"/a", "x", false)
		}, nil},
		"a synced new file is there, with the folders above it": {func(t *testing.T, dir string) {
			must(t, os.MkdirAll(dir+"/b/c", 0o755))
			put(t, dir+"/b/c/a", "x", true)
		}, map[string]string{"b": "/", "b/c": "/", "b/c/a": "x"}},
		"a new file whose folder alone was synced is empty": {func(t *testing.T, dir string) {
			put(t, dir+"/a", "x", false)
			syncDir(t, dir)
		}, map[string]string{"a": ""}},
		"what is appended after the sync is gone": {func(t *testing.T, dir string) {
			f, err := os.OpenFile(dir+"/a", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
			must(t, err)
			_, err = f.WriteString("synced ")
			must(t, err)
			must(t, f.Sync())
			_, err = f.WriteString("not synced")
			must(t, err)
			must(t, f.Close())
		}, map[string]string{"a": "synced "}},
		"a file opened to sync every write needs no sync": {func(t *testing.T, dir string) {
			f, err := os.OpenFile(dir+"/a", os.O_CREATE|os.O_WRONLY|os.O_TRUNC|os.O_SYNC, 0o600)
			must(t, err)
			_, err = f.WriteString("x")
			must(t, err)
			must(t, f.Close())
		}, map[string]string{"a": "x"}},
		"what overwrites without a sync is gone, and the old is there": {func(t *testing.T, dir string) {
			put(t, dir+"/a", "the old content", true)
			put(t, dir+"/a", "the new", false)
		}, map[string]string{"a": "the old content"}},
		"what overwrites with a sync is there, without a rest of the old": {func(t *testing.T, dir string) {
			put(t, dir+"/a", "the old content", true)
			put(t, dir+"/a", "the new", true)
		}, map[string]string{"a": "the new"}},
		"truncated and synced": {func(t *testing.T, dir string) {
			put(t, dir+"/a", "0123456789", true)
			f, err := os.OpenFile(dir+"/a", os.O_RDWR, 0)
			must(t, err)
			must(t, f.Truncate(3))
			must(t, f.Truncate(5))
			must(t, f.Sync())
			must(t, f.Close())
		}, map[string]string{"a": "012\x00\x00"}},
		"truncated by its path, not synced": {func(t *testing.T, dir string) {
			put(t, dir+"/a", "0123456789", true)
			must(t, os.Truncate(dir+"/a", 0))
		}, map[string]string{"a": "0123456789"}},
		"a rename without a sync of the folder has not happened": {func(t *testing.T, dir string) {
			put(t, dir+"/a", "old", true)
			put(t, dir+"/tmp", "new", true)
			must(t, os.Rename(dir+"/tmp", dir+"/a"))
		}, map[string]string{"a": "old", "tmp": "new"}},
		"a rename with a sync of the folder has": {func(t *testing.T, dir string) {
			put(t, dir+"/a", "old", true)
			put(t, dir+"/tmp", "new", true)
			must(t, os.Rename(dir+"/tmp", dir+"/a"))
			syncDir(t, dir)
		}, map[string]string{"a": "new"}},
		"renamed before it was synced, the old content is lost": {func(t *testing.T, dir string) {
			put(t, dir+"/a", "old", true)
			put(t, dir+"/tmp", "new", false)
			must(t, os.Rename(dir+"/tmp", dir+"/a"))
			syncDir(t, dir)
		}, map[string]string{"a": ""}},
		"a folder that was moved is in one place": {func(t *testing.T, dir string) {
			must(t, os.MkdirAll(dir+"/from/sub", 0o700))
			must(t, os.Mkdir(dir+"/to", 0o700))
			put(t, dir+"/from/sub/a", "x", true)
			must(t, os.Rename(dir+"/from/sub", dir+"/to/sub"))
			syncDir(t, dir+"/to")
		}, map[string]string{"from": "/", "to": "/", "to/sub": "/", "to/sub/a": "x"}},
		"a removal without a sync of the folder has not happened": {func(t *testing.T, dir string) {
			put(t, dir+"/a", "x", true)
			must(t, os.Remove(dir+"/a"))
		}, map[string]string{"a": "x"}},
		"a removal with a sync of the folder has": {func(t *testing.T, dir string) {
			put(t, dir+"/a", "x", true)
			must(t, os.Mkdir(dir+"/b", 0o700))
			syncDir(t, dir)
			must(t, os.Remove(dir+"/a"))
			must(t, os.Remove(dir+"/b"))
			syncDir(t, dir)
		}, nil},
		"a file that was removed and made again is the new one": {func(t *testing.T, dir string) {
			put(t, dir+"/a", "old", true)
			must(t, os.Remove(dir+"/a"))
			put(t, dir+"/a", "new", true)
		}, map[string]string{"a": "new"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := Mount(t)
			x.do(t, f.Dir)
			got := after(t, f)
			if len(got) != len(x.want) {
				t.Errorf("left: %q, want %q", got, x.want)
			}
			for name, want := range x.want {
				if have, ok := got[name]; !ok || have != want {
					t.Errorf("%s: %q, %t; want %q", name, have, ok, want)
				}
			}
		})
	}
}

func TestNothingReachesTheDiskAfterTheCut(t *testing.T) {
	f := Mount(t)
	put(t, f.Dir+"/a", "before", true)
	f.Cut()
	put(t, f.Dir+"/a", "after", true)
	put(t, f.Dir+"/b", "after", true)
	syncDir(t, f.Dir)
	if data, err := os.ReadFile(f.Dir + "/a"); err != nil || string(data) != "after" {
		t.Errorf("programs notice the cut: %q, %v", data, err)
	}
	got := after(t, f)
	if len(got) != 1 || got["a"] != "before" {
		t.Errorf("left: %q", got)
	}
}

func TestSyncFailsAndIsSlow(t *testing.T) {
	f := Mount(t)
	file, err := os.Create(f.Dir + "/a")
	must(t, err)
	defer file.Close()
	_, err = file.WriteString("x")
	must(t, err)
	f.Fail(true)
	if err := file.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("a sync that fails: %v", err)
	}
	f.Fail(false)
	f.Slow(50 * time.Millisecond)
	began := time.Now()
	must(t, file.Sync())
	if took := time.Since(began); took < 50*time.Millisecond {
		t.Errorf("a slow sync took %s", took)
	}
	must(t, file.Close())
	if got := after(t, f); got["a"] != "x" {
		t.Errorf("left: %q", got)
	}
}

func TestUnmountWithAnOpenFileIsAnErrorAndTheDiskIsGone(t *testing.T) {
	f := Mount(t)
	file, err := os.Create(f.Dir + "/a")
	must(t, err)
	if err := f.Unmount(); err == nil || !strings.Contains(err.Error(), "still open") {
		t.Errorf("unmounted with an open file: %v", err)
	}
	_ = file.Close() // the disk is gone
	if entries, err := os.ReadDir(f.Dir); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v", entries, err)
	}
	must(t, f.Unmount())
}

// Several files are written at random places by several programs at once; what
// is left of each is what it was at its last sync.
func TestContentIsThatOfTheLastSync(t *testing.T) {
	f := Mount(t)
	var mu sync.Mutex
	want := map[string][]byte{}
	var g sync.WaitGroup
	for i := range 8 {
		g.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			name := fmt.Sprint("f", i)
			file, err := os.Create(filepath.Join(f.Dir, name))
			if err != nil {
				t.Error(err)
				return
			}
			defer file.Close()
			var now []byte
			for range 400 {
				switch r.IntN(10) {
				case 0:
					size := r.IntN(1 << 18)
					err = file.Truncate(int64(size))
					now = append(now, make([]byte, max(0, size-len(now)))...)[:size]
				case 1, 2:
					err = file.Sync()
					mu.Lock()
					want[name] = bytes.Clone(now)
					mu.Unlock()
				default:
					at, data := r.IntN(1<<18), make([]byte, r.IntN(5000))
					for j := range data {
						data[j] = byte(r.Uint32())
					}
					_, err = file.WriteAt(data, int64(at))
					if len(data) > 0 {
						now = append(now, make([]byte, max(0, at+len(data)-len(now)))...)
						copy(now[at:], data)
					}
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	g.Wait()
	got := after(t, f)
	for name, data := range want {
		if got[name] != string(data) {
			t.Errorf("%s: %d bytes, want %d bytes, or others", name, len(got[name]), len(data))
		}
	}
	if len(want) != 8 {
		t.Errorf("%d files were synced", len(want))
	}
}
