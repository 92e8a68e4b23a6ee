package api

import (
	"fmt"
	"strings"
	"time"
)

// ClusterFacts are what a node of the control plane sees. Problems decides what
// of it is wrong.
type ClusterFacts struct {
	Node      string   // the node that collected these facts
	Quorum    bool     // whether that node could store its own presence lately
	CutOff    []string // other nodes that it hears nothing of; known only without a quorum
	MetaLead  string   // the meta leader of JetStream
	Nodes     []NodeFacts
	Primaries []PrimaryState
	Audit     *AuditFacts // nil: this node has no replica of the audit log
	Isolation IsolationFacts
	Tenants   []TenantFacts
	Upgrade   *Upgrade // nil: not known
	Replicas  []ReplicaFacts
}

// NodeFacts are of one node.
type NodeFacts struct {
	Node
	Problem      string // as the node reports itself
	Certificates string // what is wrong with its certificates
	Unrecorded   int64  // records of acts that it could not store in the audit log
	Store        *Store // nil: not known
	OutOfStorage bool   // it could not write to its disk when it ended
}

// AuditFacts are what a node sees of the audit log.
type AuditFacts struct {
	Leader   string
	Dropped  uint64 // how many of the oldest records were dropped for room
	Bytes    uint64
	MaxBytes int64 // 0: no limit
}

// IsolationFacts are what the canary found.
type IsolationFacts struct {
	Leaks    []Leak
	Unproven time.Duration // since the last proof, when that is too long; 0 otherwise
	Missing  []string      // tenants whose own marker did not come back
}

// Leak is a message of one tenant that was seen in another.
type Leak struct {
	From, In string
	At       time.Time
}

// auditWarns is how full the audit log may be before it is a problem, in percent.
const auditWarns = 80

// Problems returns what is wrong, most urgent first. It is pure.
func (f ClusterFacts) Problems() []Problem {
	out := []Problem{}
	if !f.Quorum {
		return f.cutOff()
	}
	for _, n := range f.Nodes {
		out = append(out, n.problems()...)
	}
	for _, p := range f.Primaries {
		if !p.Live {
			out = append(out, wrong(CodePrimarySilent, "", p.ID, "start it, or forget it with: midplane primary forget "+p.ID+" --yes",
				"primary %s is silent since %s; nothing it has not read can be trimmed", p.ID, stamp(p.LastSeen)))
		}
	}
	out = append(out, f.Upgrade.problems()...)
	if f.MetaLead == "" {
		out = append(out, wrong(CodeNoMetaLeader, "", "", "", "JetStream has no meta leader"))
	}
	for _, r := range f.Replicas {
		out = append(out, r.problem())
	}
	out = append(out, f.Audit.problems()...)
	out = append(out, f.Isolation.problems()...)
	for _, t := range f.Tenants {
		out = append(out, t.problems()...)
	}
	SortProblems(out)
	return out
}

// cutOff is what a node knows that can store nothing: that, what is wrong with
// itself, and which streams it sees no leader of. All else that it has of the others
// is old.
func (f ClusterFacts) cutOff() []Problem {
	out := []Problem{}
	if len(f.CutOff) == 0 {
		out = append(out, wrong(CodeNoQuorum, "", f.Node, "", "the registry takes no writes: node %s is without a quorum", f.Node))
	} else {
		out = append(out, wrong(CodeNoQuorum, "", f.Node, "", "this node, %s, is cut off from %s: they are down or it does not reach them, and it can store nothing", f.Node, strings.Join(f.CutOff, ", ")))
	}
	for _, n := range f.Nodes {
		if n.ID == f.Node {
			out = append(out, n.problems()...)
		}
	}
	for _, t := range f.Tenants {
		for _, s := range t.Streams {
			if s.Leader == "" { // on the other side there may be one
				out = append(out, wrong(CodeStreamNoLeader, t.ID, s.Name, "", "node %s sees no leader of stream %s", f.Node, s.Name))
			}
		}
	}
	SortProblems(out)
	return out
}

func (n NodeFacts) problems() (out []Problem) {
	if n.OutOfStorage {
		out = append(out, wrong(CodeOutOfStorage, "", n.ID, "", "node %s cannot write to its disk: it has ended, and its replicas with it", n.ID))
	}
	if !n.Live {
		return append(out, nodeDown(n.Node))
	}
	if n.Behind != nil {
		out = append(out, wrong(CodeNodeBehind, "", n.ID, "", "node %s: %s", n.ID, n.Behind))
	}
	if n.Drained {
		out = append(out, wrong(CodeNodeDrained, "", n.ID, "stop it, or take it back with: midplane node undrain "+n.ID, "node %s is drained: it has %d clients and leads %d streams and consumers", n.ID, n.Clients, n.Leads))
	}
	if n.Problem != "" {
		out = append(out, wrong(CodeNodeProblem, "", n.ID, "", "node %s: %s", n.ID, n.Problem))
	}
	if n.Unrecorded > 0 {
		out = append(out, wrong(CodeAuditUnwritten, "", n.ID, "", "node %s: %s", n.ID, Unrecorded(n.Unrecorded)))
	}
	if n.Certificates != "" {
		out = append(out, wrong(CodeCertificateEnds, "", n.ID, "", "certificates of node %s: %s", n.ID, n.Certificates))
	}
	out = append(out, n.Probe.problem(n.ID)...)
	return append(out, n.Store.problem(n.ID)...)
}

// storeWarns is how full a node's store may be before it is a problem, in percent.
const storeWarns = 85

// problem says that a node's store is nearly full.
func (s *Store) problem(node string) (out []Problem) {
	switch {
	case s == nil || !s.Above(storeWarns/100.):
	case s.Full():
		out = append(out, wrong(CodeStoreFull, "", node, "", "the store of node %s is %d %% full: nothing of tenants is taken", node, s.Used*100/s.Limit))
	default:
		out = append(out, wrong(CodeStoreFilling, "", node, "", "the store of node %s is %d %% full; from %d %% on nothing of tenants is taken", node, s.Used*100/s.Limit, StoreFull))
	}
	return out
}

func nodeDown(n Node) Problem {
	return wrong(CodeNodeDown, "", n.ID, "", "node %s is not live since %s", n.ID, stamp(n.LastSeen))
}

// Unrecorded says that n records are missing in the audit log; "" for none.
func Unrecorded(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d records of acts could not be stored in the audit log; they are in this node's log", n)
}

func (a *AuditFacts) problems() (out []Problem) {
	switch {
	case a == nil:
	case a.Leader == "":
		out = append(out, wrong(CodeAuditNoLeader, "", "", "", "the audit log has no leader: nothing that changes anything is accepted"))
	case a.MaxBytes > 0 && a.Dropped > 0:
		out = append(out, wrong(CodeAuditDropped, "", "", "", "the audit log is full: its oldest %d records were dropped for room", a.Dropped))
	case a.MaxBytes > 0 && a.Bytes*100 > uint64(a.MaxBytes)*auditWarns:
		out = append(out, wrong(CodeAuditFilling, "", "", "", "the audit log is %d %% full; at 100 %% its oldest records are dropped", a.Bytes*100/uint64(a.MaxBytes)))
	}
	return out
}

func (f IsolationFacts) problems() (out []Problem) {
	for _, l := range f.Leaks {
		// Two problems: a viewer of one tenant must not learn of the other.
		out = append(out,
			wrong(CodeIsolationBroken, "", l.From+"/"+l.In, "", "isolation is broken: a message of tenant %s was seen in tenant %s at %s", l.From, l.In, stamp(l.At)),
			wrong(CodeIsolationBroken, l.In, "", "see the problems of the whole cluster", "a message of another account was seen in this one at %s", stamp(l.At)))
	}
	if f.Unproven > 0 {
		message := fmt.Sprintf("isolation of tenants has not been proven for %s", f.Unproven.Round(time.Second))
		if len(f.Missing) > 0 {
			message += "; no marker came back in " + strings.Join(f.Missing[:min(5, len(f.Missing))], ", ")
		}
		out = append(out, wrong(CodeIsolationUnproven, "", "", "", "%s", message))
	}
	return out
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
