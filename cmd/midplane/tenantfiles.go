package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/fault"
	"midplane/poller/collect/all"
	"midplane/tenants"
)

// fileFlag is -f, which names tenants' files.
func fileFlag(cmd *cobra.Command, into *string) {
	cmd.Flags().StringVarP(into, "file", "f", "", "tenant's file, or folder of such files (required)")
}

// loadTenants reads what -f names, and finds every mistake in it, before
// anybody is asked.
func loadTenants(cmd *cobra.Command, path string) ([]*tenants.Loaded, error) {
	if path == "" {
		return nil, usage(cmd, "-f DIR or -f FILE is missing")
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fault.WithHint(fault.Wrap(fault.NotFound, err, "-f"), "name a tenant's file, or a folder of such files")
	}
	opt := tenants.Options{Collectors: slices.Sorted(maps.Keys(all.Collectors()))}
	if info.IsDir() {
		return tenants.LoadDir(path, opt)
	}
	one, err := tenants.LoadFile(path, opt)
	if err != nil {
		return nil, err
	}
	return []*tenants.Loaded{one}, nil
}

// change is what has to be done to one tenant.
type change struct {
	Tenant   string         `json:"tenant"`
	Steps    []tenants.Step `json:"steps"`
	revision uint64         // of the spec in the registry, 0 when there is none
	want     *tenants.Spec
}

// plan compares a tenant's file with the registry.
func plan(ctx context.Context, c *client, want *tenants.Spec) (change, error) {
	ch := change{Tenant: string(want.ID), want: want}
	var have *tenants.Spec
	var answer api.SpecAnswer
	err := c.Admin(ctx, api.TenantSpec, api.TenantRef{Tenant: ch.Tenant}, &answer)
	switch {
	case fault.Is(err, fault.NotFound):
	case err != nil:
		return ch, fault.Wrap(fault.Other, err, "tenant %s", ch.Tenant)
	default:
		if have, err = tenants.ParseJSON(answer.Spec); err != nil {
			return ch, fault.WithHint(fault.New(fault.Other, "the spec of tenant %s in the registry cannot be read: %v", ch.Tenant, err),
				"is this midplane older than the cluster's?")
		}
		ch.revision = answer.Revision
	}
	ch.Steps = tenants.Plan(have, want)
	return ch, nil
}

func planAll(ctx context.Context, c *client, loaded []*tenants.Loaded) ([]change, error) {
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

// put stores the wanted spec and returns its revision.
func put(ctx context.Context, c *client, ch change) (uint64, error) {
	spec, err := json.Marshal(ch.want)
	if err != nil {
		return 0, fault.Wrap(fault.Other, err, "tenant %s", ch.Tenant)
	}
	var answer api.TenantRevision
	err = c.Admin(ctx, api.TenantPut, api.PutTenant{Spec: spec, Revision: ch.revision}, &answer)
	return answer.Revision, err
}

// planText prints plans for a person.
func planText(changes []change) string {
	var b strings.Builder
	for _, ch := range changes {
		if len(ch.Steps) == 0 {
			fmt.Fprintf(&b, "tenant %s: nothing to do\n", ch.Tenant)
			continue
		}
		fmt.Fprintf(&b, "tenant %s: %d %s\n", ch.Tenant, len(ch.Steps), plural("changes", len(ch.Steps)))
		for _, s := range ch.Steps {
			b.WriteString("  " + printable(s.String()) + "\n")
		}
	}
	return b.String()
}
