package blocks_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/platform/node/blocks"
)

// world is a real server whose files are read.
type world struct {
	t   testing.TB
	dir string
	key string
	srv *server.Server
	js  jetstream.JetStream
}

func newWorld(t testing.TB, encrypted bool) *world {
	w := &world{t: t, dir: t.TempDir()}
	if encrypted {
		w.key = base64.StdEncoding.EncodeToString([]byte("01234567890123456789012345678901"))
	}
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

func (w *world) start() {
	w.t.Helper()
	acc := server.NewAccount("TENANT")
	o := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: w.dir, SyncAlways: true,
		JetStreamKey: w.key, JetStreamCipher: server.ChaCha, Accounts: []*server.Account{acc}, Users: []*server.User{{Username: "u", Password: "p", Account: acc}}}
	srv, err := server.NewServer(o)
	if err != nil {
		w.t.Fatal(err)
	}
	srv.Start()
	if !srv.ReadyForConnections(20 * time.Second) {
		w.t.Fatal("the server does not start")
	}
	a, err := srv.LookupAccount("TENANT")
	if err != nil {
		w.t.Fatal(err)
	}
	if err := a.EnableJetStream(nil, nil); err != nil {
		w.t.Fatal(err)
	}
	nc, err := nats.Connect(srv.ClientURL(), nats.UserInfo("u", "p"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(nc.Close)
	if w.js, err = jetstream.New(nc); err != nil {
		w.t.Fatal(err)
	}
	w.srv = srv
}

func (w *world) stop() {
	if w.srv != nil {
		w.srv.Shutdown()
		w.srv.WaitForShutdown()
	}
	w.srv = nil
}

func (w *world) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	w.t.Cleanup(cancel)
	return ctx
}

// stream makes a stream with blocks of 32 KB.
func (w *world) stream(cfg jetstream.StreamConfig) jetstream.Stream {
	w.t.Helper()
	cfg.Storage, cfg.MaxBytes = jetstream.FileStorage, 120_000
	if cfg.Subjects == nil {
		cfg.Subjects = []string{cfg.Name + ".>"}
	}
	s, err := w.js.CreateStream(w.ctx(), cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// publish publishes n messages whose subject is one of subjects.
func (w *world) publish(stream string, n, subjects int) { w.publishWith(stream, n, subjects, false) }

func (w *world) publishWith(stream string, n, subjects int, withHeaders bool) {
	w.t.Helper()
	for i := range n {
		m := &nats.Msg{Subject: fmt.Sprintf("%s.%d", stream, i%subjects), Data: []byte(fmt.Sprintf("message %d %s", i, filler)), Header: nats.Header{}}
		if i%3 == 0 || withHeaders {
			m.Header.Set("Nats-Msg-Id", fmt.Sprint("id-", i))
		}
		if _, err := w.js.PublishMsg(w.ctx(), m); err != nil {
			w.t.Fatal(err)
		}
	}
}

var filler = string(make([]byte, 350))

// replica returns the stream's files.
func (w *world) replica(stream string) blocks.Stream {
	w.t.Helper()
	all, err := blocks.Find(filepath.Join(w.dir, "jetstream"), w.key)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range all {
		if s.Name == stream && s.Account == "TENANT" {
			return s
		}
	}
	w.t.Fatalf("no %s in %v", stream, all)
	return blocks.Stream{}
}

// held is what a replica holds: "subject data" by sequence.
func held(t testing.TB, s blocks.Stream) (blocks.Report, map[uint64]string) {
	t.Helper()
	out := map[uint64]string{}
	r, err := blocks.Read(s, func(m blocks.Message) {
		out[m.Seq] = m.Subject + " " + string(m.Header) + string(m.Data)
	})
	if err != nil {
		t.Fatal(err)
	}
	return r, out
}

// says is what the server says that the stream holds.
func (w *world) says(stream string) (*jetstream.StreamInfo, map[uint64]string) {
	w.t.Helper()
	s, err := w.js.Stream(w.ctx(), stream)
	if err != nil {
		w.t.Fatal(err)
	}
	info, err := s.Info(w.ctx(), jetstream.WithDeletedDetails(true))
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[uint64]string{}
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq; seq++ {
		if slices.Contains(info.State.Deleted, seq) {
			continue
		}
		m, err := s.GetMsg(w.ctx(), seq)
		if err != nil {
			w.t.Fatalf("%s %d: %v", stream, seq, err)
		}
		header := ""
		if id := m.Header.Get("Nats-Msg-Id"); id != "" {
			header = "NATS/1.0\r\nNats-Msg-Id: " + id + "\r\n\r\n"
		}
		out[seq] = m.Subject + " " + header + string(m.Data)
	}
	return info, out
}

// same compares what is on disk with what the server said.
func same(t *testing.T, info *jetstream.StreamInfo, want map[uint64]string, r blocks.Report, got map[uint64]string) {
	t.Helper()
	if !r.Whole() || r.Torn || r.Encrypted {
		t.Errorf("%s: damage where there is none: %+v", info.Config.Name, r)
	}
	if !maps.Equal(want, got) {
		t.Errorf("%s: %d messages on disk, the server has %d", info.Config.Name, len(got), len(want))
	}
	st := info.State
	first := st.FirstSeq
	if st.Msgs == 0 {
		first, st.NumDeleted = 0, 0 // the server counts one
	}
	if r.Messages != st.Msgs || r.First != first || r.Last != st.LastSeq || r.Bytes != st.Bytes || r.Deleted != uint64(st.NumDeleted) {
		t.Errorf("%s: %+v, the server says %+v", info.Config.Name, r, st)
	}
}

// files returns the paths of a replica's blocks in their order.
func files(t testing.TB, s blocks.Stream) []string {
	t.Helper()
	out, err := filepath.Glob(filepath.Join(s.Dir, "msgs", "*.blk"))
	if err != nil || len(out) == 0 {
		t.Fatal(out, err)
	}
	slices.SortFunc(out, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return slices.Compare([]byte(a), []byte(b))
	})
	return out
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
