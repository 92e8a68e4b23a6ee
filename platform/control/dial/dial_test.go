package dial

import (
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Connections into accounts that are gone are given up: the server refuses them,
// and they would be tried for ever.
func TestConnectionsOfGoneAccountsAreClosed(t *testing.T) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	conns := map[string]*nats.Conn{}
	d := &Dialer{cache: map[string]*dialed{}}
	for _, key := range []string{"stays", "goes"} {
		nc, err := nats.Connect(s.ClientURL(), nats.MaxReconnects(-1))
		if err != nil {
			t.Fatal(err)
		}
		conns[key], d.cache[key] = nc, &dialed{Conn: nc}
	}
	d.Keep(func(key string) bool { return key == "stays" })
	if conns["stays"].IsClosed() || !conns["goes"].IsClosed() || len(d.cache) != 1 {
		t.Errorf("open: %v and %v, kept %d", !conns["stays"].IsClosed(), !conns["goes"].IsClosed(), len(d.cache))
	}
	d.Close()
	if !conns["stays"].IsClosed() {
		t.Error("Close left a connection open")
	}
}
