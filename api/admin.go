package api

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/subject"
)

// Verbs of the admin service: admin.<name>.<verb>.
const (
	TenantList   = "tenant.list"    // ListRequest → Page[Tenant]
	TenantSpec   = "tenant.spec"    // SpecRequest → SpecAnswer
	TenantPut    = "tenant.put"     // PutTenant → TenantRevision
	TenantCheck  = "tenant.check"   // CheckTenant → TenantPlan; stores nothing
	TenantParts  = "tenant.parts"   // PartsRequest → PartsAnswer
	TenantUpload = "tenant.upload"  // Upload → {}; parts that a spec is to name
	TenantStatus = "tenant.status"  // TenantRef → Tenant
	TenantDelete = "tenant.delete"  // TenantRef → {}
	SiteList     = "site.list"      // ListRequest → Page[Site]
	PollerList   = "poller.list"    // ListRequest → Page[Poller]
	StreamList   = "stream.list"    // ListRequest → Page[Stream]
	SchemaList   = "schema.list"    // ListRequest → Page[Schema]
	NodeStatus   = "node.status"    // {} → ClusterStatus
	NodeDrain    = "node.drain"     // NodeRef → {}: it is to have no clients and to lead nothing
	NodeUndrain  = "node.undrain"   // NodeRef → {}
	PrimaryDrop  = "primary.forget" // PrimaryRef → {}
)

// ListRequest asks for one page of a list. Name, Prefix, Status, Poller, Search
// and Order are for the lists of the query service; a service that does not know
// them answers as if they were left out, so those who ask look through the answer
// once more.
type ListRequest struct {
	Tenant string `json:"tenant,omitempty"`
	Site   string `json:"site,omitempty"`
	// Producer is for LimitList.
	Producer string `json:"producer,omitempty"`
	Name     string `json:"name,omitempty"`   // only what a person calls this (Key.Named)
	Prefix   string `json:"prefix,omitempty"` // only rows whose full name begins so (Key.Full)
	Status   string `json:"status,omitempty"` // only rows with this status; of interfaces, the operational one
	Poller   string `json:"poller,omitempty"` // only devices that this poller watches
	Search   string `json:"search,omitempty"` // only rows that have each of these words (Words)
	Order    string `json:"order,omitempty"`  // of devices: "" by tenant, site and id; OrderStatus
	Limit    int    `json:"limit,omitempty"`
	After    string `json:"after,omitempty"`
}

// TenantRef names a tenant.
type TenantRef struct {
	Tenant string `json:"tenant"`
}

// PrimaryRef names a primary.
type PrimaryRef struct {
	Primary string `json:"primary"`
}

// TenantRevision is the registry's revision of a stored spec.
type TenantRevision struct {
	Tenant   string `json:"tenant"`
	Revision uint64 `json:"revision"`
}

// ClusterStatus is what the control plane knows about itself.
type ClusterStatus struct {
	Nodes     []Node         `json:"nodes"`
	Leader    string         `json:"leader"`     // of the control plane
	MetaLead  string         `json:"metaLeader"` // of JetStream
	Revision  uint64         `json:"revision"`   // of the registry
	Problems  []Problem      `json:"problems"`
	Primaries []PrimaryState `json:"primaries"`
	Isolation *Isolation     `json:"isolation,omitempty"`
}

// Isolation is what the canary found. It publishes markers in each tenant and
// looks for them in all others.
type Isolation struct {
	Proven    *time.Time `json:"proven"`    // end of the last round that found nothing wrong; null: none yet
	Tenants   int        `json:"tenants"`   // how many tenants that round published in
	Listening int        `json:"listening"` // how many tenants it listened in
	Leaks     int        `json:"leaks"`     // pairs of tenants with a leak, in the last hour
}

// Node is one node of the cluster.
type Node struct {
	ID       string    `json:"id"`
	Live     bool      `json:"live"`
	LastSeen time.Time `json:"lastSeen"`
	Revision uint64    `json:"revision"` // of the registry that its ingress has loaded
	Tenants  int       `json:"tenants"`  // doors open
	Version  string    `json:"version"`
	Leads    int       `json:"leads"`   // streams and consumers that it leads
	Clients  int       `json:"clients"` // connections of users, operators' excepted
	Used     uint64    `json:"used"`    // bytes of its store
	// Drained says that it is to have no clients and to lead nothing.
	Drained bool `json:"drained,omitempty"`
	// Behind is what of its replicas is not whole; null: nothing.
	Behind *BehindReplicas `json:"behind,omitempty"`
	// Probe is what came of its tries to publish through its own door; null: it has
	// not tried.
	Probe *Probe `json:"probe,omitempty"`
}

// BehindReplicas are those of a node that are not whole, or why it does not know.
type BehindReplicas struct {
	Count int      `json:"count"`
	Some  []string `json:"some"` // the first of them: TENANT/STREAM
	Why   string   `json:"why,omitempty"`
}

// String says which.
func (b *BehindReplicas) String() string {
	if b.Count == 0 {
		return b.Why
	}
	list := strings.Join(b.Some, ", ")
	if more := b.Count - len(b.Some); more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("%d of its replicas are behind: %s", b.Count, list)
}

// PrimaryState says when a primary last reported to the control plane.
type PrimaryState struct {
	ID       string    `json:"id"`
	LastSeen time.Time `json:"lastSeen"`
	Live     bool      `json:"live"`
	Version  string    `json:"version,omitempty"` // empty: one that does not report it
}

// reads are the verbs that change nothing, however often they are requested.
var reads = map[string]bool{
	TenantList: true, TenantSpec: true, TenantParts: true, TenantCheck: true, SpaceCheck: true, TenantStatus: true, UpgradeStatus: true, SiteList: true, PollerList: true, StreamList: true, ReplicaList: true, ReplicaVerifyVerb: true, SchemaList: true, NodeStatus: true,
	LimitList: true, AuditList: true, TokenList: true, SecretList: true, UserList: true, RotationList: true,
}

// firstAsk is how long a read waits for its first answer.
const firstAsk = 2 * time.Second

// Admin is the client of the admin service.
type Admin struct {
	nc    *nats.Conn
	name  string
	first time.Duration
}

// NewAdmin returns a client that asks as name, which must be the name of the
// connection's user.
func NewAdmin(nc *nats.Conn, name string) *Admin { return &Admin{nc: nc, name: name, first: firstAsk} }

// Do requests one verb. ctx must have a deadline. A verb that changes nothing
// is requested again when there is no answer for a while: the server hands a
// request to any node, also to one that hangs, and the next request probably
// goes to another one.
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
