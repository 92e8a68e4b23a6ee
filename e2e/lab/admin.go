package lab

import (
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/bus"
	"midplane/internal/testcluster"
	"midplane/platform/deployment"
	"midplane/telemetry"
)

// connectFirst connects as a user, to the node with this number first.
func connectFirst(d *testcluster.Deployment, user, creds string, first int) (*nats.Conn, error) {
	return bus.Connect(bus.Config{Servers: slices.Concat(d.Servers[first:], d.Servers[:first]), User: user, Name: user,
		CredsFile: creds, CAFile: d.CA(), MaxWait: 20 * time.Second, Options: []nats.Option{nats.DontRandomize()}}, telemetry.Nop())
}

// connectAdmin connects as the first admin, to the node with this number first.
func connectAdmin(d *testcluster.Deployment, first int) (admin *api.Admin, end func(), err error) {
	nc, err := connectFirst(d, d.Admin, deployment.AdminCreds(d.Folder, d.Admin), first)
	if err != nil {
		return nil, nil, err
	}
	return api.NewAdmin(nc, d.Admin), nc.Close, nil
}
