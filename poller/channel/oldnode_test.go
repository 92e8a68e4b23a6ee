package channel

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"midplane/api"
	"midplane/poller/pollertest"
)

// serveOld answers the control channel as a node of v0.1.0 does: it decodes
// strictly, and knows these fields.
func serveOld(t *testing.T, nc *nats.Conn, asked func(verb string, body []byte)) {
	t.Helper()
	svc, err := micro.AddService(nc, micro.Config{Name: "control", Version: "1.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = svc.Stop() })
	for verb, h := range map[string]func(json.RawMessage) (any, error){
		api.ChannelConfig: func(body json.RawMessage) (any, error) {
			var req struct {
				Have uint64 `json:"have"`
				Want uint64 `json:"want,omitempty"`
			}
			return pollertest.ConfigOf("syd-01", 7, "r1"), api.DecodeStrict(body, &req)
		},
		api.ChannelStatus: func(body json.RawMessage) (any, error) {
			var r struct {
				Version  string `json:"version"`
				Epoch    int64  `json:"epoch"`
				Revision uint64 `json:"revision"`
				Outbox   int64  `json:"outbox"`
				OldestMS int64  `json:"oldestMs"`
				Problem  string `json:"problem,omitempty"`
			}
			return nil, api.DecodeStrict(body, &r)
		},
	} {
		endpoint := func(_ context.Context, _ string, body []byte) (any, error) {
			var s api.Signed
			if err := api.DecodeStrict(body, &s); err != nil {
				return nil, err
			}
			asked(verb, s.Body)
			return h(s.Body)
		}
		if err := svc.AddEndpoint(verb, api.Endpoint(context.Background(), time.Minute, endpoint), micro.WithEndpointSubject("control.syd-01."+verb)); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
}

// TestAnOldNodeIsAskedAgainWithoutTheNewFields: it decodes strictly.
func TestAnOldNodeIsAskedAgainWithoutTheNewFields(t *testing.T) {
	s := pollertest.Broker(t, t.TempDir(), -1)
	var mu sync.Mutex
	var asked []string
	old := pollertest.Connect(t, s.ClientURL(), "control")
	serveOld(t, old, func(verb string, body []byte) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, verb+" "+string(body))
	})
	nc := pollertest.Connect(t, s.ClientURL(), "syd-01")
	client := api.NewChannel(nc, "syd-01", func([]byte) ([]byte, error) { return []byte("x"), nil })
	ctx, cancel := context.WithTimeout(t.Context(), pollertest.Patience)
	defer cancel()
	cfg, err := fetch(ctx, client, api.ConfigRequest{Have: 3, Reads: []string{api.ReadsPace}})
	if err != nil || cfg.Revision != 7 {
		t.Errorf("%+v, %v", cfg, err)
	}
	for _, r := range []api.PollerReport{{Version: "v", Held: &api.Held{Limit: api.LimitTenantBytes}}, {Version: "v", Thinned: &api.Thinned{Samples: 1}}} {
		if err := report(ctx, client, r); err != nil {
			t.Error(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(asked) != 6 {
		t.Errorf("asked %q, want each once with and once without the new fields", asked)
	}
}
