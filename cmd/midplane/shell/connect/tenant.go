package connect

import (
	"context"
	"strings"

	"midplane/api"
	"midplane/fault"
	"midplane/tenants/transfer"
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
	stored, err := transfer.Get(ctx, c.Admin, id, nil)
	if err == nil {
		err = stored.Newer
	}
	if err != nil {
		return nil, 0, err
	}
	text, err := stored.Spec.YAML()
	return text, stored.Revision, err
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
