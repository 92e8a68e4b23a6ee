package console

import (
	"context"
	"net/http"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
)

// A viewer can be confined to one tenant. The question to a door then names
// that tenant, whatever was asked for, and what comes back is looked through
// once more: a row of another tenant is dropped, wherever it came from.

// everybodys is the owner of rows that no tenant owns and every one may see.
const everybodys = "*"

// only returns the tenant that who asks is confined to, or "".
func only(ctx context.Context) string { return whoAsks(ctx).Tenant }

// mine says whether who asks may see what belongs to a tenant.
func mine(ctx context.Context, tenant string) bool {
	own := only(ctx)
	return own == "" || tenant == own || tenant == everybodys
}

// confine narrows a question to the tenant of who asks. The answer to a
// foreign tenant's name is the same whether that tenant exists.
func (c *Console) confine(r *http.Request, tenant *string) error {
	own := only(r.Context())
	switch {
	case own == "":
		return nil
	case *tenant == "" || *tenant == own:
		*tenant = own
		return nil
	}
	err := fault.WithHint(fault.New(fault.Denied, "you see tenant %s alone", own), "leave the tenant out")
	c.denied(r, whoAsks(r.Context()), err)
	return err
}

// confined is what a confined viewer sees of the status: which nodes live, and
// what is said of the own tenant. It is made of what is named here, so that
// whatever the services come to say stays hidden until it is added.
func (s Status) confined(own string) Status {
	out := Status{Errors: []StatusError{}}
	if s.Cluster != nil {
		out.Cluster = &api.ClusterStatus{Nodes: []api.Node{}, Problems: []api.Problem{}, Primaries: []api.PrimaryState{}}
		for _, n := range s.Cluster.Nodes {
			out.Cluster.Nodes = append(out.Cluster.Nodes, api.Node{ID: n.ID, Live: n.Live, LastSeen: n.LastSeen})
		}
		for _, p := range s.Cluster.Problems {
			if p.Tenant == own {
				out.Cluster.Problems = append(out.Cluster.Problems, p)
			}
		}
	}
	if s.Primary != nil {
		out.Primary = &api.PrimaryReport{Name: s.Primary.Name, Started: s.Primary.Started, Tenants: []api.TenantReport{}, Alarms: []event.Alarm{}} // an alarm does not say whose it is
		for _, t := range s.Primary.Tenants {
			if t.Tenant == own {
				out.Primary.Tenants = append(out.Primary.Tenants, t)
			}
		}
	}
	for _, e := range s.Errors {
		out.Errors = append(out.Errors, StatusError{e.Source, problem{Code: e.Code, Message: "the " + e.Source + " does not answer"}})
	}
	return out
}
