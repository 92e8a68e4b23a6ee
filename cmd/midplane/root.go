package main

import (
	"strings"

	"github.com/spf13/cobra"

	"midplane/cmd/midplane/change"
	"midplane/cmd/midplane/look"
	"midplane/cmd/midplane/people"
	"midplane/cmd/midplane/serve"
	"midplane/cmd/midplane/setup"
	"midplane/cmd/midplane/shell"
	"midplane/fault"
)

// newRootCmd makes the tree of commands.
func newRootCmd(sh *shell.Shell) *cobra.Command {
	root := shell.Group(&cobra.Command{
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
		PersistentPreRunE: sh.Prepare,
	})
	sh.CommonFlags(root.PersistentFlags())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return shell.FlagError(cmd, err) })
	root.SetOut(sh.Out.Stdout)
	root.SetErr(sh.Out.Stderr)
	root.SetIn(sh.Stdin)
	root.AddGroup(
		&cobra.Group{ID: shell.GroupRun, Title: "Run:"},
		&cobra.Group{ID: shell.GroupLook, Title: "Look:"},
		&cobra.Group{ID: shell.GroupChange, Title: "Change:"},
		&cobra.Group{ID: shell.GroupOther, Title: "Other:"},
	)
	node := serve.NewNode(sh)
	node.AddCommand(change.NewDrainNode(sh), change.NewUndrainNode(sh), change.NewReplaceNode(sh), change.NewForgetNode(sh))
	primary := serve.NewPrimary(sh)
	primary.AddCommand(change.NewForgetPrimary(sh))
	rotate := change.NewRotate(sh)
	rotate.AddCommand(setup.NewRotateCerts(sh), setup.NewRotateCA(sh))
	add(root, shell.GroupRun, serve.NewUp(sh), setup.NewInit(sh), node, primary, serve.NewPoller(sh))
	add(root, shell.GroupLook, look.NewStatus(sh), look.NewGet(sh), look.NewDescribe(sh), look.NewEvents(sh), look.NewExplain(sh), look.NewWait(sh))
	add(root, shell.GroupChange, change.NewValidate(sh), change.NewDiff(sh), change.NewApply(sh), change.NewEdit(sh), change.NewDelete(sh), rotate, change.NewUpgrade(sh), change.NewSecret(sh), change.NewReplica(sh))
	add(root, shell.GroupChange, people.NewRevoke(sh), people.NewUser(sh), people.NewSubscription(sh), people.NewToken(sh), people.NewConsole(sh))
	add(root, shell.GroupOther, people.NewContext(sh), setup.NewExport(sh), serve.NewHealthcheck(sh))
	add(root, shell.GroupOther, newConfigCmd(sh), newVersionCmd(sh), newExitCodesTopic(), newEnvironmentTopic())
	root.SetHelpCommand(newHelpCmd())
	root.SetHelpCommandGroupID(shell.GroupOther)
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	complete(sh, root)
	root.SetCompletionCommandGroupID(shell.GroupOther)
	return root
}

func add(root *cobra.Command, id string, commands ...*cobra.Command) {
	for _, cmd := range commands {
		cmd.GroupID = id
		root.AddCommand(cmd)
	}
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
