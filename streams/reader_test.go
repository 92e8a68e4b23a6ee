package streams_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/streams"
)

// numbered makes a stream with messages 1 to n.
func numbered(t *testing.T, js jetstream.JetStream, n int) {
	t.Helper()
	ctx := testContext(t)
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}}); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if _, err := js.Publish(ctx, fmt.Sprintf("s.%d", i%2), nil); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReadAll(t *testing.T) {
	ctx := testContext(t)
	_, _, js := broker(t)
	numbered(t, js, 2000)
	for _, tc := range []struct {
		cfg  streams.ReadConfig
		want int
	}{
		{streams.ReadConfig{Stream: "S", Ahead: 100}, 2000},
		{streams.ReadConfig{Stream: "S", From: 1991}, 10},
		{streams.ReadConfig{Stream: "S", From: 2001}, 0},
		{streams.ReadConfig{Stream: "S", Filters: []string{"s.1", "none"}}, 1000},
		{streams.ReadConfig{Stream: "S", Filters: []string{"none"}}, 0},
	} {
		n, last := 0, uint64(0)
		err := streams.ReadAll(ctx, js, tc.cfg, func(_ jetstream.Msg, at *jetstream.MsgMetadata) error {
			if n++; at.Sequence.Stream <= last {
				return fmt.Errorf("%d after %d", at.Sequence.Stream, last)
			}
			last = at.Sequence.Stream
			return nil
		})
		if err != nil || n != tc.want {
			t.Errorf("%+v: read %d, want %d: %v", tc.cfg, n, tc.want, err)
		}
	}
	stop := errors.New("enough")
	if err := streams.ReadAll(ctx, js, streams.ReadConfig{Stream: "S"}, func(jetstream.Msg, *jetstream.MsgMetadata) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the error of take became %v", err)
	}
}

// A consumer that is gone is replaced by another one, which goes on behind what was
// taken.
func TestFollowReplacesAConsumer(t *testing.T) {
	ctx := testContext(t)
	_, _, js := broker(t)
	numbered(t, js, 300)
	enough := errors.New("enough")
	last := uint64(0)
	err := streams.Follow(ctx, js, streams.ReadConfig{Stream: "S", Name: "reader-", Ahead: 10}, func(_ jetstream.Msg, at *jetstream.MsgMetadata) error {
		if at.Sequence.Stream != last+1 {
			t.Errorf("%d after %d", at.Sequence.Stream, last)
		}
		switch last = at.Sequence.Stream; {
		case last == 300:
			return enough
		case last == 150:
			return js.DeleteConsumer(ctx, "S", at.Consumer)
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Fatalf("at %d: %v", last, err)
	}
}

// deaf starts a server that does not hear one kind of request, as when a node that
// should answer it is dead.
func deaf(t *testing.T, request string) jetstream.JetStream {
	t.Helper()
	s, _, js := brokerWith(t, &server.Options{Users: []*server.User{
		{Username: "all", Password: "x"},
		{Username: "deaf", Password: "x", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Allow: []string{">"}, Deny: []string{request}}}},
	}}, nats.UserInfo("all", "x"))
	numbered(t, js, 10)
	nc, err := nats.Connect(s.ClientURL(), nats.UserInfo("deaf", "x"), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	return js
}

// A request that is never answered is given up soon, whatever its caller's time is.
func TestReaderGivesUpTheSilent(t *testing.T) {
	const bound = 30 * time.Second // for a busy machine; it takes 2.5 and 4 seconds
	ctx := context.Background()
	began := time.Now()
	if _, err := streams.OpenReader(ctx, deaf(t, "$JS.API.CONSUMER.CREATE.>"), streams.ReadConfig{Stream: "S"}); err == nil || time.Since(began) > bound {
		t.Errorf("a consumer that cannot be made: %v after %s", err, time.Since(began))
	}
	r, err := streams.OpenReader(ctx, deaf(t, "$JS.API.CONSUMER.MSG.NEXT.>"), streams.ReadConfig{Stream: "S"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	began = time.Now()
	if _, _, err := r.Next(ctx); err == nil || time.Since(began) > bound {
		t.Errorf("a consumer that says nothing: %v after %s", err, time.Since(began))
	}
}

// Next waits for as long as the consumer lives, and ends when it is closed.
func TestReaderWaits(t *testing.T) {
	_, _, js := broker(t)
	numbered(t, js, 0)
	r, err := streams.OpenReader(testContext(t), js, streams.ReadConfig{Stream: "S"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
	defer cancel()
	if _, _, err := r.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an idle stream: %v", err)
	}
	ended := make(chan error)
	go func() { _, _, err := r.Next(context.Background()); ended <- err }()
	r.Close()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("a closed reader has a message")
		}
	case <-time.After(time.Minute):
		t.Error("Next waits in a closed reader")
	}
}
