package change

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/connect"
	"midplane/cmd/midplane/shell/output"
)

// NewUpgrade is the command about two versions that run side by side.
func NewUpgrade(sh *shell.Shell) *cobra.Command {
	cmd := shell.Group(&cobra.Command{
		Use:   "upgrade",
		Short: "Show which versions run, and end an upgrade",
		Long: `Nodes, primaries and pollers are replaced one after the other; two versions run
side by side for as long as that takes. What is new in a version is stored and
sent only when every node and every primary understands it and an operator has
ended the upgrade. Until then each of them may go back to the version before.`,
	})
	cmd.AddCommand(newUpgradeStatus(sh), newUpgradeFinish(sh))
	return cmd
}

func newUpgradeStatus(sh *shell.Shell) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show which version each program runs, and what to do next",
		Long: `Shows the version of every node, primary and poller, which of them are behind the
node that answers, and what to do next. Pollers that are behind hold nothing up.
Exits with 0 also while the upgrade is not ended.`,
		Example: "  midplane upgrade status\n  midplane upgrade status -o json | jq -r '.behind[]'",
		Args:    shell.Args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return sh.WithClient(func(c *connect.Client) error {
				u, err := askUpgrade(cmd.Context(), c, api.UpgradeStatus)
				if err != nil {
					return err
				}
				return printUpgrade(sh.Out, u)
			})
		},
	}
}

func newUpgradeFinish(sh *shell.Shell) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "finish --yes",
		Short: "End the upgrade: use what is new; no node can go back after that",
		Long: `Ends the upgrade. From now on what is new in this version is stored and sent, and
a node or primary of the version before refuses to start or cannot read it. It is
refused while a known node or a registered primary does not run the new version;
remove one that is gone for good with: midplane node forget NAME --yes, or
midplane primary forget NAME --yes

Ending an upgrade that was ended before changes nothing.`,
		Example: "  midplane upgrade finish --yes",
		Args:    shell.Args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !yes {
				return shell.MustSayYes("after this no node can go back to the version before")
			}
			return sh.WithClient(func(c *connect.Client) error {
				u, err := askUpgrade(cmd.Context(), c, api.UpgradeFinish)
				if err != nil {
					return err
				}
				if !sh.Out.Machine() {
					sh.Out.Say("No upgrade is open any more: the level of %s is in use.", u.Target.Version)
					return nil
				}
				return sh.Out.Print(u)
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

func askUpgrade(ctx context.Context, c *connect.Client, verb string) (u api.Upgrade, err error) {
	return u, c.Admin(ctx, verb, struct{}{}, &u)
}

func printUpgrade(out *output.Output, u api.Upgrade) error {
	if out.Machine() {
		return out.Print(u)
	}
	switch {
	case !u.Open && u.Ended != nil:
		out.Say("No upgrade is open: the level of %s is in use since %s (%s).", output.Dash(u.Level.Version), output.Minute(*u.Ended), u.By)
	case u.Ended == nil:
		out.Say("An upgrade to %s is open; none was ended before.", u.Target.Version)
	default:
		out.Say("An upgrade to %s is open; the last one was ended at %s (%s).", u.Target.Version, output.Minute(*u.Ended), u.By)
	}
	output.Section(out, "Programs", u.Running, []output.Column[api.Running]{
		{Name: "Kind", Value: func(r api.Running) string { return r.Kind }},
		{Name: "Name", Value: func(r api.Running) string { return r.Name }},
		{Name: "Live", Value: func(r api.Running) string { return output.YesNo(r.Live) }},
		{Name: "Version", Value: func(r api.Running) string { return output.Dash(r.Version) }},
		{Name: "Current", Value: func(r api.Running) string { return output.YesNo(!r.Behind) }},
		{Name: "Understands", Value: understands, Wide: true},
	})
	if u.OldPollers > 0 {
		out.Say("\n%d of %d pollers are behind; they hold nothing up.", u.OldPollers, u.Pollers)
	}
	out.Say("\nNext: %s", u.Next)
	return nil
}

// understands lists formats and versions of types: "channel 2, registry 2".
func understands(r api.Running) string {
	var out []string
	for _, f := range slices.Sorted(maps.Keys(r.Formats)) {
		out = append(out, fmt.Sprintf("%s %d", f, r.Formats[f]))
	}
	for _, t := range slices.Sorted(maps.Keys(r.Types)) {
		out = append(out, fmt.Sprintf("%s version %d", t, r.Types[t]))
	}
	return strings.Join(out, ", ")
}
