package main

import (
	"fmt"
	"strconv"
	"strings"

	"midplane/api"
)

// What can be listed, and the columns a person sees of it.

var tenantsKind = list[api.Tenant]{
	noun: "tenants", short: "Customers, and whether all of a customer's part is ready",
	door: admin, verb: api.TenantList, global: true,
	key: func(t api.Tenant) key { return key{t.ID, "", t.ID} },
	columns: []column[api.Tenant]{
		{name: "Tenant", value: func(t api.Tenant) string { return t.ID }},
		{name: "Name", value: func(t api.Tenant) string { return t.Name }},
		{name: "Ready", value: func(t api.Tenant) string { return yesNo(t.Ready) }},
		{name: "Sites", value: func(t api.Tenant) string { return strconv.Itoa(t.Sites) }, right: true},
		{name: "Pollers", value: func(t api.Tenant) string { return strconv.Itoa(t.Pollers) }, right: true},
		{name: "Devices", value: func(t api.Tenant) string { return strconv.Itoa(t.Devices) }, right: true},
		{name: "Policy", value: func(t api.Tenant) string { return t.Policy }},
		{name: "Missing", value: func(t api.Tenant) string { return missing(t) }, long: true},
		{name: "Contact", value: func(t api.Tenant) string { return t.Contact }, wide: true},
		{name: "Account", value: func(t api.Tenant) string { return t.Account }, wide: true},
		{name: "Revision", value: func(t api.Tenant) string { return strconv.FormatUint(t.Revision, 10) }, wide: true, right: true},
	},
}

// missing names the conditions that are not there yet.
func missing(t api.Tenant) string {
	var out []string
	for _, c := range t.Conditions {
		switch {
		case c.OK:
		case c.Message == "":
			out = append(out, c.Type)
		default:
			out = append(out, c.Type+" ("+c.Message+")")
		}
	}
	return strings.Join(out, ", ")
}

var sitesKind = list[api.Site]{
	noun: "sites", short: "Places in tenants' networks",
	door: admin, verb: api.SiteList,
	key: func(s api.Site) key { return key{s.Tenant, "", s.ID} },
	columns: []column[api.Site]{
		{name: "Tenant", value: func(s api.Site) string { return s.Tenant }},
		{name: "Site", value: func(s api.Site) string { return s.ID }},
		{name: "Name", value: func(s api.Site) string { return s.Name }},
		{name: "Pollers", value: func(s api.Site) string { return strings.Join(s.Pollers, ", ") }, long: true},
		{name: "Devices", value: func(s api.Site) string { return strconv.Itoa(s.Devices) }, right: true},
	},
}

var pollersKind = list[api.Poller]{
	noun: "pollers", short: "Agents at the sites, and whether they are connected",
	door: admin, verb: api.PollerList, bySite: true,
	key: func(p api.Poller) key { return key{p.Tenant, p.Site, p.ID} },
	columns: []column[api.Poller]{
		{name: "Tenant", value: func(p api.Poller) string { return p.Tenant }},
		{name: "Site", value: func(p api.Poller) string { return p.Site }},
		{name: "Poller", value: func(p api.Poller) string { return p.ID }},
		{name: "Status", value: func(p api.Poller) string { return p.Status }},
		{name: "Seen", value: func(p api.Poller) string { return ago(p.LastSeen) }, right: true},
		{name: "Devices", value: func(p api.Poller) string { return strconv.Itoa(p.Devices) }, right: true},
		{name: "Outbox", value: func(p api.Poller) string { return strconv.FormatInt(p.Outbox, 10) }, right: true},
		{name: "Problem", value: func(p api.Poller) string { return p.Problem }, long: true},
		{name: "Embedded", value: func(p api.Poller) string { return yesNo(p.Embedded) }, wide: true},
		{name: "Version", value: func(p api.Poller) string { return p.Version }, wide: true},
		{name: "Revision", value: func(p api.Poller) string { return strconv.FormatUint(p.Revision, 10) }, wide: true, right: true},
	},
}

var devicesKind = list[api.Device]{
	noun: "devices", short: "Devices and hosts, and whether they answer",
	door: query, verb: api.DeviceList, bySite: true,
	key: func(d api.Device) key { return key{d.Tenant, d.Site, d.ID} },
	columns: []column[api.Device]{
		{name: "Tenant", value: func(d api.Device) string { return d.Tenant }},
		{name: "Site", value: func(d api.Device) string { return d.Site }},
		{name: "Device", value: func(d api.Device) string { return d.ID }},
		{name: "Address", value: func(d api.Device) string { return d.Address }},
		{name: "Name", value: func(d api.Device) string { return d.Name }},
		{name: "Status", value: func(d api.Device) string { return d.Status }},
		{name: "For", value: func(d api.Device) string { return ago(d.Since) }, right: true},
		{name: "Seen", value: func(d api.Device) string { return ago(d.LastSeen) }, right: true},
		{name: "Message", value: func(d api.Device) string { return d.Message }, long: true},
		{name: "Poller", value: func(d api.Device) string { return d.Poller }, wide: true},
		{name: "Interfaces", value: func(d api.Device) string { return strconv.Itoa(d.Interfaces) }, wide: true, right: true},
		{name: "Checks", value: func(d api.Device) string { return strconv.Itoa(d.Checks) }, wide: true, right: true},
		{name: "Description", value: func(d api.Device) string { return d.Description }, wide: true},
	},
}

var interfacesKind = list[api.Interface]{
	noun: "interfaces", short: "Interfaces of devices, with their status and speed",
	door: query, verb: api.InterfaceList, bySite: true,
	key: func(i api.Interface) key { return key{i.Tenant, i.Site, i.ID} },
	columns: []column[api.Interface]{
		{name: "Tenant", value: func(i api.Interface) string { return i.Tenant }},
		{name: "Site", value: func(i api.Interface) string { return i.Site }},
		{name: "Device", value: func(i api.Interface) string { return i.Device }},
		{name: "Index", value: func(i api.Interface) string { return i.Index }, right: true},
		{name: "Name", value: func(i api.Interface) string { return i.Name }},
		{name: "Admin", value: func(i api.Interface) string { return i.AdminStatus }},
		{name: "Status", value: func(i api.Interface) string { return i.OperStatus }},
		{name: "Speed", value: func(i api.Interface) string { return speedOf(i.Speed) }, right: true},
		{name: "Seen", value: func(i api.Interface) string { return ago(i.LastSeen) }, right: true},
		{name: "Alias", value: func(i api.Interface) string { return i.Alias }, wide: true},
		{name: "MAC", value: func(i api.Interface) string { return i.MAC }, wide: true},
		{name: "ID", value: func(i api.Interface) string { return i.ID }, wide: true},
	},
}

var checksKind = list[api.Check]{
	noun: "checks", short: "Results of ping, TCP, HTTP and other checks",
	door: query, verb: api.CheckList, bySite: true,
	key: func(c api.Check) key { return key{c.Tenant, c.Site, c.ID} },
	columns: []column[api.Check]{
		{name: "Tenant", value: func(c api.Check) string { return c.Tenant }},
		{name: "Site", value: func(c api.Check) string { return c.Site }},
		{name: "Device", value: func(c api.Check) string { return c.Device }},
		{name: "Check", value: func(c api.Check) string { return c.Name }},
		{name: "Status", value: func(c api.Check) string { return c.Status }},
		{name: "Latency", value: func(c api.Check) string { return latency(c.Latency) }, right: true},
		{name: "Seen", value: func(c api.Check) string { return ago(c.LastSeen) }, right: true},
		{name: "Message", value: func(c api.Check) string { return c.Message }, long: true},
		{name: "Target", value: func(c api.Check) string { return c.Target }, wide: true},
		{name: "Collector", value: func(c api.Check) string { return c.Collector }, wide: true},
		{name: "Certificate until", value: func(c api.Check) string { return stamp(c.NotAfter) }, wide: true},
	},
}

func latency(ms float64) string {
	if ms == 0 {
		return "-"
	}
	return number(ms) + " ms"
}

var streamsKind = list[api.Stream]{
	noun: "streams", short: "What the cluster keeps for each tenant, and how full it is",
	door: admin, verb: api.StreamList,
	key: func(s api.Stream) key { return key{s.Tenant, "", s.ID} },
	columns: []column[api.Stream]{
		{name: "Tenant", value: func(s api.Stream) string { return s.Tenant }},
		{name: "Stream", value: func(s api.Stream) string { return s.ID }},
		{name: "Messages", value: func(s api.Stream) string { return strconv.FormatUint(s.Messages, 10) }, right: true},
		{name: "Size", value: func(s api.Stream) string { return bytesOf(s.Bytes) }, right: true},
		{name: "Full", value: func(s api.Stream) string { return full(s) }, right: true},
		{name: "Leader", value: func(s api.Stream) string { return dash(s.Leader) }},
		{name: "Followers", value: func(s api.Stream) string { return strings.Join(s.Replicas, ", ") }, long: true},
		{name: "Held by", value: func(s api.Stream) string { return s.HeldBy }},
		{name: "First", value: func(s api.Stream) string { return strconv.FormatUint(s.First, 10) }, wide: true, right: true},
		{name: "Last", value: func(s api.Stream) string { return strconv.FormatUint(s.Last, 10) }, wide: true, right: true},
		{name: "Read up to", value: func(s api.Stream) string { return strconv.FormatUint(s.Floor, 10) }, wide: true, right: true},
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
	door: admin, verb: api.SchemaList,
	key: func(s api.Schema) key { return key{s.Tenant, "", s.ID} },
	columns: []column[api.Schema]{
		{name: "Tenant", value: func(s api.Schema) string { return dash(s.Tenant) }},
		{name: "Type", value: func(s api.Schema) string { return s.Type }},
		{name: "Kind", value: func(s api.Schema) string { return string(s.Kind) }},
		{name: "Version", value: func(s api.Schema) string { return strconv.Itoa(s.Version) }, right: true},
		{name: "Example", value: func(s api.Schema) string { return string(s.Example) }, wide: true},
	},
}
