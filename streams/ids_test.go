package streams_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/streams"
)

// secretPrefix is an account whose API the user "control" reaches under another prefix
// only, as the control plane does: it can make a consumer, and cannot fetch from it.
const secretPrefix = `
host: 127.0.0.1
port: -1
jetstream: {store_dir: %q}
system_account: SYS
accounts: {
  SYS: {exports: [{service: "$JS.API.>"}]}
  T: {
    jetstream: enabled
    imports: [{service: {account: SYS, subject: "$JS.API.>"}, to: "a.secret.>", share: true}]
    users: [
      {user: all, password: x}
      {user: control, password: x, permissions: {publish: {allow: ["a.secret.>", "$JS.API.STREAM.MSG.GET.*"]}, subscribe: {allow: ["_INBOX.control.>"]}}}
    ]
  }
}`

// The ids come in order from where they are asked for, without payloads, until the
// reader has enough or the stream ends, and no consumer is left.
func TestEachID(t *testing.T) {
	file := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, secretPrefix, t.TempDir()), 0o600); err != nil {
		t.Fatal(err)
	}
	opts, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	opts.NoLog, opts.NoSigs = true, true
	s, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server did not come up")
	}
	dial := func(user string) *nats.Conn {
		nc, err := nats.Connect(s.ClientURL(), nats.UserInfo(user, "x"), nats.CustomInboxPrefix("_INBOX."+user))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		return nc
	}
	all, err := jetstream.New(dial("all"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := all.CreateStream(t.Context(), jetstream.StreamConfig{Name: "EVENTS", Subjects: []string{"events"}}); err != nil {
		t.Fatal(err)
	}
	const n = 3000
	want := map[uint64]string{}
	for i := range n {
		opts := []jetstream.PublishOpt{jetstream.WithMsgID(fmt.Sprint("p/", i))}
		if i == 7 {
			opts = nil
		}
		ack, err := all.PublishMsg(t.Context(), &nats.Msg{Subject: "events", Data: make([]byte, 1000)}, opts...)
		if err != nil {
			t.Fatal(err)
		}
		if want[ack.Sequence] = fmt.Sprint("p/", i); i == 7 {
			want[ack.Sequence] = ""
		}
	}
	js, err := jetstream.NewWithAPIPrefix(dial("control"), "a.secret")
	if err != nil {
		t.Fatal(err)
	}
	read := func(from uint64, most int) map[uint64]string {
		t.Helper()
		got, next := map[uint64]string{}, from
		err := streams.EachID(t.Context(), js, "EVENTS", from, func(seq uint64, id string) bool {
			if seq != max(next, 1) {
				t.Errorf("%d after %d", seq, next)
			}
			next = seq + 1
			got[seq] = id
			return len(got) < most
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if diff := cmp.Diff(want, read(0, n+1)); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	if got := read(100, 5); len(got) != 5 || got[100] != "p/99" || got[104] != "p/103" {
		t.Errorf("five from 100 on: %v", got)
	}
	stream, err := all.Stream(t.Context(), "EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	for name := range stream.ConsumerNames(t.Context()).Name() {
		t.Errorf("consumer %s is left", name)
	}
	// A consumer that has to be asked does not answer here.
	c, err := js.CreateConsumer(t.Context(), "EVENTS", jetstream.ConsumerConfig{Name: "fetched", AckPolicy: jetstream.AckNonePolicy})
	if err != nil {
		t.Fatal(err)
	}
	if batch, err := c.Fetch(1, jetstream.FetchMaxWait(time.Second)); err == nil {
		for range batch.Messages() {
			t.Error("it can fetch, and EachID has no reason to be")
		}
	}
}
