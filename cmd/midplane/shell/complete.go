package shell

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/cmd/midplane/shell/connect"
)

// completeWithin is how long a shell waits for names that only the cluster
// knows. When there is no answer, or an error, nothing is completed.
const completeWithin = time.Second

// CompleteArgument completes the first argument of a command.
func (s *Shell) CompleteArgument(names connect.Names) cobra.CompletionFunc {
	complete := s.CompleteFlag(names)
	return func(cmd *cobra.Command, given []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(given) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(cmd, given, begun)
	}
}

// CompleteFlag completes with names that the cluster is asked for, within what
// --tenant and --site of the same command line say.
func (s *Shell) CompleteFlag(names connect.Names) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		req := api.ListRequest{Tenant: flagValue(cmd, "tenant"), Site: flagValue(cmd, "site"), Prefix: begun}
		answer := make(chan []string, 1)
		go func() { answer <- s.namesFor(cmd, names, req) }()
		select {
		case list := <-answer:
			list = slices.DeleteFunc(list, func(name string) bool { return !strings.HasPrefix(name, begun) })
			slices.Sort(list)
			return slices.Compact(list), cobra.ShellCompDirectiveNoFileComp
		case <-time.After(completeWithin):
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
	}
}

// namesFor returns nothing when anything is wrong: there is no place to report it.
func (s *Shell) namesFor(cmd *cobra.Command, names connect.Names, req api.ListRequest) (list []string) {
	settings, err := s.Load(cmd, cmd)
	if err != nil {
		return nil
	}
	s.Settings, s.Timeout = settings, completeWithin
	_ = s.WithClient(func(c *connect.Client) error {
		ctx, cancel := context.WithTimeout(context.Background(), completeWithin*3/4)
		defer cancel()
		list, err = names(ctx, c, req)
		return err
	})
	return list
}

// flagValue is what was given for a flag, "" when it is the one being completed
// or there is no such flag.
func flagValue(cmd *cobra.Command, name string) string {
	if f := cmd.Flags().Lookup(name); f != nil && f.Changed {
		return f.Value.String()
	}
	return ""
}

// Words completes with a fixed list.
func Words(values ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
}
