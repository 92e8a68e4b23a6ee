package connect

import (
	"context"
	"strings"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/tenants"
)

// CheckTenant distinguishes an empty answer about a tenant from one about a
// tenant that does not exist: a primary knows only what it has read. The error
// is NotFound or nil, and nil when it cannot be found out.
func (c *Client) CheckTenant(ctx context.Context, tenant string) error {
	if tenant == "" {
		return nil
	}
	err := c.Admin(ctx, api.TenantStatus, api.TenantRef{Tenant: tenant}, nil)
	if fault.Is(err, fault.NotFound) {
		return err
	}
	return nil
}

// StoredTenant reads what the cluster has of a tenant, as the text of a file,
// and its revision.
func (c *Client) StoredTenant(ctx context.Context, id string) ([]byte, uint64, error) {
	var answer api.SpecAnswer
	if err := c.Admin(ctx, api.TenantSpec, api.TenantRef{Tenant: id}, &answer); err != nil {
		return nil, 0, err
	}
	if err := tenants.CheckKnown(event.Tenant(id), answer.Spec); err != nil {
		return nil, 0, err
	}
	spec, err := tenants.ParseStored(answer.Spec)
	if err != nil {
		return nil, 0, fault.WithHint(fault.New(fault.Other, "the spec of tenant %s in the registry cannot be read: %v", id, err),
			"is this midplane older than the cluster's?")
	}
	text, err := spec.YAML()
	return text, answer.Revision, err
}

// Missing names the conditions of a tenant that are not there yet.
func Missing(t api.Tenant) string {
	var out []string
	for _, c := range t.Conditions {
		switch {
		case c.OK:
		case c.Message == "":
			out = append(out, c.Type)
		default:
			out = append(out, c.Type+" ("+c.Message+")")
		}
	}
	return strings.Join(out, ", ")
}
