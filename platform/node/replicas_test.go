package node

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/event"
	"midplane/platform/node/blocks"
)

// onDisk is what a server left on a disk: a stream of 400 messages in several
// blocks, and the folder of its Raft group.
type onDisk struct {
	t   *testing.T
	cfg Config
	ref api.ReplicaRef
}

const testGroup = "S-R3F-F3U95fWG"

func newOnDisk(t *testing.T) *onDisk {
	t.Helper()
	d := &onDisk{t: t, cfg: Config{Name: "n1", Dir: t.TempDir(), System: "SYSTEM"}, ref: api.ReplicaRef{Account: "TENANT", Stream: "EVENTS"}}
	acc := server.NewAccount("TENANT")
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: filepath.Join(d.cfg.Dir, storeFolder),
		Accounts: []*server.Account{acc}, Users: []*server.User{{Username: "u", Password: "p", Account: acc}}})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	defer func() { srv.Shutdown(); srv.WaitForShutdown() }()
	if !srv.ReadyForConnections(patience) {
		t.Fatal("the server does not start")
	}
	if acc, err = srv.LookupAccount("TENANT"); err != nil {
		t.Fatal(err)
	}
	if err := acc.EnableJetStream(nil, nil); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(srv.ClientURL(), nats.UserInfo("u", "p"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "EVENTS", Subjects: []string{"e.>"}, MaxBytes: 120_000, DenyDelete: true}); err != nil {
		t.Fatal(err)
	}
	for i := range 250 {
		if _, err := js.Publish(ctx, "e.a", fmt.Append(nil, i, strings.Repeat("x", 350))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(d.group(), 0o700); err != nil {
		t.Fatal(err)
	}
	meta := `{"created":"2026-11-30T13:31:15Z","name":"` + testGroup + `","metadata":{"account":"TENANT","stream":"EVENTS","type":"stream"}}`
	if err := os.WriteFile(filepath.Join(d.group(), "meta.inf"), []byte(meta), 0o600); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *onDisk) account() string { return filepath.Join(d.cfg.Dir, storeFolder, "jetstream") }
func (d *onDisk) group() string {
	return filepath.Join(d.account(), d.cfg.System, "_js_", testGroup)
}
func (d *onDisk) stream() string { return filepath.Join(d.account(), "TENANT", "streams", "EVENTS") }

// block returns the path of a block.
func (d *onDisk) block(n int) string {
	return filepath.Join(d.stream(), "msgs", fmt.Sprintf("%d.blk", n))
}

func (d *onDisk) damage() {
	d.t.Helper()
	data, err := os.ReadFile(d.block(1))
	if err != nil {
		d.t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(d.block(1), data, 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// snapshot writes a snapshot that a real group has made, with some bits flipped.
func (d *onDisk) snapshot(flip byte) { d.snapshotIn(d.group(), flip) }

// snapshotIn writes it into another group's folder: its checksum has the group's name.
func (d *onDisk) snapshotIn(group string, flip byte) {
	d.t.Helper()
	const made = "AQAAAAAAAAAsAAAAAAAAACIAAAADAAAAAwAAADQ0anprVjlEZmpGeUVqYzFCWFNjclk5aQAAKgEtu+ABAS0AAJQjMAyXaZwZ"
	data, err := base64.StdEncoding.DecodeString(made)
	if err != nil {
		d.t.Fatal(err)
	}
	data[30] ^= flip
	dir := filepath.Join(group, "snapshots")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "snap.1.44"), data, 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// knows writes what a running node would have kept.
func (d *onDisk) knows(change func(m *memory)) {
	d.t.Helper()
	m := memory{path: filepath.Join(d.cfg.Dir, memoryFile)}
	if err := m.load(); err != nil {
		d.t.Fatal(err)
	}
	change(&m)
	if err := m.save(); err != nil {
		d.t.Fatal(err)
	}
}

// prepare is what happens before the server starts.
func (d *onDisk) prepare() *Replicas {
	d.t.Helper()
	r := newReplicas(d.cfg, &atomic.Pointer[server.Server]{}, slog.New(slog.DiscardHandler))
	if err := r.prepare(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	return r
}

// there reports whether the messages and the Raft group are there.
func (d *onDisk) there() (messages, group bool) {
	_, err := os.Stat(d.block(1))
	_, err2 := os.Stat(d.group())
	return err == nil, err2 == nil
}

func others(whole error) Whole {
	return func(_ context.Context, streams []api.ReplicaRef) map[api.ReplicaRef]error {
		out := map[api.ReplicaRef]error{}
		for _, s := range streams {
			if whole != nil {
				out[s] = whole
			}
		}
		return out
	}
}

// A replica is removed with its Raft group when it is damaged or a repair was asked
// for, and the others hold all of it; in every other case nothing is touched, and a
// damaged one is known as such.
func TestWhatIsRemovedBeforeTheStart(t *testing.T) {
	for _, x := range []struct {
		what    string
		set     func(d *onDisk)
		removed bool
		damaged bool
	}{
		{what: "whole", set: func(d *onDisk) {}},
		{what: "damaged, and the others hold all of it", set: func(d *onDisk) { d.damage() }, removed: true},
		{what: "damaged, and the others do not", set: func(d *onDisk) { d.damage(); d.cfg.Whole = others(errors.New("one is behind")) }, damaged: true},
		{what: "damaged, and there are no others", set: func(d *onDisk) { d.damage(); d.cfg.Whole = nil }, damaged: true},
		{what: "damaged, and an operator decides", set: func(d *onDisk) { d.damage(); d.cfg.AskBeforeRepair = true }, damaged: true},
		{what: "damaged, and an operator has decided", set: func(d *onDisk) {
			d.damage()
			d.cfg.AskBeforeRepair, d.cfg.Repair = true, map[api.ReplicaRef]api.ReplicaDamage{d.ref: {What: "asked"}}
		}, removed: true},
		{what: "whole, and a repair was asked for", set: func(d *onDisk) { d.cfg.Repair = map[api.ReplicaRef]api.ReplicaDamage{d.ref: {What: "asked"}} }, removed: true},
		{what: "a snapshot of its Raft group that is whole", set: func(d *onDisk) { d.snapshot(0) }},
		{what: "a snapshot of its Raft group with a flipped bit", set: func(d *onDisk) { d.snapshot(1) }, removed: true},
		{what: "such a snapshot, and the others are not whole", set: func(d *onDisk) { d.snapshot(1); d.cfg.Whole = others(errors.New("one is behind")) }, damaged: true},
		{what: "a removal was interrupted", set: func(d *onDisk) {
			d.cfg.Whole = nil
			d.knows(func(m *memory) { m.Removing = []api.ReplicaRef{d.ref} })
			if err := os.RemoveAll(filepath.Join(d.stream(), "msgs")); err != nil {
				d.t.Fatal(err)
			}
		}, removed: true},
	} {
		t.Run(x.what, func(t *testing.T) {
			d := newOnDisk(t)
			d.cfg.Whole = others(nil)
			x.set(d)
			r := d.prepare()
			messages, group := d.there()
			if messages != !x.removed || group != !x.removed {
				t.Errorf("messages %v, Raft group %v; to be removed: %v", messages, group, x.removed)
			}
			if got := len(r.Diverged()) == 1; got != x.damaged {
				t.Errorf("known as damaged: %v", r.Diverged())
			}
			if _, err := os.Stat(filepath.Join(d.stream(), "meta.inf")); err != nil {
				t.Errorf("the stream itself is gone: %v", err)
			}
		})
	}
}

// What was found whole is not read again, unless it has changed or there is time.
func TestMarksOfBlocksAreKept(t *testing.T) {
	d := newOnDisk(t)
	d.prepare()
	r := newReplicas(d.cfg, &atomic.Pointer[server.Server]{}, slog.New(slog.DiscardHandler))
	if err := r.memory.load(); err != nil {
		t.Fatal(err)
	}
	found, err := r.find()
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	marks := r.known(found[0])
	if len(marks) < 3 {
		t.Fatalf("marks: %v", marks)
	}
	// The size and time of a block that was damaged without a trace are as before.
	d.damage()
	was := time.Unix(0, marks[1].ModTime)
	if err := os.Chtimes(d.block(1), was, was); err != nil {
		t.Fatal(err)
	}
	if r := d.prepare(); len(r.Diverged()) != 1 {
		t.Error("damage that leaves no trace is not found, though there is time to read all")
	}
}

// A note of the server that is ahead of the blocks goes: with it the server would
// take the messages between for deleted.
func TestTheServersNoteDoesNotOutliveTheBlocks(t *testing.T) {
	d := newOnDisk(t)
	note := filepath.Join(d.stream(), "msgs", "index.db")
	if _, err := os.Stat(note); err != nil {
		t.Fatal(err)
	}
	d.prepare()
	if _, err := os.Stat(note); err != nil {
		t.Fatalf("the note of a whole stream: %v", err)
	}
	blks, err := filepath.Glob(filepath.Join(d.stream(), "msgs", "*.blk"))
	if err != nil {
		t.Fatal(err)
	}
	newest := d.block(len(blks))
	info, err := os.Stat(newest)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(newest, info.Size()/2); err != nil {
		t.Fatal(err)
	}
	if r := d.prepare(); len(r.Diverged()) != 0 {
		t.Errorf("a torn end is no damage: %v", r.Diverged())
	}
	if _, err := os.Stat(note); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the note is still there: %v", err)
	}
}

// What a node does for the comparison, with the streams of 100 tenants: answering
// once what it holds, and looking once for blocks that have changed.
func BenchmarkHundredTenants(b *testing.B) {
	dir := b.TempDir()
	o := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: filepath.Join(dir, storeFolder)}
	for i := range 100 {
		name := fmt.Sprintf("TENANT%d", i)
		acc := server.NewAccount(name)
		o.Accounts = append(o.Accounts, acc)
		o.Users = append(o.Users, &server.User{Username: name, Password: "p", Account: acc})
	}
	srv, err := server.NewServer(o)
	if err != nil {
		b.Fatal(err)
	}
	srv.Start()
	defer func() { srv.Shutdown(); srv.WaitForShutdown() }()
	if !srv.ReadyForConnections(patience) {
		b.Fatal("the server does not start")
	}
	for _, u := range o.Users {
		acc, err := srv.LookupAccount(u.Username)
		if err != nil {
			b.Fatal(err)
		}
		if err := acc.EnableJetStream(nil, nil); err != nil {
			b.Fatal(err)
		}
		nc, err := nats.Connect(srv.ClientURL(), nats.UserInfo(u.Username, "p"))
		if err != nil {
			b.Fatal(err)
		}
		js, err := jetstream.New(nc)
		if err != nil {
			b.Fatal(err)
		}
		for _, s := range event.Streams {
			if _, err := js.CreateStream(b.Context(), jetstream.StreamConfig{Name: s, Subjects: []string{s + ".>"}, DenyDelete: true}); err != nil {
				b.Fatal(err)
			}
			for range 20 {
				if _, err := js.Publish(b.Context(), s+".a", make([]byte, 300)); err != nil {
					b.Fatal(err)
				}
			}
		}
		nc.Close()
	}
	var at atomic.Pointer[server.Server]
	at.Store(srv)
	r := newReplicas(Config{Name: "n1", Dir: dir}, &at, slog.New(slog.DiscardHandler))
	if err := r.memory.load(); err != nil {
		b.Fatal(err)
	}
	b.Run("answer", func(b *testing.B) {
		for b.Loop() {
			n := 0
			for _, a := range details(srv, nil) {
				n += len(a.Streams)
			}
			if n != 400 {
				b.Fatal(n)
			}
		}
	})
	b.Run("look", func(b *testing.B) {
		for b.Loop() {
			found, err := r.find()
			if err != nil || len(found) != 400 {
				b.Fatal(len(found), err)
			}
			for _, s := range found {
				r.verify(s, blocks.Scope{Known: r.known(s), Sealed: true})
			}
		}
	})
}
