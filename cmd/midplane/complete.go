package main

import (
	"strings"

	"github.com/nats-io/jsm.go/natscontext"
	"github.com/spf13/cobra"

	"midplane/console/access"
	"midplane/event"
)

// complete tells the shell what the values of flags can be. What only the
// cluster knows is not completed: a shell should not wait for a network.
func complete(cmd *cobra.Command) {
	severities := make([]string, 0, len(event.Severities))
	for _, s := range event.Severities {
		severities = append(severities, string(s))
	}
	roles := words("poller", "producer", "reader", "app", "inspector")
	if strings.HasPrefix(cmd.CommandPath(), "midplane console") {
		roles = words(string(access.Admin), string(access.Operator), string(access.Viewer), string(access.Metrics))
	}
	for name, values := range map[string]cobra.CompletionFunc{
		"output":   words(string(formatTable), string(formatWide), string(formatJSON), string(formatYAML)),
		"severity": words(severities...),
		"role":     roles,
		"context": func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return natscontext.KnownContexts(), cobra.ShellCompDirectiveNoFileComp
		},
		"file":   files,
		"out":    files,
		"config": files,
	} {
		if cmd.LocalFlags().Lookup(name) != nil {
			_ = cmd.RegisterFlagCompletionFunc(name, values) // fails only for a flag that is not there
		}
	}
	for _, child := range cmd.Commands() {
		complete(child)
	}
}

func words(values ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
}

func files(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}
