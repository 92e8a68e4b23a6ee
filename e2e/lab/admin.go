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

// connectAdmin connects as the first admin, to the node with this number first.
func connectAdmin(d *testcluster.Deployment, first int) (admin *api.Admin, end func(), err error) {
	name := d.Admin
	nc, err := bus.Connect(bus.Config{Servers: slices.Concat(d.Servers[first:], d.Servers[:first]), User: name, Name: name,
		CredsFile: deployment.AdminCreds(d.Folder, name), CAFile: d.CA(), MaxWait: 20 * time.Second, Options: []nats.Option{nats.DontRandomize()}}, telemetry.Nop())
	if err != nil {
		return nil, nil, err
	}
	return api.NewAdmin(nc, name), nc.Close, nil
}
