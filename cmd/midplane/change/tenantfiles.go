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
	"midplane/fault"
	"midplane/poller/collect/all"
	"midplane/tenants"
	"midplane/tenants/transfer"
)

// fileFlag is -f, which names tenants' files.
func fileFlag(cmd *cobra.Command, into *[]string) {
	cmd.Flags().StringArrayVarP(into, "file", "f", nil, "tenant's file, folder of such files, or - for standard input; may be given several times (required)")
}

// loadTenants reads all that -f names, and finds every mistake in it, before
// the cluster is asked.
func loadTenants(sh *shell.Shell, cmd *cobra.Command, sources []string) ([]*tenants.Loaded, error) {
	if len(sources) == 0 || slices.Contains(sources, "") {
		return nil, shell.Usage(cmd, "-f DIR or -f FILE is missing")
	}
	return tenants.LoadAll(sources, sh.Stdin, tenants.Options{Collectors: slices.Sorted(maps.Keys(all.Collectors()))})
}

// change is what has to be done to one tenant.
type change struct {
	Tenant string          `json:"tenant"`
	Steps  []tenants.Step  `json:"steps"`
	was    transfer.Stored // in the registry
	want   *tenants.Spec
	// overcommit promises more storage than there is.
	overcommit bool
}

// plan compares a tenant's file with the registry.
func plan(ctx context.Context, c *connect.Client, want *tenants.Spec) (ch change, err error) {
	ch = change{Tenant: string(want.ID), want: want}
	if ch.was, err = transfer.Get(ctx, c.Admin, ch.Tenant, want); err != nil && !fault.Is(err, fault.NotFound) {
		return ch, fault.Wrap(fault.Other, err, "tenant %s", ch.Tenant)
	}
	ch.Steps = tenants.Plan(ch.was.Spec, want)
	return ch, nil
}

func planAll(ctx context.Context, c *connect.Client, loaded []*tenants.Loaded) ([]change, error) {
	changes := make([]change, 0, len(loaded))
	for _, l := range loaded {
		ch, err := plan(ctx, c, l.Spec)
		if err != nil {
			return nil, err
		}
		changes = append(changes, ch)
	}
	return changes, nil
}

// checkAll has the control plane check every spec that would be stored. The
// steps are then those that the control plane answers with.
func checkAll(ctx context.Context, c *connect.Client, changes []change) ([]change, error) {
	for i, ch := range changes {
		steps, err := transfer.Check(ctx, c.Admin, ch.want, ch.was, ch.overcommit)
		if fault.Is(err, fault.Unavailable) {
			return nil, fault.WithHint(fault.Wrap(fault.Other, err, "tenant %s", ch.Tenant), "see: midplane status. Nodes that are older than this midplane cannot check without storing: use --dry-run=client")
		}
		if err != nil {
			return nil, fault.Wrap(fault.Other, err, "tenant %s", ch.Tenant)
		}
		changes[i].Steps = steps
	}
	return changes, nil
}

// checkSpace has the control plane compare the quotas of all tenants that change, with
// what the nodes have for them. Nodes of an older version do not know the question.
func checkSpace(ctx context.Context, c *connect.Client, changes []change, overcommit bool) error {
	req := api.SpaceRequest{Storage: map[string]int64{}, Overcommit: overcommit}
	for i, ch := range changes {
		changes[i].overcommit = overcommit
		if len(ch.Steps) > 0 {
			req.Storage[ch.Tenant] = int64(ch.want.Quota.Storage)
		}
	}
	if len(req.Storage) == 0 {
		return nil
	}
	err := c.Admin(ctx, api.SpaceCheck, req, nil)
	if fault.Is(err, fault.Unavailable) {
		return nil // each is checked again when it is stored
	}
	return err
}

// put stores the wanted spec and returns its revision.
func put(ctx context.Context, c *connect.Client, ch change) (uint64, error) {
	if ch.was.Newer != nil {
		return 0, ch.was.Newer
	}
	return transfer.Put(ctx, c.Admin, ch.want, ch.was, ch.overcommit)
}

// planText prints plans for a person.
func planText(changes []change) string {
	var b strings.Builder
	for _, ch := range changes {
		if len(ch.Steps) == 0 {
			fmt.Fprintf(&b, "tenant %s: nothing to do\n", ch.Tenant)
			continue
		}
		fmt.Fprintf(&b, "tenant %s: %d %s\n", ch.Tenant, len(ch.Steps), output.Plural("changes", len(ch.Steps)))
		for _, s := range ch.Steps {
			b.WriteString("  " + output.Printable(s.String()) + "\n")
		}
	}
	return b.String()
}
