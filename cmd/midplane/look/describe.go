package look

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/connect"
	"midplane/cmd/midplane/shell/output"
	"midplane/event"
	"midplane/fault"
)

// NewDescribe is the command "describe".
func NewDescribe(sh *shell.Shell) *cobra.Command {
	cmd := shell.Group(&cobra.Command{Use: "describe KIND", Short: "All about one thing"})
	cmd.AddCommand(newDescribeDevice(sh), newDescribeTenant(sh))
	return cmd
}

func newDescribeDevice(sh *shell.Shell) *cobra.Command {
	return &cobra.Command{
		Use:     "device TENANT/SITE/DEVICE",
		Aliases: []string{"devices"},
		Short:   "Inventory, interfaces, checks, metrics and last events of a device",
		Example: "  midplane describe device acme/syd/r1\n  midplane describe device acme/syd/r1 -o json",
		Args:    shell.Args(1, 1, "TENANT/SITE/DEVICE"),
		RunE: func(cmd *cobra.Command, given []string) error {
			ref, err := parseDevice(given[0])
			if err != nil {
				return err
			}
			return sh.WithClient(func(c *connect.Client) error {
				var d api.DeviceDetail
				if err := c.Query(cmd.Context(), api.DeviceGet, ref, &d); err != nil {
					return err
				}
				if sh.Out.Machine() {
					return sh.Out.Print(d)
				}
				return describeDevice(sh.Out, d)
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
	if value = output.Printable(value); value != "" && value != "-" {
		fmt.Fprintf(f.out, "  %-14s %s\n", name, f.paint(value))
	}
}

func describeDevice(out *output.Output, d api.DeviceDetail) error {
	f := facts{out.Stdout, out.Paint}
	dev := d.Device
	fmt.Fprintf(out.Stdout, "Device %s/%s/%s\n", dev.Tenant, dev.Site, output.Printable(dev.ID))
	f.line("Status", dev.Status)
	f.line("For", output.Ago(dev.Since))
	f.line("Message", dev.Message)
	f.line("Seen", output.Ago(dev.LastSeen))
	f.line("Address", dev.Address)
	f.line("Name", dev.Name)
	f.line("Poller", dev.Poller)
	if err := describeInventory(out, f, d.Inventory); err != nil {
		return err
	}
	output.Section(out, "Interfaces", d.Interfaces, output.Without(interfacesKind.columns, "Tenant", "Site", "Device"))
	output.Section(out, "Checks", d.Checks, output.Without(checksKind.columns, "Tenant", "Site", "Device"))
	output.Section(out, "Metrics, and their range of the last hour", d.Metrics, seriesColumns(dev.ID))
	output.Section(out, "Events, newest first", d.Events, output.Without(eventColumns, "Tenant", "Site"))
	return nil
}

func describeInventory(out *output.Output, f facts, raw json.RawMessage) error {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var inv event.Inventory
	if err := json.Unmarshal(raw, &inv); err != nil {
		return fault.Wrap(fault.Other, err, "inventory")
	}
	fmt.Fprintln(out.Stdout, "\nInventory")
	f.line("Name", inv.Name)
	f.line("Description", inv.Description)
	f.line("OS", inv.OS)
	f.line("Model", inv.Model)
	f.line("Serial", inv.Serial)
	f.line("Location", inv.Location)
	f.line("Contact", inv.Contact)
	f.line("Object id", inv.ObjectID)
	if inv.BootTime != nil {
		f.line("Up for", output.Ago(inv.BootTime))
	}
	output.Section(out, "Components", inv.Components, []output.Column[event.Component]{
		{Name: "Index", Value: func(c event.Component) string { return c.Index }},
		{Name: "Class", Value: func(c event.Component) string { return c.Class }},
		{Name: "Name", Value: func(c event.Component) string { return c.Name }, Long: true},
		{Name: "Model", Value: func(c event.Component) string { return c.Model }},
		{Name: "Serial", Value: func(c event.Component) string { return c.Serial }},
		{Name: "Size", Value: func(c event.Component) string {
			if c.Bytes == 0 {
				return ""
			}
			return output.Bytes(c.Bytes)
		}, Right: true},
	})
	return nil
}

func seriesColumns(device string) []output.Column[api.Series] {
	return []output.Column[api.Series]{
		{Name: "Of", Value: func(s api.Series) string {
			if s.Entity == device {
				return "device"
			}
			return strings.TrimPrefix(s.Entity, device+"/")
		}},
		{Name: "Metric", Value: func(s api.Series) string { return s.Name }},
		{Name: "Value", Value: func(s api.Series) string { return output.Number(s.Value) }, Right: true},
		{Name: "Lowest", Value: func(s api.Series) string { low, _ := extent(s); return output.Number(low) }, Right: true},
		{Name: "Highest", Value: func(s api.Series) string { _, high := extent(s); return output.Number(high) }, Right: true},
		{Name: "Seen", Value: func(s api.Series) string { return output.Short(time.Since(s.Time)) }, Right: true},
		{Name: "Type", Value: func(s api.Series) string { return s.Type }, Wide: true},
	}
}

func extent(s api.Series) (low, high float64) {
	low, high = s.Value, s.Value
	for _, p := range s.Points {
		low, high = min(low, p.Value), max(high, p.Value)
	}
	return low, high
}

func newDescribeTenant(sh *shell.Shell) *cobra.Command {
	return &cobra.Command{
		Use:     "tenant TENANT",
		Aliases: []string{"tenants"},
		Short:   "How far a tenant is on its way to ready",
		Example: "  midplane describe tenant acme",
		Args:    shell.Args(1, 1, "TENANT"),
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := event.CheckName("tenant", given[0]); err != nil {
				return err
			}
			return sh.WithClient(func(c *connect.Client) error {
				var t api.Tenant
				if err := c.Admin(cmd.Context(), api.TenantStatus, api.TenantRef{Tenant: given[0]}, &t); err != nil {
					return err
				}
				if sh.Out.Machine() {
					return sh.Out.Print(t)
				}
				describeTenant(sh.Out, t)
				return nil
			})
		},
	}
}

func describeTenant(out *output.Output, t api.Tenant) {
	f := facts{out.Stdout, out.Paint}
	fmt.Fprintf(out.Stdout, "Tenant %s\n", t.ID)
	f.line("Name", t.Name)
	f.line("Contact", t.Contact)
	f.line("Ready", output.YesNo(t.Ready))
	f.line("Policy", t.Policy)
	f.line("Account", t.Account)
	f.line("Revision", fmt.Sprint(t.Revision))
	f.line("Sites", fmt.Sprint(t.Sites))
	f.line("Pollers", fmt.Sprint(t.Pollers))
	f.line("Devices", fmt.Sprint(t.Devices))
	output.Section(out, "Conditions", t.Conditions, []output.Column[api.Condition]{
		{Name: "Condition", Value: func(c api.Condition) string { return c.Type }},
		{Name: "There", Value: func(c api.Condition) string { return output.YesNo(c.OK) }},
		{Name: "Message", Value: func(c api.Condition) string { return c.Message }, Long: true},
	})
}
