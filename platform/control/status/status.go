// Package status is what a node reports of itself and shows of everything: its
// presence, the facts from which package api decides what is wrong, the rows of
// lists, and metrics. It changes nothing but its own presence.
package status

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/platform/node"
	"midplane/platform/registry"
)

// Server is what the status asks its own server.
type Server interface {
	Streams(accountKey string) []node.Stream
	Meta() node.Meta
	Store() api.Store
}

// Dialer opens connections into tenants' accounts.
type Dialer interface {
	JetStream(t *registry.Tenant) (jetstream.JetStream, error)
}

// Config is what a Status is given.
type Config struct {
	Node     string
	Registry *registry.Registry
	Upgrade  func() *api.Upgrade       // which versions run side by side
	Replicas func() []api.ReplicaFacts // which replicas differ from the others
	Server   Server
	Dialer   Dialer
	Loads    Loads
	Control  string    // public key of the CONTROL account
	Started  time.Time // when this node did

	PrimarySilent time.Duration // a primary that does not report counts as gone
	PollerSilent  time.Duration // and a poller
	Canary        time.Duration // a round of the canary begins
}

// Status answers what is asked about the running system.
type Status struct{ cfg Config }

// New returns a Status.
func New(cfg Config) *Status { return &Status{cfg: cfg} }
