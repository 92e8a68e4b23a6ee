package shell

import (
	"strings"

	"github.com/spf13/cobra"

	"midplane/fault"
)

// Usage is an error about the command line itself.
func Usage(cmd *cobra.Command, format string, args ...any) error {
	return fault.WithHint(fault.New(fault.Invalid, format, args...), "see: %s --help", cmd.CommandPath())
}

// Args checks the number of arguments; what names them, for the message.
func Args(minimum, maximum int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		switch {
		case len(given) < minimum:
			return Usage(cmd, "%s is missing", what)
		case len(given) > maximum && maximum == 0:
			return Usage(cmd, "%q is one argument too many", given[0])
		case len(given) > maximum:
			return Usage(cmd, "%q is one argument too many: want %s", given[maximum], what)
		}
		return nil
	}
}

// Group makes cmd a parent of other commands: alone it prints its help, and an
// argument that is none of them is an error.
func Group(cmd *cobra.Command) *cobra.Command {
	cmd.SuggestionsMinimumDistance = 2
	cmd.Args = func(cmd *cobra.Command, given []string) error {
		if len(given) == 0 {
			return nil
		}
		err := fault.New(fault.Invalid, "unknown command %q", cmd.CommandPath()+" "+given[0])
		if near := cmd.SuggestionsFor(given[0]); len(near) > 0 {
			return fault.WithHint(err, "did you mean %s?", strings.Join(near, " or "))
		}
		return fault.WithHint(err, "see: %s --help", cmd.CommandPath())
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	return cmd
}

// MustSayYes is the error of a command that destroys and was not given --yes.
// It comes before the cluster is asked, so that it gives away nothing of what
// exists.
func MustSayYes(format string, args ...any) error {
	return fault.WithHint(fault.New(fault.Invalid, "--yes is missing: "+format, args...), "nothing was changed; add --yes to do it")
}

// Top returns the command directly below the root that cmd belongs to.
func Top(cmd *cobra.Command) *cobra.Command {
	for cmd.HasParent() && cmd.Parent().HasParent() {
		cmd = cmd.Parent()
	}
	return cmd
}
