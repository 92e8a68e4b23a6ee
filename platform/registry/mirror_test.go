package registry

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"pgregory.net/rapid"

	"midplane/fault"
	"midplane/telemetry"
)

func values(m *Mirror) map[string]string {
	out := map[string]string{}
	m.All(func(e Entry) { out[e.Key] = string(e.Value) })
	return out
}

// More keys than a watch has room for, some of them deleted again: flow control
// and markers of deletion included.
func TestMirrorCatchesUpWithWhatWasThereBefore(t *testing.T) {
	s := broker(t, t.TempDir(), 0)
	t.Cleanup(func() { stop(s) })
	kv, ctx := openBucket(t, connect(t, s)), testContext(t)
	want := map[string]string{}
	for i := range 600 {
		key, value := fmt.Sprintf("k.%d", i), fmt.Sprint(i)
		if _, err := kv.Put(ctx, key, []byte(value)); err != nil {
			t.Fatal(err)
		}
		want[key] = value
	}
	for i := 0; i < 600; i += 7 {
		key := fmt.Sprintf("k.%d", i)
		if err := kv.Delete(ctx, key); err != nil {
			t.Fatal(err)
		}
		delete(want, key)
	}
	stored := time.Now()
	m := mirror(t, kv)
	if err := m.Wait(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, values(m)); diff != "" {
		t.Fatal(diff)
	}
	rev, _ := m.Revision()
	if want := uint64(600 + 86); rev != want {
		t.Fatalf("revision %d, want %d", rev, want)
	}
	if e, ok := m.Get("k.1"); !ok || e.Seen.After(stored) || e.Revision != 2 {
		t.Fatalf("what was there before counts as seen when it was stored, not now: %+v", e)
	}
	if _, ok := m.Get("k.0"); ok {
		t.Fatal("a deleted key is there")
	}
}

// No matter what is put, deleted and purged, the mirror holds what the bucket holds
// as soon as it is at the bucket's revision.
func TestMirrorHoldsWhatTheBucketHolds(t *testing.T) {
	s := broker(t, t.TempDir(), 0)
	t.Cleanup(func() { stop(s) })
	js, ctx := connect(t, s), context.Background()
	rapid.Check(t, func(rt *rapid.T) {
		kv := openBucket(t, js)
		mctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		m := NewMirror(kv, nil, telemetry.Nop())
		done := make(chan struct{})
		go func() { defer close(done); _ = m.Run(mctx) }()
		defer func() { cancel(); <-done }()
		want, last := map[string]string{}, uint64(0)
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			key := rapid.SampledFrom([]string{"a", "b.c", "b.d", "e"}).Draw(rt, "key")
			var err error
			switch rapid.SampledFrom([]string{"put", "put", "delete", "purge", "look"}).Draw(rt, "what") {
			case "put":
				value := rapid.StringN(0, 8, -1).Draw(rt, "value")
				_, err = kv.Put(mctx, key, []byte(value))
				want[key] = value
			case "delete":
				err = kv.Delete(mctx, key)
				delete(want, key)
			case "purge":
				err = kv.Purge(mctx, key)
				delete(want, key)
			case "look":
				if err := m.Wait(mctx, last); err != nil {
					rt.Fatal(err)
				}
				if diff := cmp.Diff(want, values(m)); diff != "" {
					rt.Fatal(diff)
				}
				continue
			}
			if err != nil {
				rt.Fatal(err)
			}
			last++
		}
		if err := m.Wait(mctx, last); err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(want, values(m)); diff != "" {
			rt.Fatal(diff)
		}
	})
}

func TestEveryChangeIsAnnounced(t *testing.T) {
	s := broker(t, t.TempDir(), 0)
	t.Cleanup(func() { stop(s) })
	kv, ctx := openBucket(t, connect(t, s)), testContext(t)
	m := mirror(t, kv)
	if err := m.Wait(ctx, 0); err != nil {
		t.Fatal(err)
	}
	for i, change := range []func() error{
		func() error { _, err := kv.Put(ctx, "a", nil); return err },
		func() error { _, err := kv.Put(ctx, "a", []byte("x")); return err },
		func() error { return kv.Delete(ctx, "a") },
	} {
		was, changed := m.Revision()
		if err := change(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("change %d was not announced", i)
		}
		if now, _ := m.Revision(); now != was+1 {
			t.Fatalf("revision %d after %d", now, was)
		}
	}
}

// A watch can go quiet without an error. The revisions are compared, and the
// watch begins again; what vanished in between without a marker goes, too.
func TestMirrorBeginsAnewWhenItsWatchGoesQuiet(t *testing.T) {
	s := broker(t, t.TempDir(), 0)
	t.Cleanup(func() { stop(s) })
	js := connect(t, s)
	q, ctx := &quietly{KeyValue: openBucket(t, js)}, testContext(t)
	m := mirror(t, q, func(m *Mirror) { m.compare = 50 * time.Millisecond })
	for _, key := range []string{"stays", "goes"} {
		if _, err := q.Put(ctx, key, []byte("old")); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Wait(ctx, 2); err != nil {
		t.Fatal(err)
	}
	q.silent.Store(true)
	stream, err := js.Stream(ctx, "KV_"+q.Bucket())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(ctx, jetstream.WithPurgeSubject("$KV."+q.Bucket()+".goes")); err != nil { // no marker is left of it
		t.Fatal(err)
	}
	rev, err := q.Put(ctx, "stays", []byte("new"))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Wait(ctx, rev); err != nil {
		t.Fatal(err)
	}
	for { // the end of the initial values comes right after the last of them
		_, changed := m.Revision()
		if diff := cmp.Diff(map[string]string{"stays": "new"}, values(m)); diff == "" {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("the mirror holds %v", values(m))
		}
	}
	if n := q.watches.Load(); n != 2 {
		t.Fatalf("%d watches, want the quiet one and a new one", n)
	}
}

// The node's own replica shows sooner than any comparison that a watch has gone
// quiet, in an empty bucket too; while the watch moves it is left alone.
func TestReplicaShowsAtOnceThatAWatchHasGoneQuiet(t *testing.T) {
	s := broker(t, t.TempDir(), 0)
	t.Cleanup(func() { stop(s) })
	js := connect(t, s)
	q, ctx := &quietly{KeyValue: openBucket(t, js)}, testContext(t)
	replica := func() uint64 {
		info, err := js.Stream(ctx, "KV_"+q.Bucket())
		if err != nil {
			return 0
		}
		return info.CachedInfo().State.LastSeq
	}
	m := NewMirror(q, replica, telemetry.Nop())
	m.compare, m.stalled = time.Hour, 50*time.Millisecond
	run(t, m)
	if err := m.Wait(ctx, 0); err != nil {
		t.Fatal(err)
	}
	q.silent.Store(true)
	rev, err := q.Put(ctx, "first", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Wait(ctx, rev); err != nil {
		t.Fatal(err)
	}
	for range 500 {
		if rev, err = q.Put(ctx, "first", []byte("y")); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Wait(ctx, rev); err != nil {
		t.Fatal(err)
	}
	if n := q.watches.Load(); n != 2 {
		t.Errorf("%d watches, want the quiet one and a new one", n)
	}
}

// A bucket that is written to all the time is not taken for a quiet watch.
func TestBusyBucketIsNotTakenForAQuietWatch(t *testing.T) {
	s := broker(t, t.TempDir(), 0)
	t.Cleanup(func() { stop(s) })
	q, ctx := &quietly{KeyValue: openBucket(t, connect(t, s))}, testContext(t)
	m := mirror(t, q, func(m *Mirror) { m.compare = 2 * time.Millisecond })
	var last uint64
	for i := range 2000 {
		rev, err := q.Put(ctx, fmt.Sprintf("k.%d", i%50), []byte("v"))
		if err != nil {
			t.Fatal(err)
		}
		last = rev
	}
	if err := m.Wait(ctx, last); err != nil {
		t.Fatal(err)
	}
	if n := q.watches.Load(); n != 1 {
		t.Fatalf("the watch was begun %d times", n)
	}
}

// The server goes away and comes back: the mirror goes on by itself.
func TestMirrorOutlivesItsServer(t *testing.T) {
	dir := t.TempDir()
	s := broker(t, dir, 0)
	port := s.Addr().String()
	js := connect(t, s)
	kv, ctx := openBucket(t, js), testContext(t)
	m := mirror(t, kv, func(m *Mirror) { m.compare = 200 * time.Millisecond })
	if _, err := kv.Put(ctx, "a", []byte("before")); err != nil {
		t.Fatal(err)
	}
	if err := m.Wait(ctx, 1); err != nil {
		t.Fatal(err)
	}
	stop(s)
	var n int
	if _, err := fmt.Sscanf(port[len("127.0.0.1:"):], "%d", &n); err != nil {
		t.Fatal(err)
	}
	s = broker(t, dir, n)
	t.Cleanup(func() { stop(s) })
	other := connect(t, s) // writes at once; the mirror's own connection may still be coming back
	again, err := other.KeyValue(ctx, kv.Bucket())
	if err != nil {
		t.Fatal(err)
	}
	rev, err := again.Put(ctx, "a", []byte("after"))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Wait(ctx, rev); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"a": "after"}, values(m)); diff != "" {
		t.Fatal(diff)
	}
}

func TestWaitingForWhatNeverComesIsUnavailable(t *testing.T) {
	s := broker(t, t.TempDir(), 0)
	t.Cleanup(func() { stop(s) })
	kv := openBucket(t, connect(t, s))
	idle := NewMirror(kv, nil, telemetry.Nop()) // does not run: never in sync
	m := mirror(t, kv)
	for what, wait := range map[string]func(context.Context) error{
		"not in sync":      func(ctx context.Context) error { return idle.Wait(ctx, 0) },
		"a later revision": func(ctx context.Context) error { return m.Wait(ctx, 1) },
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		err := wait(ctx)
		cancel()
		if !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if idle.Synced() || !m.Synced() {
		t.Errorf("synced: %v before it runs, %v after", idle.Synced(), m.Synced())
	}
}
