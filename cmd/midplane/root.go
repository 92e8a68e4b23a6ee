package main

import (
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"midplane/config"
	"midplane/fault"
)

// app is what every command is given.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer

	// Settings of every command, from any source; valid once a command runs.
	format         format
	contextName    string
	requestTimeout time.Duration

	// settings are those of the command that runs: all flags of a daemon, the
	// common ones of any other command.
	settings *config.Settings
	file     string // --config
	started  bool   // the command line was understood
}

// Groups of commands, in the order of the help. Every flag of a command of
// groupRun is a setting; of other commands only the common flags are, so that
// no --yes can come from an environment.
const (
	groupRun    = "run"
	groupLook   = "look"
	groupChange = "change"
	groupOther  = "other"
)

func newRootCmd(a *app) *cobra.Command {
	root := group(&cobra.Command{
		Use:   "midplane",
		Short: "Carries what pollers see at many customers' sites to one place",
		Long: `Midplane carries what pollers see at the edge of many customers' networks to
one primary, over an embedded NATS JetStream cluster: nothing acknowledged is
lost, no tenant sees another, nothing malformed gets in.

  midplane up                       everything in one process, with an example
  midplane get devices              what the pollers see
  midplane events --follow          what happens, as it happens
  midplane status                   what is wrong, and what to do about it

Every flag of a server and every common flag can also be given by environment
(MIDPLANE_HTTP for --http) or by file (key "http"); a flag wins over the
environment, the environment over the file. See: midplane config view`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		PersistentPreRunE: a.prepare,
	})
	a.commonFlags(root.PersistentFlags())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, "%s", firstLine(err.Error())) })
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetIn(a.stdin)
	root.AddGroup(
		&cobra.Group{ID: groupRun, Title: "Run:"},
		&cobra.Group{ID: groupLook, Title: "Look:"},
		&cobra.Group{ID: groupChange, Title: "Change:"},
		&cobra.Group{ID: groupOther, Title: "Other:"},
	)
	primary := newPrimaryCmd(a)
	primary.AddCommand(newPrimaryForgetCmd(a))
	add(root, groupRun, newUpCmd(a), newInitCmd(a), newNodeCmd(a), primary, newPollerCmd(a))
	add(root, groupLook, newStatusCmd(a), newGetCmd(a), newDescribeCmd(a), newEventsCmd(a))
	add(root, groupChange, newValidateCmd(a), newDiffCmd(a), newApplyCmd(a), newDeleteCmd(a), newRevokeCmd(a), newUserCmd(a), newSubscriptionCmd(a), newTokenCmd(a), newSecretCmd(a), newConsoleCmd(a))
	add(root, groupOther, newConfigCmd(a), newHealthcheckCmd(a), newVersionCmd(a), newExitCodesTopic())
	add(root, groupChange, newRotateCmd(a))
	add(root, groupOther, newContextCmd(a), newExportCmd(a))
	root.SetHelpCommand(newHelpCmd())
	root.SetHelpCommandGroupID(groupOther)
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	complete(root)
	root.SetCompletionCommandGroupID(groupOther)
	return root
}

func add(root *cobra.Command, id string, commands ...*cobra.Command) {
	for _, cmd := range commands {
		cmd.GroupID = id
		root.AddCommand(cmd)
	}
}

func (a *app) commonFlags(f *pflag.FlagSet) {
	a.format = formatTable
	f.VarP(&a.format, "output", "o", "how to print: table, wide, json or yaml")
	f.StringVar(&a.contextName, "context", DefaultContext, "NATS context to connect with, as the nats CLI keeps them")
	f.DurationVar(&a.requestTimeout, "request-timeout", 10*time.Second, "how long to wait for one answer of the cluster")
	f.StringVar(&a.file, "config", "", "file of settings (default: midplane/config.yaml below $XDG_CONFIG_HOME, else /etc/midplane/config.yaml)")
}

// prepare finds the settings before a command runs.
func (a *app) prepare(cmd *cobra.Command, _ []string) error {
	if !needsSettings(cmd) {
		a.started = true
		return nil
	}
	settings, err := a.load(cmd, cmd)
	if err != nil {
		return err
	}
	if a.requestTimeout <= 0 {
		return fault.WithHint(fault.New(fault.Invalid, "request-timeout %s is not positive", a.requestTimeout), "give it like 10s")
	}
	a.settings, a.started = settings, true
	return nil
}

// load finds the settings of command of; cmd is the one that runs.
func (a *app) load(cmd, of *cobra.Command) (*config.Settings, error) {
	root := cmd.Root()
	known := names(root.PersistentFlags())
	for _, c := range root.Commands() {
		if c.GroupID == groupRun {
			known = append(known, names(c.Flags())...)
		}
	}
	flags := pflag.NewFlagSet(of.Name(), pflag.ContinueOnError)
	flags.AddFlagSet(root.PersistentFlags())
	if of.GroupID == groupRun {
		flags.AddFlagSet(of.Flags()) // has the common ones too once it is parsed
	}
	return config.Load(flags, a.file, config.Known(known...))
}

func names(f *pflag.FlagSet) []string {
	var out []string
	f.VisitAll(func(f *pflag.Flag) { out = append(out, f.Name) })
	return out
}

// top returns the command directly below the root that cmd belongs to.
func top(cmd *cobra.Command) *cobra.Command {
	for cmd.HasParent() && cmd.Parent().HasParent() {
		cmd = cmd.Parent()
	}
	return cmd
}

// needsSettings is false for what must work whatever the settings are.
func needsSettings(cmd *cobra.Command) bool {
	switch top(cmd).Name() {
	case "midplane", "help", "completion", "version", cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd:
		return false
	}
	return true
}

// newHelpCmd is cobra's, but what it does not know is an error.
func newHelpCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about a command",
		RunE: func(cmd *cobra.Command, given []string) error {
			target, rest, err := cmd.Root().Find(given)
			if err != nil || len(rest) > 0 {
				return fault.WithHint(fault.New(fault.Invalid, "no help about %q", strings.Join(given, " ")), "see: midplane --help")
			}
			return target.Help()
		},
	}
}
