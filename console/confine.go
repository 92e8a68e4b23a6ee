package console

import (
	"context"
	"net/http"
	"slices"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
)

// A viewer can be confined to one tenant. The question to a door then names
// that tenant also when another or none was asked for, and the answer is looked
// through once more: a row of another tenant is dropped, wherever it came from.

// everybodys is the owner of rows that no tenant owns and every one may see.
const everybodys = "*"

// only returns the tenant that the request's identity is confined to, or "".
func only(ctx context.Context) string { return whoAsks(ctx).Tenant }

// mine reports whether the request's identity may see what belongs to a tenant.
func mine(ctx context.Context, tenant string) bool {
	own := only(ctx)
	return own == "" || tenant == own || tenant == everybodys
}

// confine narrows a question to the tenant that its identity is confined to. The
// answer to a foreign tenant's name is the same whether or not that tenant exists.
func (g *gate) confine(r *http.Request, tenant *string) error {
	own := only(r.Context())
	switch {
	case own == "":
		return nil
	case *tenant == "" || *tenant == own:
		*tenant = own
		return nil
	}
	err := fault.WithHint(fault.New(fault.Denied, "you see tenant %s alone", own), "leave the tenant out")
	g.denied(r, whoAsks(r.Context()), err)
	return err
}

// confined is what a confined viewer sees of the status: which nodes live, and
// what concerns the own tenant. It is made of what is named here, so that a field
// that the services add stays hidden until it is added here.
func (s Status) confined(own string) Status {
	out := Status{Problems: []api.Problem{}, Errors: []StatusError{}}
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
	for _, p := range s.Problems {
		if p.Tenant == own {
			out.Problems = append(out.Problems, p)
		}
	}
	// Of Midplane's own: what the parts above show anyway, and made of them alone.
	for _, p := range api.Health(out.facts()) {
		switch p.Code {
		case api.CodeClusterSilent, api.CodePrimaryMissing, api.CodeNodeDown:
			if s.has(p) {
				out.Problems = append(out.Problems, p)
			}
		}
	}
	api.FindCauses(out.Problems) // among these: what else is wrong is not shown
	return out
}

// has reports whether the whole status has a problem of the same kind about the same.
func (s Status) has(p api.Problem) bool {
	return slices.ContainsFunc(s.Problems, func(q api.Problem) bool { return q.Code == p.Code && q.Tenant == p.Tenant && q.Subject == p.Subject })
}
