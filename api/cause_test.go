package api

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"midplane/event"
)

// No code follows from itself, however far one goes, and a cause is never less urgent
// than what follows from it: what is at the top is the most urgent.
func TestRulesLeadToARoot(t *testing.T) {
	from := map[Code][]Code{}
	for _, r := range rules {
		p, cause := r.code.row(), r.from.row()
		if p.Code != r.code || cause.Code != r.from {
			t.Errorf("%s from %s: not both in the table", r.code, r.from)
		}
		if cause.Severity.Level() > p.Severity.Level() {
			t.Errorf("%s is more urgent than its cause %s", r.code, r.from)
		}
		from[r.code] = append(from[r.code], r.from)
	}
	var walk func(c Code, path []Code)
	walk = func(c Code, path []Code) {
		if slices.Contains(path, c) {
			t.Fatalf("%s follows from itself: %s", c, path)
		}
		for _, next := range from[c] {
			walk(next, append(slices.Clone(path), c))
		}
	}
	for c := range from {
		walk(c, nil)
	}
}

// leaderless are the facts of some tenants whose streams have no leader.
func leaderless(tenants ...string) (out []TenantFacts) {
	for _, id := range tenants {
		t := TenantFacts{ID: id}
		for _, k := range event.Kinds {
			t.Streams = append(t.Streams, StreamFacts{Name: k.Stream()})
		}
		out = append(out, t)
	}
	return out
}

func TestCauses(t *testing.T) {
	up := func(id string) NodeFacts { return NodeFacts{Node: Node{ID: id, Live: true}} }
	down := func(id string) NodeFacts { return NodeFacts{Node: Node{ID: id, LastSeen: noon}} }
	oneLeaderless := []TenantFacts{{ID: "acme", Streams: []StreamFacts{{Name: "STATE"}}, Conditions: []Condition{{Type: StreamsReady, Message: "no answer"}, {Type: IngressOpen, Message: "closed"}},
		Pollers: []Poller{{ID: "p1", Status: PollerOnline, Overflow: &Overflow{Messages: 1, Since: noon}}}}}
	behind := up("n2")
	behind.Behind = &BehindReplicas{Count: 1, Some: []string{"acme/STATE"}}
	full := up("n2")
	full.Behind, full.Store = behind.Behind, &Store{Limit: 100, Used: 99}
	for what, x := range map[string]struct {
		cluster ClusterFacts
		primary *PrimaryReport // nil: the one of well
		none    bool           // no primary answers
		want    []string       // "code subject", and what it follows from
	}{
		"two of five nodes are down": {cluster: ClusterFacts{Quorum: true, MetaLead: "n1", Nodes: []NodeFacts{up("n1"), up("n2"), up("n3"), down("n4"), down("n5")}, Tenants: leaderless("a", "b")[:1]},
			want: []string{"node-down n4", "node-down n5",
				"stream-no-leader a DEAD < node-down n4", "stream-no-leader a EVENTS < node-down n4", "stream-no-leader a METRICS < node-down n4", "stream-no-leader a STATE < node-down n4"}},
		"two of three nodes are down": {cluster: ClusterFacts{Node: "n1", CutOff: []string{"n2", "n3"}, Nodes: []NodeFacts{up("n1"), down("n2"), down("n3")}, Tenants: leaderless("a")}, none: true,
			want: []string{"no-quorum n1",
				"stream-no-leader a DEAD < no-quorum n1", "stream-no-leader a EVENTS < no-quorum n1", "stream-no-leader a METRICS < no-quorum n1", "stream-no-leader a STATE < no-quorum n1"}},
		"a stream has no leader, and nothing says why": {cluster: ClusterFacts{Quorum: true, MetaLead: "n1", Nodes: []NodeFacts{up("n1")}, Tenants: oneLeaderless},
			want: []string{"stream-no-leader acme STATE", "tenant-not-ready acme IngressOpen", "outbox-full acme p1 < stream-no-leader acme STATE", "tenant-not-ready acme StreamsReady < stream-no-leader acme STATE"}},
		"no meta leader since a node is down": {cluster: ClusterFacts{Quorum: true, Nodes: []NodeFacts{up("n1"), down("n3")}, Audit: &AuditFacts{}},
			want: []string{"node-down n3", "audit-no-leader < node-down n3", "no-meta-leader < node-down n3"}},
		"a damaged replica is taken over": {cluster: ClusterFacts{Quorum: true, MetaLead: "n1", Nodes: []NodeFacts{behind}, Replicas: []ReplicaFacts{{Tenant: "acme", Stream: "STATE", Node: "n2", Repairing: true}}},
			want: []string{"replica-repairing acme STATE/n2", "node-behind n2 < replica-repairing acme STATE/n2"}},
		"another node's replica is": {cluster: ClusterFacts{Quorum: true, MetaLead: "n1", Nodes: []NodeFacts{behind}, Replicas: []ReplicaFacts{{Tenant: "acme", Stream: "STATE", Node: "n22", Repairing: true}}},
			want: []string{"node-behind n2", "replica-repairing acme STATE/n22"}},
		"a node's disk takes nothing": {cluster: ClusterFacts{Quorum: true, MetaLead: "n1", Nodes: []NodeFacts{up("n1"), {Node: Node{ID: "n3", LastSeen: noon}, OutOfStorage: true}}, Audit: &AuditFacts{}},
			want: []string{"out-of-storage n3", "audit-no-leader < node-down n3", "node-down n3 < out-of-storage n3"}},
		"a stream has halted, and a node is down later": {cluster: ClusterFacts{Quorum: true, MetaLead: "n1", Nodes: []NodeFacts{up("n1"), down("n3")},
			Tenants: []TenantFacts{{ID: "acme", Streams: []StreamFacts{{Name: "STATE", Stalled: &noon}, {Name: "EVENTS"}}, Conditions: []Condition{{Type: StreamsReady}}}}},
			want: []string{"node-down n3", "stream-stalled acme STATE", "stream-no-leader acme EVENTS < node-down n3", "tenant-not-ready acme StreamsReady < stream-no-leader acme EVENTS"}},
		"a node's store is full": {cluster: ClusterFacts{Quorum: true, MetaLead: "n1", Nodes: []NodeFacts{full}},
			want: []string{"store-full n2", "node-behind n2 < store-full n2"}},
		"a primary is away": {cluster: ClusterFacts{Quorum: true, MetaLead: "n1", Primaries: []PrimaryState{{ID: "core-2", LastSeen: noon}},
			Tenants: []TenantFacts{{ID: "acme", Streams: []StreamFacts{{Name: "METRICS", Leader: "n1", Bytes: 99, MaxBytes: 100, Above: 80}},
				Pollers: []Poller{{ID: "p1", Status: PollerOnline, Thinned: &Thinned{Samples: 1, Since: noon}}}}}},
			want: []string{"primary-silent core-2", "stream-filling acme METRICS < primary-silent core-2", "metrics-thinned acme p1 < stream-filling acme METRICS"}},
		"a primary waits for what a damaged replica lacks": {cluster: ClusterFacts{Quorum: true, MetaLead: "n1", Replicas: []ReplicaFacts{{Tenant: "acme", Stream: "EVENTS", Node: "n1"}}},
			primary: &PrimaryReport{Name: "core-1", Tenants: []TenantReport{{Tenant: "acme", Streams: []StreamReport{{Stream: "EVENTS", Lag: BehindMany, Waiting: &Waiting{From: 1, To: 2}}}}}},
			want:    []string{"replica-diverged acme EVENTS/n1", "primary-waits acme EVENTS < replica-diverged acme EVENTS/n1", "primary-behind acme EVENTS < primary-waits acme EVENTS"}},
	} {
		t.Run(what, func(t *testing.T) {
			f := well()
			f.Cluster.Nodes, f.Cluster.MetaLead, f.Cluster.Problems = nil, x.cluster.MetaLead, x.cluster.Problems()
			if x.none {
				f.Primary = nil
			} else if x.primary != nil {
				f.Primary = x.primary
			}
			var got []string
			for i, line := range codes(Health(f)) {
				if c := Health(f)[i].Cause; c != nil {
					line += " < " + strings.Join(strings.Fields(fmt.Sprint(c.Code, " ", c.Tenant, " ", c.Subject)), " ")
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(x.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Everything that follows is folded under its root, however far that is, and nothing
// is left out.
func TestRoots(t *testing.T) {
	f := well()
	f.Cluster.Problems = ClusterFacts{Quorum: true, MetaLead: "n1", Nodes: []NodeFacts{{Node: Node{ID: "n4"}}, {Node: Node{ID: "n5"}}},
		Tenants: append(leaderless("a", "b", "c"), TenantFacts{ID: "a", Conditions: []Condition{{Type: StreamsReady}}}, TenantFacts{ID: "a", Unset: []string{"s"}})}.Problems()
	list := Health(f)
	roots := Roots(list)
	var got []string
	n := 0
	for _, r := range roots {
		got = append(got, fmt.Sprint(r.Code, " ", r.Subject, " ", len(r.Follows)))
		n += 1 + len(r.Follows)
	}
	if diff := cmp.Diff([]string{"node-down n4 13", "node-down n5 0", "secret-not-set s 0"}, got); diff != "" || n != len(list) {
		t.Errorf("%d of %d (-want +got):\n%s", n, len(list), diff)
	}
	strange := []Problem{{Code: "a", Cause: &ProblemRef{Code: "b"}}, {Code: "b", Cause: &ProblemRef{Code: "a"}}, {Code: "c", Cause: &ProblemRef{Code: "d"}}}
	if got := Roots(strange); len(got) != len(strange) {
		t.Errorf("causes that are not there, or in a circle: %+v", got)
	}
}
