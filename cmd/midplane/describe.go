package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
)

func newDescribeCmd(a *app) *cobra.Command {
	cmd := group(&cobra.Command{Use: "describe KIND", Short: "All about one thing"})
	cmd.AddCommand(newDescribeDevice(a), newDescribeTenant(a))
	return cmd
}

func newDescribeDevice(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "device TENANT/SITE/DEVICE",
		Aliases: []string{"devices"},
		Short:   "Inventory, interfaces, checks, metrics and last events of a device",
		Example: "  midplane describe device acme/syd/r1\n  midplane describe device acme/syd/r1 -o json",
		Args:    args(1, 1, "TENANT/SITE/DEVICE"),
		RunE: func(cmd *cobra.Command, given []string) error {
			ref, err := parseDevice(given[0])
			if err != nil {
				return err
			}
			return a.withClient(func(c *client) error {
				var d api.DeviceDetail
				if err := c.Query(cmd.Context(), api.DeviceGet, ref, &d); err != nil {
					return err
				}
				if a.format.machine() {
					return a.print(d)
				}
				return a.describeDevice(d)
			})
		},
	}
}

func parseDevice(s string) (api.DeviceRef, error) {
	parts := strings.SplitN(s, "/", 3) // a device's id may have slashes
	if len(parts) != 3 || parts[2] == "" {
		return api.DeviceRef{}, fault.WithHint(fault.New(fault.Invalid, "%q is not TENANT/SITE/DEVICE", s),
			"like acme/syd/r1; see: midplane get devices")
	}
	if err := event.CheckName("tenant", parts[0]); err != nil {
		return api.DeviceRef{}, err
	}
	if err := event.CheckName("site", parts[1]); err != nil {
		return api.DeviceRef{}, err
	}
	return api.DeviceRef{Tenant: parts[0], Site: parts[1], Device: parts[2]}, event.CheckEntity(event.Entity(parts[2]))
}

// facts prints "name  value" lines below a heading and leaves out what is empty.
type facts struct {
	out   io.Writer
	paint func(string) string
}

func (f facts) line(name, value string) {
	if value = printable(value); value != "" && value != "-" {
		fmt.Fprintf(f.out, "  %-14s %s\n", name, f.paint(value))
	}
}

func (a *app) describeDevice(d api.DeviceDetail) error {
	f := facts{a.stdout, a.paint}
	dev := d.Device
	fmt.Fprintf(a.stdout, "Device %s/%s/%s\n", dev.Tenant, dev.Site, printable(dev.ID))
	f.line("Status", dev.Status)
	f.line("For", ago(dev.Since))
	f.line("Message", dev.Message)
	f.line("Seen", ago(dev.LastSeen))
	f.line("Address", dev.Address)
	f.line("Name", dev.Name)
	f.line("Poller", dev.Poller)
	if err := a.describeInventory(f, d.Inventory); err != nil {
		return err
	}
	section(a, "Interfaces", d.Interfaces, without(interfacesKind.columns, "Tenant", "Site", "Device"))
	section(a, "Checks", d.Checks, without(checksKind.columns, "Tenant", "Site", "Device"))
	section(a, "Metrics, and their range of the last hour", d.Metrics, seriesColumns(dev.ID))
	section(a, "Events, newest first", d.Events, without(eventColumns, "Tenant", "Site"))
	return nil
}

func (a *app) describeInventory(f facts, raw json.RawMessage) error {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var inv event.Inventory
	if err := json.Unmarshal(raw, &inv); err != nil {
		return fault.Wrap(fault.Other, err, "inventory")
	}
	fmt.Fprintln(a.stdout, "\nInventory")
	f.line("Name", inv.Name)
	f.line("Description", inv.Description)
	f.line("OS", inv.OS)
	f.line("Model", inv.Model)
	f.line("Serial", inv.Serial)
	f.line("Location", inv.Location)
	f.line("Contact", inv.Contact)
	f.line("Object id", inv.ObjectID)
	if inv.BootTime != nil {
		f.line("Up for", ago(inv.BootTime))
	}
	section(a, "Components", inv.Components, []column[event.Component]{
		{name: "Index", value: func(c event.Component) string { return c.Index }},
		{name: "Class", value: func(c event.Component) string { return c.Class }},
		{name: "Name", value: func(c event.Component) string { return c.Name }, long: true},
		{name: "Model", value: func(c event.Component) string { return c.Model }},
		{name: "Serial", value: func(c event.Component) string { return c.Serial }},
		{name: "Size", value: func(c event.Component) string {
			if c.Bytes == 0 {
				return ""
			}
			return bytesOf(c.Bytes)
		}, right: true},
	})
	return nil
}

func section[T any](a *app, title string, rows []T, columns []column[T]) {
	if len(rows) > 0 {
		fmt.Fprintf(a.stdout, "\n%s\n", renderTable(a, title, rows, columns))
	}
}

// without leaves out columns that every row would repeat.
func without[T any](columns []column[T], names ...string) []column[T] {
	var out []column[T]
next:
	for _, c := range columns {
		for _, name := range names {
			if c.name == name {
				continue next
			}
		}
		out = append(out, c)
	}
	return out
}

func seriesColumns(device string) []column[api.Series] {
	return []column[api.Series]{
		{name: "Of", value: func(s api.Series) string {
			if s.Entity == device {
				return "device"
			}
			return strings.TrimPrefix(s.Entity, device+"/")
		}},
		{name: "Metric", value: func(s api.Series) string { return s.Name }},
		{name: "Value", value: func(s api.Series) string { return number(s.Value) }, right: true},
		{name: "Lowest", value: func(s api.Series) string { low, _ := extent(s); return number(low) }, right: true},
		{name: "Highest", value: func(s api.Series) string { _, high := extent(s); return number(high) }, right: true},
		{name: "Seen", value: func(s api.Series) string { return short(time.Since(s.Time)) }, right: true},
		{name: "Type", value: func(s api.Series) string { return s.Type }, wide: true},
	}
}

func extent(s api.Series) (low, high float64) {
	low, high = s.Value, s.Value
	for _, p := range s.Points {
		low, high = min(low, p.Value), max(high, p.Value)
	}
	return low, high
}

func newDescribeTenant(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "tenant TENANT",
		Aliases: []string{"tenants"},
		Short:   "How far a tenant is on its way to ready",
		Example: "  midplane describe tenant acme",
		Args:    args(1, 1, "TENANT"),
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := event.CheckName("tenant", given[0]); err != nil {
				return err
			}
			return a.withClient(func(c *client) error {
				var t api.Tenant
				if err := c.Admin(cmd.Context(), api.TenantStatus, api.TenantRef{Tenant: given[0]}, &t); err != nil {
					return err
				}
				if a.format.machine() {
					return a.print(t)
				}
				a.describeTenant(t)
				return nil
			})
		},
	}
}

func (a *app) describeTenant(t api.Tenant) {
	f := facts{a.stdout, a.paint}
	fmt.Fprintf(a.stdout, "Tenant %s\n", t.ID)
	f.line("Name", t.Name)
	f.line("Contact", t.Contact)
	f.line("Ready", yesNo(t.Ready))
	f.line("Policy", t.Policy)
	f.line("Account", t.Account)
	f.line("Revision", fmt.Sprint(t.Revision))
	f.line("Sites", fmt.Sprint(t.Sites))
	f.line("Pollers", fmt.Sprint(t.Pollers))
	f.line("Devices", fmt.Sprint(t.Devices))
	section(a, "Conditions", t.Conditions, []column[api.Condition]{
		{name: "Condition", value: func(c api.Condition) string { return c.Type }},
		{name: "There", value: func(c api.Condition) string { return yesNo(c.OK) }},
		{name: "Message", value: func(c api.Condition) string { return c.Message }, long: true},
	})
}
