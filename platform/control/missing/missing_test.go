package missing_test

import (
	"context"
	"testing"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/testregistry"
	"midplane/platform/control/missing"
	"midplane/platform/node"
)

type replicas struct{}

func (replicas) Everywhere(context.Context, api.ReplicasRequest) (map[string][]api.HeldReplica, []string, error) {
	return nil, nil, nil
}

type server struct{}

func (server) Streams(string) []node.Stream { return nil }

// What is not about messages of a stream without holes, and of a tenant that is
// declared, is refused.
func TestRefused(t *testing.T) {
	reg := testregistry.Open(t)
	r := missing.Room{Registry: reg.Registry, Replicas: replicas{}, Server: server{}}
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
