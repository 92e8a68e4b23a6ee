package api

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/subject"
)

// Verbs of the admin door: admin.<name>.<verb>.
const (
	TenantList   = "tenant.list"    // ListRequest → Page[Tenant]
	TenantSpec   = "tenant.spec"    // TenantRef → SpecAnswer
	TenantPut    = "tenant.put"     // PutTenant → TenantRevision
	TenantStatus = "tenant.status"  // TenantRef → Tenant
	TenantDelete = "tenant.delete"  // TenantRef → {}
	SiteList     = "site.list"      // ListRequest → Page[Site]
	PollerList   = "poller.list"    // ListRequest → Page[Poller]
	StreamList   = "stream.list"    // ListRequest → Page[Stream]
	SchemaList   = "schema.list"    // ListRequest → Page[Schema]
	NodeStatus   = "node.status"    // {} → ClusterStatus
	PrimaryDrop  = "primary.forget" // PrimaryRef → {}
)

// ListRequest asks for one page of a list.
type ListRequest struct {
	Tenant string `json:"tenant,omitempty"`
	Site   string `json:"site,omitempty"`
	Limit  int    `json:"limit,omitempty"`
	After  string `json:"after,omitempty"`
}

// TenantRef names a tenant.
type TenantRef struct {
	Tenant string `json:"tenant"`
}

// PrimaryRef names a primary.
type PrimaryRef struct {
	Primary string `json:"primary"`
}

// SpecAnswer is a tenant's spec as the registry has it (package tenants, JSON).
type SpecAnswer struct {
	Spec     json.RawMessage `json:"spec"`
	Revision uint64          `json:"revision"`
}

// PutTenant stores a spec. Revision is what the caller saw, 0 when the tenant
// is new; another revision in the registry is a Conflict.
type PutTenant struct {
	Spec     json.RawMessage `json:"spec"`
	Revision uint64          `json:"revision"`
}

// TenantRevision is the registry's revision of a stored spec.
type TenantRevision struct {
	Tenant   string `json:"tenant"`
	Revision uint64 `json:"revision"`
}

// ClusterStatus is what the control plane knows of itself.
type ClusterStatus struct {
	Nodes     []Node         `json:"nodes"`
	Leader    string         `json:"leader"`     // of the control plane
	MetaLead  string         `json:"metaLeader"` // of JetStream
	Revision  uint64         `json:"revision"`   // of the registry
	Problems  []Problem      `json:"problems"`
	Primaries []PrimaryState `json:"primaries"`
	Isolation *Isolation     `json:"isolation,omitempty"`
}

// Isolation is what the canary found: markers that are published in each tenant
// and looked for in all others.
type Isolation struct {
	Proven    *time.Time `json:"proven"`    // when the last round ended in which nothing was wrong; null: none yet
	Tenants   int        `json:"tenants"`   // in which that round published
	Listening int        `json:"listening"` // in which it listened
	Leaks     int        `json:"leaks"`     // pairs of tenants, in the last hour
}

// Node is one node of the cluster.
type Node struct {
	ID       string    `json:"id"`
	Live     bool      `json:"live"`
	LastSeen time.Time `json:"lastSeen"`
	Revision uint64    `json:"revision"` // of the registry that its ingress has loaded
	Tenants  int       `json:"tenants"`  // doors open
	Version  string    `json:"version"`
}

// PrimaryState is how far a primary has told the control plane it is.
type PrimaryState struct {
	ID       string    `json:"id"`
	LastSeen time.Time `json:"lastSeen"`
	Live     bool      `json:"live"`
}

// Problem is something wrong, and what to do about it.
type Problem struct {
	Severity string `json:"severity"`
	Tenant   string `json:"tenant,omitempty"`
	Message  string `json:"message"`
	Hint     string `json:"hint"`
}

// reads are the verbs that change nothing, however often they are asked.
var reads = map[string]bool{
	TenantList: true, TenantSpec: true, TenantStatus: true, SiteList: true, PollerList: true, StreamList: true, SchemaList: true, NodeStatus: true,
	AuditList: true, TokenList: true, SecretList: true, UserList: true, RotationList: true,
}

// firstAsk is how long the first answer to a question is waited for.
const firstAsk = 2 * time.Second

// Admin is the client of the admin door.
type Admin struct {
	nc    *nats.Conn
	name  string
	first time.Duration
}

// NewAdmin returns a client that asks as name, which must be the name of the
// connection's user.
func NewAdmin(nc *nats.Conn, name string) *Admin { return &Admin{nc: nc, name: name, first: firstAsk} }

// Do asks one verb. ctx must have a deadline. What changes nothing is asked
// again when there is no answer for a while: the server hands a request to any
// node, also to one that hangs, and the next time it is another one.
func (a *Admin) Do(ctx context.Context, verb string, req, resp any) error {
	subj := subject.Request(subject.DoorAdmin, a.name, verb)
	end, bounded := ctx.Deadline()
	if !reads[verb] || !bounded {
		return Call(ctx, a.nc, subj, req, resp)
	}
	for wait := a.first; time.Until(end) > wait; wait *= 2 {
		once, cancel := context.WithTimeout(ctx, wait)
		err := Call(once, a.nc, subj, req, resp)
		late := once.Err() != nil
		cancel()
		if err == nil || !late || ctx.Err() != nil {
			return err
		}
	}
	return Call(ctx, a.nc, subj, req, resp)
}

// All reads every page of a list of the admin or query door.
func All[T any](ctx context.Context, do func(ctx context.Context, verb string, req, resp any) error, verb string, req ListRequest) ([]T, error) {
	out := []T{}
	for {
		var page Page[T]
		if err := do(ctx, verb, req, &page); err != nil {
			return nil, err
		}
		out = append(out, page.Items...)
		if page.Next == "" {
			return out, nil
		}
		req.After = page.Next
	}
}
