package look

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"midplane/api"
	"midplane/cmd/midplane/shell/connect"
	"midplane/cmd/midplane/shell/output"
	"midplane/event"
)

// What can be listed, and the columns a person sees of it.

var tenantsKind = list[api.Tenant]{
	noun: "tenants", short: "Customers, and whether all of a customer's part is ready",
	door: connect.AdminDoor, verb: api.TenantList, global: true,
	key: func(t api.Tenant) api.Key { return api.Key{Tenant: t.ID, ID: t.ID} },
	stored: func(ctx context.Context, c *connect.Client, id string) ([]byte, error) {
		if err := event.CheckName("tenant", id); err != nil {
			return nil, err
		}
		text, _, err := c.StoredTenant(ctx, id)
		return text, err
	},
	columns: []output.Column[api.Tenant]{
		{Name: "Tenant", Value: func(t api.Tenant) string { return t.ID }},
		{Name: "Name", Value: func(t api.Tenant) string { return t.Name }, Drop: 5},
		{Name: "Ready", Value: func(t api.Tenant) string { return output.YesNo(t.Ready) }},
		{Name: "Sites", Value: func(t api.Tenant) string { return strconv.Itoa(t.Sites) }, Right: true, Drop: 2},
		{Name: "Pollers", Value: func(t api.Tenant) string { return strconv.Itoa(t.Pollers) }, Right: true, Drop: 3},
		{Name: "Devices", Value: func(t api.Tenant) string { return strconv.Itoa(t.Devices) }, Right: true, Drop: 4},
		{Name: "Policy", Value: func(t api.Tenant) string { return t.Policy }, Drop: 1},
		{Name: "Missing", Value: func(t api.Tenant) string { return connect.Missing(t) }, Long: true},
		{Name: "Contact", Value: func(t api.Tenant) string { return t.Contact }, Wide: true},
		{Name: "Account", Value: func(t api.Tenant) string { return t.Account }, Wide: true},
		{Name: "Revision", Value: func(t api.Tenant) string { return strconv.FormatUint(t.Revision, 10) }, Wide: true, Right: true},
	},
}

var sitesKind = list[api.Site]{
	noun: "sites", short: "Places in tenants' networks",
	door: connect.AdminDoor, verb: api.SiteList,
	key: func(s api.Site) api.Key { return api.Key{Tenant: s.Tenant, ID: s.ID} },
	columns: []output.Column[api.Site]{
		{Name: "Tenant", Value: func(s api.Site) string { return s.Tenant }},
		{Name: "Site", Value: func(s api.Site) string { return s.ID }},
		{Name: "Name", Value: func(s api.Site) string { return s.Name }, Drop: 2},
		{Name: "Pollers", Value: func(s api.Site) string { return strings.Join(s.Pollers, ", ") }, Long: true},
		{Name: "Devices", Value: func(s api.Site) string { return strconv.Itoa(s.Devices) }, Right: true, Drop: 1},
	},
}

var pollersKind = list[api.Poller]{
	noun: "pollers", short: "Agents at the sites, and whether they are connected",
	door: connect.AdminDoor, verb: api.PollerList, bySite: true,
	key: func(p api.Poller) api.Key { return api.Key{Tenant: p.Tenant, Site: p.Site, ID: p.ID} },
	columns: []output.Column[api.Poller]{
		{Name: "Tenant", Value: func(p api.Poller) string { return p.Tenant }},
		{Name: "Site", Value: func(p api.Poller) string { return p.Site }},
		{Name: "Poller", Value: func(p api.Poller) string { return p.ID }},
		{Name: "Status", Value: func(p api.Poller) string { return p.Status }},
		{Name: "Seen", Value: func(p api.Poller) string { return output.Ago(p.LastSeen) }, Right: true, Drop: 3},
		{Name: "Devices", Value: func(p api.Poller) string { return strconv.Itoa(p.Devices) }, Right: true, Drop: 1},
		{Name: "Outbox", Value: func(p api.Poller) string { return strconv.FormatInt(p.Outbox, 10) }, Right: true, Drop: 2},
		{Name: "Problem", Value: func(p api.Poller) string { return p.Problem }, Long: true},
		{Name: "Embedded", Value: func(p api.Poller) string { return output.YesNo(p.Embedded) }, Wide: true},
		{Name: "Version", Value: func(p api.Poller) string { return p.Version }, Wide: true},
		{Name: "Revision", Value: func(p api.Poller) string { return strconv.FormatUint(p.Revision, 10) }, Wide: true, Right: true},
	},
}

var devicesKind = list[api.Device]{
	noun: "devices", short: "Devices and hosts, and whether they answer",
	door: connect.QueryDoor, verb: api.DeviceList, bySite: true, polled: true,
	searched: "id, name or address", statuses: api.DeviceStatuses,
	key: func(d api.Device) api.Key { return api.Key{Tenant: d.Tenant, Site: d.Site, ID: d.ID} },
	columns: []output.Column[api.Device]{
		{Name: "Tenant", Value: func(d api.Device) string { return d.Tenant }},
		{Name: "Site", Value: func(d api.Device) string { return d.Site }},
		{Name: "Device", Value: func(d api.Device) string { return d.ID }},
		{Name: "Address", Value: func(d api.Device) string { return d.Address }, Drop: 4},
		{Name: "Name", Value: func(d api.Device) string { return d.Name }, Drop: 2},
		{Name: "Status", Value: func(d api.Device) string { return d.Status }},
		{Name: "For", Value: func(d api.Device) string { return output.Ago(d.Since) }, Right: true, Drop: 3},
		{Name: "Seen", Value: func(d api.Device) string { return output.Ago(d.LastSeen) }, Right: true, Drop: 1},
		{Name: "Message", Value: func(d api.Device) string { return d.Message }, Long: true},
		{Name: "Poller", Value: func(d api.Device) string { return d.Poller }, Wide: true},
		{Name: "Interfaces", Value: func(d api.Device) string { return strconv.Itoa(d.Interfaces) }, Wide: true, Right: true},
		{Name: "Checks", Value: func(d api.Device) string { return strconv.Itoa(d.Checks) }, Wide: true, Right: true},
		{Name: "Description", Value: func(d api.Device) string { return d.Description }, Wide: true},
	},
}

var interfacesKind = list[api.Interface]{
	noun: "interfaces", short: "Interfaces of devices, with their status and speed",
	door: connect.QueryDoor, verb: api.InterfaceList, bySite: true, searched: "id, name or alias",
	key: func(i api.Interface) api.Key { return api.Key{Tenant: i.Tenant, Site: i.Site, ID: i.ID} },
	columns: []output.Column[api.Interface]{
		{Name: "Tenant", Value: func(i api.Interface) string { return i.Tenant }},
		{Name: "Site", Value: func(i api.Interface) string { return i.Site }},
		{Name: "Device", Value: func(i api.Interface) string { return i.Device }},
		{Name: "Index", Value: func(i api.Interface) string { return i.Index }, Right: true, Drop: 1},
		{Name: "Name", Value: func(i api.Interface) string { return i.Name }},
		{Name: "Admin", Value: func(i api.Interface) string { return i.AdminStatus }, Drop: 2},
		{Name: "Status", Value: func(i api.Interface) string { return i.OperStatus }},
		{Name: "Speed", Value: func(i api.Interface) string { return output.Speed(i.Speed) }, Right: true, Drop: 4},
		{Name: "Seen", Value: func(i api.Interface) string { return output.Ago(i.LastSeen) }, Right: true, Drop: 3},
		{Name: "Alias", Value: func(i api.Interface) string { return i.Alias }, Wide: true},
		{Name: "MAC", Value: func(i api.Interface) string { return i.MAC }, Wide: true},
		{Name: "ID", Value: func(i api.Interface) string { return i.ID }, Wide: true},
	},
}

var checksKind = list[api.Check]{
	noun: "checks", short: "Results of ping, TCP, HTTP and other checks",
	door: connect.QueryDoor, verb: api.CheckList, bySite: true, searched: "id, name or target", statuses: api.CheckStatuses,
	key: func(c api.Check) api.Key { return api.Key{Tenant: c.Tenant, Site: c.Site, ID: c.ID} },
	columns: []output.Column[api.Check]{
		{Name: "Tenant", Value: func(c api.Check) string { return c.Tenant }},
		{Name: "Site", Value: func(c api.Check) string { return c.Site }},
		{Name: "Device", Value: func(c api.Check) string { return c.Device }},
		{Name: "Check", Value: func(c api.Check) string { return c.Name }},
		{Name: "Status", Value: func(c api.Check) string { return c.Status }},
		{Name: "Latency", Value: func(c api.Check) string { return latency(c.Latency) }, Right: true, Drop: 2},
		{Name: "Seen", Value: func(c api.Check) string { return output.Ago(c.LastSeen) }, Right: true, Drop: 1},
		{Name: "Message", Value: func(c api.Check) string { return c.Message }, Long: true},
		{Name: "Target", Value: func(c api.Check) string { return c.Target }, Wide: true},
		{Name: "Collector", Value: func(c api.Check) string { return c.Collector }, Wide: true},
		{Name: "Certificate until", Value: func(c api.Check) string { return output.Stamp(c.NotAfter) }, Wide: true},
	},
}

func latency(ms float64) string {
	if ms == 0 {
		return "-"
	}
	return output.Number(ms) + " ms"
}

var streamsKind = list[api.Stream]{
	noun: "streams", short: "What the cluster keeps for each tenant, and how full it is",
	door: connect.AdminDoor, verb: api.StreamList,
	key: func(s api.Stream) api.Key { return api.Key{Tenant: s.Tenant, ID: s.ID} },
	columns: []output.Column[api.Stream]{
		{Name: "Tenant", Value: func(s api.Stream) string { return s.Tenant }},
		{Name: "Stream", Value: func(s api.Stream) string { return s.ID }},
		{Name: "Messages", Value: func(s api.Stream) string { return strconv.FormatUint(s.Messages, 10) }, Right: true, Drop: 3},
		{Name: "Size", Value: func(s api.Stream) string { return output.Bytes(s.Bytes) }, Right: true, Drop: 2},
		{Name: "Full", Value: func(s api.Stream) string { return full(s) }, Right: true},
		{Name: "Leader", Value: func(s api.Stream) string { return output.Dash(s.Leader) }, Drop: 4},
		{Name: "Followers", Value: func(s api.Stream) string { return strings.Join(s.Replicas, ", ") }, Long: true, Drop: 1},
		{Name: "Held by", Value: func(s api.Stream) string { return s.HeldBy }},
		{Name: "First", Value: func(s api.Stream) string { return strconv.FormatUint(s.First, 10) }, Wide: true, Right: true},
		{Name: "Last", Value: func(s api.Stream) string { return strconv.FormatUint(s.Last, 10) }, Wide: true, Right: true},
		{Name: "Read up to", Value: func(s api.Stream) string { return strconv.FormatUint(s.Floor, 10) }, Wide: true, Right: true},
	},
}

var replicasKind = list[api.Replica]{
	noun: "replicas", short: "What each node holds of each stream, and whether that is all",
	door: connect.AdminDoor, verb: api.ReplicaList,
	key: func(r api.Replica) api.Key { return api.Key{Tenant: r.Tenant, ID: r.Stream + "/" + r.Node} },
	columns: []output.Column[api.Replica]{
		{Name: "Tenant", Value: func(r api.Replica) string { return output.Dash(r.Tenant) }},
		{Name: "Stream", Value: func(r api.Replica) string { return r.Stream }},
		{Name: "Node", Value: func(r api.Replica) string { return r.Node }},
		{Name: "State", Value: func(r api.Replica) string { return r.State }},
		{Name: "Messages", Value: func(r api.Replica) string { return strconv.FormatUint(r.Messages, 10) }, Right: true, Drop: 1},
		{Name: "Last", Value: func(r api.Replica) string { return strconv.FormatUint(r.Last, 10) }, Right: true, Drop: 3},
		{Name: "Compared", Value: func(r api.Replica) string { return output.Ago(r.ComparedAt) }, Right: true, Drop: 2},
		{Name: "Problem", Value: func(r api.Replica) string { return r.Problem }, Long: true},
		{Name: "First", Value: func(r api.Replica) string { return strconv.FormatUint(r.First, 10) }, Wide: true, Right: true},
		{Name: "Deleted", Value: func(r api.Replica) string { return strconv.FormatUint(r.Deleted, 10) }, Wide: true, Right: true},
		{Name: "Size", Value: func(r api.Replica) string { return output.Bytes(r.Bytes) }, Wide: true, Right: true},
	},
}

func full(s api.Stream) string {
	if s.MaxBytes <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", 100*float64(s.Bytes)/float64(s.MaxBytes))
}

var schemasKind = list[api.Schema]{
	noun: "schemas", short: "Types of messages, with the schema each must obey",
	door: connect.AdminDoor, verb: api.SchemaList,
	key: func(s api.Schema) api.Key { return api.Key{Tenant: s.Tenant, ID: s.ID} },
	columns: []output.Column[api.Schema]{
		{Name: "Tenant", Value: func(s api.Schema) string { return output.Dash(s.Tenant) }},
		{Name: "Type", Value: func(s api.Schema) string { return s.Type }},
		{Name: "Kind", Value: func(s api.Schema) string { return string(s.Kind) }},
		{Name: "Version", Value: func(s api.Schema) string { return strconv.Itoa(s.Version) }, Right: true, Drop: 1},
		{Name: "Example", Value: func(s api.Schema) string { return string(s.Example) }, Wide: true},
	},
}
