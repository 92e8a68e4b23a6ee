package node

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"midplane/internal/testwait"
	"midplane/platform/node/blocks"
)

func exists(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Stat(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

func (d *onDisk) write(path, text string) {
	d.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// How far a consumer is comes from its Raft log, when it has one; a log that the
// server would not start with goes, too.
func TestWhatIsKeptOfConsumers(t *testing.T) {
	for _, x := range []struct {
		what       string
		set        func(d *onDisk, group string)
		file, kept bool
	}{
		{"no Raft group", func(d *onDisk, group string) {
			if err := os.RemoveAll(group); err != nil {
				d.t.Fatal(err)
			}
		}, true, false},
		{"a Raft group that has no log yet", func(*onDisk, string) {}, true, true},
		{"a log", func(d *onDisk, group string) { d.write(filepath.Join(group, "msgs", "1.blk"), "entries") }, false, true},
		{"a damaged snapshot", func(d *onDisk, group string) {
			d.write(filepath.Join(group, "msgs", "1.blk"), "entries")
			d.snapshotIn(group, 1)
		}, false, false},
	} {
		t.Run(x.what, func(t *testing.T) {
			d := newOnDisk(t)
			state := filepath.Join(d.stream(), "obs", "billing_all", "o.dat")
			group := filepath.Join(d.account(), d.cfg.System, "_js_", "C-R3F-AbCdEfGh")
			d.write(state, "state")
			d.write(filepath.Join(group, "meta.inf"), `{"name":"C-R3F-AbCdEfGh","metadata":{"account":"TENANT","stream":"EVENTS","consumer":"billing_all","type":"consumer"}}`)
			x.set(d, group)
			d.prepare()
			if got := exists(t, state); got != x.file {
				t.Errorf("the file is there: %v", got)
			}
			if got := exists(t, group); got != x.kept {
				t.Errorf("the Raft group is there: %v", got)
			}
			if messages, _ := d.there(); !messages {
				t.Error("the stream's messages are gone")
			}
		})
	}
}

// A damaged log of the meta group is removed when the other nodes have everything.
func TestADamagedMetaGroup(t *testing.T) {
	for _, x := range []struct {
		what  string
		flip  byte
		whole Whole
		kept  bool
	}{
		{"damaged, and the others are whole", 1, others(nil), false},
		{"damaged, and the others are not", 1, others(errors.New("one is behind")), true},
		{"damaged, and there are no others", 1, nil, true},
	} {
		t.Run(x.what, func(t *testing.T) {
			d := newOnDisk(t)
			if err := os.CopyFS(filepath.Join(d.account(), "TENANT", "streams", registryStream), os.DirFS(d.stream())); err != nil {
				t.Fatal(err)
			}
			d.cfg.Whole = x.whole
			dir := blocks.Meta(d.account(), d.cfg.System).Dir
			d.snapshotIn(dir, x.flip)
			d.prepare()
			if got := exists(t, dir); got != x.kept {
				t.Errorf("the log is there: %v", got)
			}
		})
	}
}

// A snapshot that a server has made of its meta group is whole.
func TestAWholeMetaGroupIsKept(t *testing.T) {
	cfgs := three(t, newKeys(t))
	var nodes []running
	for _, cfg := range cfgs {
		nodes = append(nodes, start(t, cfg))
	}
	testwait.Within(t, patience, "a meta leader", func() error {
		if nodes[0].Meta().Leader == "" {
			return errors.New("none")
		}
		return nil
	})
	for i, n := range nodes {
		if err := n.stop(); err != nil {
			t.Error(err)
		}
		g := blocks.Meta(filepath.Join(cfgs[i].Dir, storeFolder, server.JetStreamStoreDir), cfgs[i].System)
		bad, err := g.Snapshots()
		if err != nil || len(bad) > 0 {
			t.Errorf("%s: %v %v", cfgs[i].Name, bad, err)
		}
	}
}
