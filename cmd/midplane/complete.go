package main

import (
	"strings"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/connect"
	"midplane/cmd/midplane/shell/output"
	"midplane/console/access"
	"midplane/event"
)

// complete adds to every command what a shell completes: its argument and the
// values of its flags.
func complete(sh *shell.Shell, cmd *cobra.Command) {
	severities := make([]string, 0, len(event.Severities))
	for _, s := range event.Severities {
		severities = append(severities, string(s))
	}
	roles := shell.Words("poller", "producer", "reader", "app", "inspector")
	if strings.HasPrefix(cmd.CommandPath(), "midplane console") {
		roles = shell.Words(string(access.Admin), string(access.Operator), string(access.Viewer), string(access.Metrics))
	}
	for name, values := range map[string]cobra.CompletionFunc{
		"output":   shell.Words(string(output.TableFormat), string(output.Wide), string(output.JSON), string(output.YAML), string(output.Name)),
		"severity": shell.Words(severities...),
		"role":     roles,
		"context": func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return connect.ContextNames(), cobra.ShellCompDirectiveNoFileComp
		},
		"file":   files,
		"out":    files,
		"config": files,
	} {
		if cmd.LocalFlags().Lookup(name) != nil {
			_ = cmd.RegisterFlagCompletionFunc(name, values) // fails only for a flag that is not there
		}
	}
	if names, ok := argumentNames[cmd.CommandPath()]; ok {
		cmd.ValidArgsFunction = sh.CompleteArgument(names)
	}
	if needsCluster(cmd) {
		for name, names := range flagNames {
			if cmd.LocalFlags().Lookup(name) != nil {
				_ = cmd.RegisterFlagCompletionFunc(name, sh.CompleteFlag(names))
			}
		}
	}
	for _, child := range cmd.Commands() {
		complete(sh, child)
	}
}

// needsCluster is false for commands that work on files of this machine.
func needsCluster(cmd *cobra.Command) bool {
	return shell.Top(cmd).Name() != "console" && shell.Top(cmd).GroupID != shell.GroupRun
}

func files(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

// inTenant is how a command names what belongs to a tenant.
func inTenant(tenant, name string) string {
	if tenant == "" {
		return name
	}
	return tenant + "/" + name
}

var (
	tenantNames = connect.NamesOf(connect.AdminDoor, api.TenantList, func(t api.Tenant) string { return t.ID })
	deviceNames = connect.FullNamesOf(connect.QueryDoor, api.DeviceList, false, func(d api.Device) api.Key { return api.Key{Tenant: d.Tenant, Site: d.Site, ID: d.ID} })
	pollerNames = connect.NamesOf(connect.AdminDoor, api.PollerList, func(p api.Poller) string { return inTenant(p.Tenant, p.ID) })
	userNames   = connect.NamesOf(connect.AdminDoor, api.UserList, func(u api.User) string { return inTenant(u.Tenant, u.Name) })
	secretNames = connect.NamesOf(connect.AdminDoor, api.SecretList, func(s api.Secret) string { return inTenant(s.Tenant, s.Name) })
	tokenNames  = connect.NamesOf(connect.AdminDoor, api.TokenList, func(t api.Token) string { return t.ID })
)

// argumentNames are the commands whose argument names something of the cluster;
// those of "get" have theirs from their kind.
var argumentNames = map[string]connect.Names{
	"midplane describe tenant": tenantNames, "midplane describe device": deviceNames,
	"midplane delete tenant": tenantNames, "midplane edit tenant": tenantNames, "midplane wait tenant": tenantNames,
	"midplane revoke poller": pollerNames, "midplane revoke user": userNames, "midplane user delete": userNames,
	"midplane secret set": secretNames, "midplane secret delete": secretNames, "midplane token revoke": tokenNames,
}

// flagNames are the flags that name something of the cluster.
var flagNames = map[string]connect.Names{
	"tenant":   tenantNames,
	"site":     connect.NamesOf(connect.AdminDoor, api.SiteList, func(s api.Site) string { return s.ID }),
	"poller":   connect.NamesOf(connect.AdminDoor, api.PollerList, func(p api.Poller) string { return p.ID }),
	"producer": connect.NamesOf(connect.AdminDoor, api.UserList, func(u api.User) string { return u.Name }),
	"entity":   connect.NamesOf(connect.QueryDoor, api.DeviceList, func(d api.Device) string { return d.ID }),
}
