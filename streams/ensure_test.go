package streams_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/event"
	"midplane/fault"
	"midplane/streams"
	"midplane/subject"
)

func limits() streams.Limits {
	l := streams.Split(64 << 20)
	l.Replicas = 1
	return l
}

func verbs(steps []streams.Step) string {
	var out []string
	for _, s := range steps {
		out = append(out, s.String())
	}
	return strings.Join(out, "\n")
}

func TestEnsureIsIdempotentAndChanges(t *testing.T) {
	ctx := testContext(t)
	_, _, js := broker(t)
	want := streams.Tenant(limits(), "s3cret")
	steps, err := streams.Ensure(ctx, js, want)
	if err != nil {
		t.Fatal(err)
	}
	if got := verbs(steps); got != "create stream EVENTS\ncreate stream STATE\ncreate stream METRICS\ncreate stream DEAD" {
		t.Fatal(got)
	}
	if steps, err = streams.Ensure(ctx, js, want); err != nil || len(steps) != 0 {
		t.Fatalf("the second time: %v, %v", steps, err)
	}

	// A second capability while the first is rotated out, and a larger quota.
	l := limits()
	l.Events *= 2
	steps, err = streams.Ensure(ctx, js, streams.Tenant(l, "s3cret", "n3xt"))
	if err != nil || len(steps) != 4 {
		t.Fatalf("%v, %v", steps, err)
	}
	if strings.Contains(verbs(steps), "s3cret") || strings.Contains(verbs(steps), "n3xt") {
		t.Fatalf("a step shows a capability: %s", verbs(steps))
	}
	s, err := js.Stream(ctx, event.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	if len(cfg.Subjects) != 2 || cfg.MaxBytes != l.Events || cfg.MaxAge != 0 || !cfg.DenyDelete || cfg.AllowDirect ||
		cfg.Discard != jetstream.DiscardNew || cfg.Duplicates != 10*time.Minute || cfg.Storage != jetstream.FileStorage {
		t.Fatalf("%+v", cfg)
	}
}

// A change by hand to a field that we depend on is undone; other fields keep
// their values.
func TestEnsureRepairs(t *testing.T) {
	ctx := testContext(t)
	_, _, js := broker(t)
	want := streams.Tenant(limits(), "cap")
	if _, err := streams.Ensure(ctx, js, want); err != nil {
		t.Fatal(err)
	}
	s, _ := js.Stream(ctx, event.StreamEvents)
	cfg := s.CachedInfo().Config
	cfg.MaxAge, cfg.Discard, cfg.Description = time.Hour, jetstream.DiscardOld, "kept"
	cfg.Metadata["team"] = "noc"
	if _, err := js.UpdateStream(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	steps, err := streams.Ensure(ctx, js, want)
	if err != nil || len(steps) != 1 || !strings.Contains(steps[0].Detail, "max age 1h0m0s → 0s") {
		t.Fatalf("%v, %v", steps, err)
	}
	s, _ = js.Stream(ctx, event.StreamEvents)
	cfg = s.CachedInfo().Config
	if cfg.MaxAge != 0 || cfg.Discard != jetstream.DiscardNew || cfg.Description != "kept" || cfg.Metadata["team"] != "noc" {
		t.Fatalf("%+v", cfg)
	}
	if steps, err := streams.Ensure(ctx, js, want); err != nil || len(steps) != 0 {
		t.Fatalf("%v, %v", steps, err)
	}
}

// A message that the ingress publishes under the capability is stored under the
// plain subject, and without the capability nothing is stored.
func TestStoredUnderPlainSubject(t *testing.T) {
	ctx := testContext(t)
	_, nc, js := broker(t)
	if _, err := streams.Ensure(ctx, js, streams.Tenant(limits(), "cap")); err != nil {
		t.Fatal(err)
	}
	for _, k := range event.Kinds {
		in := subject.In{Producer: "p", Kind: k, Severity: event.Info, Entity: "r1", Type: "x.v1", DeadStream: "EVENTS", DeadReason: "invalid"}
		st := in.StoredAs("syd")
		for range 2 {
			if _, err := js.Publish(ctx, subject.Capability("cap").Subject(st), []byte("{}")); err != nil {
				t.Fatal(k, err)
			}
		}
		s, err := js.Stream(ctx, k.Stream())
		if err != nil {
			t.Fatal(err)
		}
		msg, err := s.GetMsg(ctx, 2)
		if err != nil || msg.Subject != st.String() {
			t.Fatalf("%s: %v, %v", k, msg, err)
		}
		want := uint64(2)
		if k == event.KindState {
			want = 1
		}
		if n := s.CachedInfo().State.Msgs; n != want {
			t.Errorf("%s keeps %d messages, want %d", k, n, want)
		}
		if err := s.DeleteMsg(ctx, 2); err == nil {
			t.Errorf("%s: a message could be deleted", k)
		}
		if _, err := nc.Request(st.String(), []byte("{}"), time.Second); !errors.Is(err, nats.ErrNoResponders) {
			t.Errorf("%s: a publish without the capability: %v", k, err)
		}
	}
}

// A new account's JWT may reach a node after the first request does.
func TestEnsureWaitsForJetStream(t *testing.T) {
	ctx := testContext(t)
	acc := server.NewAccount("acme")
	s, nc, js := brokerWith(t, &server.Options{
		Accounts: []*server.Account{acc}, Users: []*server.User{{Username: "control", Password: "x", Account: acc}},
	}, nats.UserInfo("control", "x"))
	if _, err := js.Stream(ctx, event.StreamEvents); err == nil || errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Fatalf("the account has JetStream already: %v", err)
	}
	type result struct {
		steps []streams.Step
		err   error
	}
	done := make(chan result, 1)
	asked := make(chan struct{}, 1000)
	sub, err := nc.Subscribe("$JS.API.STREAM.INFO.EVENTS", func(m *nats.Msg) {
		// the answer of a node that does not have the account's JWT yet
		_ = m.Respond([]byte(`{"error":{"code":503,"err_code":10039,"description":"JetStream not enabled for account"}}`))
		asked <- struct{}{}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	go func() {
		steps, err := streams.Ensure(ctx, js, streams.Tenant(limits(), "cap"))
		done <- result{steps, err}
	}()
	<-asked // it has tried while there was no JetStream
	if err := sub.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	registered, err := s.LookupAccount("acme")
	if err != nil {
		t.Fatal(err)
	}
	if err := registered.EnableJetStream(nil, nil); err != nil {
		t.Fatal(err)
	}
	if r := <-done; r.err != nil || len(r.steps) != 4 {
		t.Fatalf("%v, %v", r.steps, r.err)
	}
}

func TestEnsureGivesUpWithItsContext(t *testing.T) {
	_, nc, _ := broker(t)
	js, err := jetstream.NewWithAPIPrefix(nc, "nothing.listens.here")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := contextWithTimeout(t, 300*time.Millisecond)
	defer cancel()
	if _, err := streams.Ensure(ctx, js, streams.Tenant(limits(), "cap")); !fault.Is(err, fault.Unavailable) || fault.HintOf(err) == "" {
		t.Fatal(err)
	}
}

func TestEnsureSaysWhatCannotBe(t *testing.T) {
	ctx := testContext(t)
	_, _, js := broker(t)
	l := streams.Split(2 << 30) // the server has 1 GiB
	l.Replicas = 1
	if _, err := streams.Ensure(ctx, js, streams.Tenant(l, "cap")); !fault.Is(err, fault.Exhausted) {
		t.Fatalf("%v (%s)", err, fault.KindOf(err))
	}
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "DEAD", Subjects: []string{"x"}, Storage: jetstream.MemoryStorage}); err != nil {
		t.Fatal(err)
	}
	if _, err := streams.Ensure(ctx, js, streams.Tenant(limits(), "cap")); err == nil || fault.Retryable(err) && fault.KindOf(err) != fault.Other {
		t.Fatal(err)
	}
}

func TestPurge(t *testing.T) {
	ctx := testContext(t)
	_, _, js := broker(t)
	if _, err := streams.Ensure(ctx, js, streams.Tenant(limits(), "cap")); err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	if floor, err := streams.FirstSince(ctx, js, event.StreamEvents, before, 0); err != nil || floor != 1 {
		t.Fatalf("empty stream: %d, %v", floor, err)
	}
	if err := streams.Purge(ctx, js, event.StreamEvents, 5); err != nil {
		t.Fatal(err)
	}
	var middle time.Time
	for i := range 10 {
		in := subject.In{Kind: event.KindEvent, Severity: event.Info, Entity: event.Entity(fmt.Sprint("r", i)), Type: "x.v1"}
		if _, err := js.Publish(ctx, subject.Capability("cap").Subject(in.StoredAs("syd")), []byte("{}")); err != nil {
			t.Fatal(err)
		}
		if i == 4 {
			s, _ := js.Stream(ctx, event.StreamEvents)
			m, err := s.GetMsg(ctx, 5)
			if err != nil {
				t.Fatal(err)
			}
			middle = m.Time
		}
	}
	for _, tc := range []struct {
		at   time.Time
		want uint64
	}{{before, 1}, {middle, 5}, {middle.Add(time.Nanosecond), 6}, {time.Now().Add(time.Hour), 11}} {
		if floor, err := streams.FirstSince(ctx, js, event.StreamEvents, tc.at, 10); err != nil || floor != tc.want {
			t.Errorf("FirstSince(%v) = %d, %v, want %d", tc.at, floor, err, tc.want)
		}
	}
	for _, tc := range []struct{ to, first, last uint64 }{{4, 4, 10}, {4, 4, 10}, {1000, 11, 10}} {
		if err := streams.Purge(ctx, js, event.StreamEvents, tc.to); err != nil {
			t.Fatal(err)
		}
		s, _ := js.Stream(ctx, event.StreamEvents)
		if st := s.CachedInfo().State; st.FirstSeq != tc.first || st.LastSeq != tc.last {
			t.Errorf("after a purge to %d: %d…%d, want %d…%d", tc.to, st.FirstSeq, st.LastSeq, tc.first, tc.last)
		}
	}
	for _, to := range []uint64{0, 1} {
		if err := streams.Purge(ctx, js, event.StreamEvents, to); !fault.Is(err, fault.Invalid) {
			t.Errorf("purge to %d: %v", to, err)
		}
	}
	if err := streams.Purge(ctx, js, "NONE", 2); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}

// Streams lose their own limits and get them back with what they hold, and nothing is
// dropped by a limit below it. Without a limit a stream takes more than its share,
// up to what the account may store.
func TestStreamsLoseTheirLimitsAndGetThemBack(t *testing.T) {
	ctx := testContext(t)
	_, _, js := broker(t)
	l := limits()
	l.Events = 10_000
	bounded := streams.Tenant(l, "cap")
	l.Unbounded = true
	unbounded := streams.Tenant(l, "cap")
	to := subject.Capability("cap").Subject(subject.In{Producer: "p", Kind: event.KindEvent, Severity: event.Info, Entity: "r1", Type: "x.v1"}.StoredAs("syd"))
	publish := func() error {
		_, err := js.Publish(ctx, to, make([]byte, 1000))
		return err
	}
	ensure := func(want []jetstream.StreamConfig, steps int) {
		t.Helper()
		if done, err := streams.Ensure(ctx, js, want); err != nil || len(done) != steps {
			t.Fatalf("%v, %v", done, err)
		}
	}
	ensure(bounded, 4)
	stored := 0
	for ; publish() == nil; stored++ {
	}
	if err := publish(); !isFull(err) {
		t.Fatalf("a full stream answers %v", err)
	}
	ensure(unbounded, 4)
	ensure(unbounded, 0)
	for range 2 * stored {
		if err := publish(); err != nil {
			t.Fatal(err)
		}
	}
	ensure(bounded, 4)
	if err := publish(); !isFull(err) {
		t.Errorf("with its limit again it answers %v", err)
	}
	s, err := js.Stream(ctx, event.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	if st := s.CachedInfo().State; st.FirstSeq != 1 || st.Msgs != uint64(3*stored) {
		t.Errorf("%d were stored, of %+v", 3*stored, st)
	}
}

func isFull(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == streams.CodeStreamFull
}

// The window of a stream that exists changes in both directions, as it does while
// leaders of two versions follow each other: nothing that is stored goes, and an id
// that is younger than both windows is a duplicate all along.
func TestWindowOfAnExistingStreamChanges(t *testing.T) {
	ctx := testContext(t)
	_, _, js := broker(t)
	now := streams.Tenant(limits(), "cap")
	before := streams.Tenant(limits(), "cap")
	for i := range before {
		before[i].Duplicates = streams.DuplicateWindow
	}
	if _, err := streams.Ensure(ctx, js, before); err != nil {
		t.Fatal(err)
	}
	in := subject.In{Producer: "p", Kind: event.KindMetric, Entity: "r1", Type: "x.v1"}
	subj := subject.Capability("cap").Subject(in.StoredAs("syd"))
	publish := func(duplicate bool) {
		t.Helper()
		ack, err := js.Publish(ctx, subj, []byte("{}"), jetstream.WithMsgID("p/1"))
		if err != nil || ack.Duplicate != duplicate || ack.Sequence != 1 {
			t.Fatalf("%+v, %v", ack, err)
		}
	}
	publish(false)
	for round, want := range [][]jetstream.StreamConfig{now, before, now} {
		steps, err := streams.Ensure(ctx, js, want)
		if err != nil || len(steps) != 1 || steps[0].What != "stream METRICS" || !strings.HasPrefix(steps[0].Detail, "duplicate window ") || strings.Contains(steps[0].Detail, ",") {
			t.Fatalf("round %d: %v, %v", round, steps, err)
		}
		s, err := js.Stream(ctx, event.StreamMetrics)
		if err != nil || s.CachedInfo().State.Msgs != 1 || s.CachedInfo().Config.Duplicates != want[2].Duplicates {
			t.Fatalf("round %d: %+v, %v", round, s.CachedInfo(), err)
		}
		publish(true)
	}
}

// No window is below what is under way at most: the 10 seconds after which a node
// notices that it stood still, and the two minutes that a client may take.
func TestWindows(t *testing.T) {
	for _, k := range event.Kinds {
		want := 10 * time.Minute
		if k == event.KindMetric {
			want = 2 * time.Minute
		}
		if got := streams.Window(k); got != want {
			t.Errorf("%s: %s", k, got)
		}
	}
}
