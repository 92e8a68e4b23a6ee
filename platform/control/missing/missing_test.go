package missing_test

import (
	"context"
	"testing"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/testregistry"
	"midplane/platform/control/missing"
	"midplane/platform/node"
	"midplane/tenants/account"
)

type connector struct{ reg *testregistry.Node }

func (c connector) Connect(account.Keys, account.Role, string) (*nats.Conn, error) {
	return testregistry.Connect(c.reg), nil
}

type server struct{}

func (server) Streams(string) []node.Stream { return nil }

// What is not about messages of a stream without holes, and of a tenant that is
// declared, is refused.
func TestRefused(t *testing.T) {
	reg := testregistry.Open(t)
	r := missing.New(missing.Config{Node: "n1", Registry: reg.Registry, Dialer: connector{reg}, Server: server{}})
	t.Cleanup(r.Close)
	for name, tc := range map[string]struct {
		req  api.MissingRequest
		want fault.Kind
	}{
		"STATE":             {api.MissingRequest{Tenant: "acme", Stream: "STATE", From: 1, To: 2}, fault.Invalid},
		"no stream of ours": {api.MissingRequest{Tenant: "acme", Stream: "KV_x", From: 1, To: 2}, fault.Invalid},
		"from 0":            {api.MissingRequest{Tenant: "acme", Stream: "EVENTS", To: 2}, fault.Invalid},
		"an empty range":    {api.MissingRequest{Tenant: "acme", Stream: "EVENTS", From: 3, To: 2}, fault.Invalid},
		"an unknown tenant": {api.MissingRequest{Tenant: "acme", Stream: "EVENTS", From: 1, To: 2}, fault.NotFound},
	} {
		if _, err := r.Missing(context.Background(), "p1", tc.req); !fault.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
