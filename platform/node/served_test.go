package node_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// TestWhatTheServerStopsItself keeps docs/adr/0030 true: the server refuses
// deliveries and replies that are aimed at its own API, and no others. When it
// comes to refuse more, the fence in front of the API can be looked at again.
func TestWhatTheServerStopsItself(t *testing.T) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true, JetStream: true, StoreDir: t.TempDir(), JetStreamMaxStore: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	refused := make(chan error, 8)
	nc, err := nats.Connect(s.ClientURL(), nats.RetryOnFailedConnect(true), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	const within = 30 * time.Second
	api := func(subj, body string) (code int) {
		t.Helper()
		msg, err := nc.Request(subj, []byte(body), within)
		if err != nil {
			t.Fatal(err)
		}
		var answer struct {
			Error struct {
				Code int `json:"err_code"`
			} `json:"error"`
		}
		if err := json.Unmarshal(msg.Data, &answer); err != nil {
			t.Fatal(err)
		}
		return answer.Error.Code
	}
	if code := api("$JS.API.STREAM.CREATE.A", `{"name":"A","subjects":["a.>"],"storage":"memory"}`); code != 0 {
		t.Fatal(code)
	}
	for to, want := range map[string]int{
		"$JS.API.STREAM.PURGE.A": 10112, "$JS.ACK.A.x": 10112,
		"$SYS.REQ.SERVER.PING": 0, "$KV.REGISTRY.x": 0, "control.syd-01.config": 0, "w.guess.state": 0,
	} {
		if got := api("$JS.API.CONSUMER.CREATE.A", `{"stream_name":"A","config":{"deliver_subject":"`+to+`","ack_policy":"none"}}`); got != want {
			t.Errorf("a consumer that delivers to %s: error %d, want %d", to, got, want)
		}
	}
	if err := nc.PublishRequest("a.x", "$JS.API.STREAM.PURGE.A", []byte("x")); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-refused:
		t.Log(err)
	case <-time.After(within):
		t.Error("a message whose reply is a subject of the API is not refused")
	}
	if err := nc.PublishRequest("a.x", "control.syd-01.config", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := nc.FlushTimeout(within); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-refused:
		t.Errorf("a reply that is aimed elsewhere is refused as well: %v", err)
	default:
	}
}
