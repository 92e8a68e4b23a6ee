package auditlog

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/internal/testwait"
	"midplane/platform/registry"
	"midplane/streams"
)

// startServer starts a server with its streams in dir; port -1 is any.
func startServer(t *testing.T, dir string, port int) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, NoLog: true, NoSigs: true, JetStream: true, StoreDir: dir, JetStreamMaxStore: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the server did not come up")
	}
	return s
}

// TestRecordIsStoredLater: an act whose record finds no stream for longer than storing
// is tried is recorded when the stream is back, and is no longer counted.
func TestRecordIsStoredLater(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startServer(t, dir, server.RANDOM_PORT)
	at, err := url.Parse(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	_, p, err := net.SplitHostPort(at.Host)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(p)
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(s.ClientURL(), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	store, err := registry.OpenAudit(ctx, js, 1)
	if err != nil {
		t.Fatal(err)
	}
	l := New("n1", store, slog.New(slog.DiscardHandler))
	ended := make(chan error, 1)
	running, end := context.WithCancel(ctx)
	go func() { ended <- l.Run(running) }()

	s.Shutdown()
	s.WaitForShutdown()
	l.Record(ctx, api.AuditRecord{Verb: "x", Target: "kept"})
	if n := l.Unrecorded(); n != 1 {
		t.Fatalf("%d acts are not recorded, want 1", n)
	}
	startServer(t, dir, port)
	testwait.True(t, "the act is recorded", func() bool { return l.Unrecorded() == 0 })
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	var found []string
	if err := streams.ReadAll(ctx, js, streams.ReadConfig{Stream: registry.StreamAudit}, func(m jetstream.Msg, _ *jetstream.MsgMetadata) error {
		var rec api.AuditRecord
		err := json.Unmarshal(m.Data(), &rec)
		found = append(found, rec.Target)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 || found[0] != "kept" {
		t.Errorf("the audit log has %q", found)
	}
}
