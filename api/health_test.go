package api

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midplane/event"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// well is an answer of a cluster of three nodes in which nothing is wrong.
func well() Facts {
	return Facts{
		Cluster: &ClusterStatus{Leader: "n1", MetaLead: "n1", Nodes: []Node{{ID: "n1", Live: true}, {ID: "n2", Live: true}, {ID: "n10", Live: true}}},
		Primary: &PrimaryReport{Name: "core-1", Tenants: []TenantReport{{Tenant: "acme", Reading: true, Streams: []StreamReport{{Stream: "EVENTS", Lag: BehindMany - 1}}}}},
	}
}

func codes(list []Problem) (out []string) {
	for _, p := range list {
		out = append(out, strings.Join(strings.Fields(string(p.Code)+" "+p.Tenant+" "+p.Subject), " "))
	}
	return out
}

// A node is found by its id: that n10 or n1 is mentioned in a text says
// nothing about n1.
func TestNodeIsFoundByItsID(t *testing.T) {
	f := well()
	f.Cluster.Nodes[0].Live = false
	f.Cluster.Problems = []Problem{
		{Severity: "warning", Message: "node n10: its disk is slow", Hint: "see its log"}, // an older node
		{Code: CodeNodeProblem, Scope: ScopeSystem, Severity: "error", Subject: "n2", Message: "node n2: no route to node n1", Hint: "see its log"},
	}
	want := []string{"node-down n1", "node-problem n2", "unspecified"}
	if diff := cmp.Diff(want, codes(Health(f))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	f.Cluster.Problems = append(f.Cluster.Problems, nodeDown(f.Cluster.Nodes[0]))
	if diff := cmp.Diff(want, codes(Health(f))); diff != "" {
		t.Errorf("named by the node itself (-want +got):\n%s", diff)
	}
}

func TestNothingIsWrong(t *testing.T) {
	if got := Health(well()); len(got) != 0 || got == nil {
		t.Errorf("%+v", got)
	}
	if got := (ClusterFacts{Quorum: true, MetaLead: "n1", Audit: &AuditFacts{Leader: "n1", Bytes: 80, MaxBytes: 100}}).Problems(); len(got) != 0 || got == nil {
		t.Errorf("%+v", got)
	}
}

// What a node without a quorum remembers of the others does not count, on
// either side: it knows that it is cut off, what is wrong with itself, and of which
// streams it sees no leader.
func TestNodeWithoutQuorumSpeaksOfItselfAlone(t *testing.T) {
	full := &Store{Limit: 100, Used: 99}
	nodes := []NodeFacts{{Node: Node{ID: "n1", Live: true}, Store: full}, {Node: Node{ID: "n2"}, Store: full}, {Node: Node{ID: "n3"}}}
	got := ClusterFacts{Node: "n1", Nodes: nodes, CutOff: []string{"n2", "n3"}, Primaries: []PrimaryState{{ID: "core-1"}}, Audit: &AuditFacts{},
		Isolation: IsolationFacts{Unproven: time.Hour}, Tenants: []TenantFacts{{ID: "acme", Streams: []StreamFacts{{Name: "STATE"}}}}}.Problems()
	f := well()
	f.Cluster.Problems, f.Cluster.Leader, f.Primary = got, "", nil
	for _, n := range nodes {
		f.Cluster.Nodes = append(f.Cluster.Nodes, n.Node)
	}
	for what, list := range map[string][]Problem{"node": got, "client": Health(f)} {
		if diff := cmp.Diff([]string{"no-quorum n1", "store-full n1", "stream-no-leader acme STATE"}, codes(list)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	if !strings.Contains(got[0].Message, "cut off from n2, n3") {
		t.Errorf("%q", got[0].Message)
	}
}

// newer is an upgrade that is not ended, and that these nodes hold up.
func newer(behind ...string) *Upgrade {
	target := Understands{Version: "0.2.0", Formats: Formats{FormatRegistry: 2}}
	running := []Running{{Kind: RunsNode, Name: "n1", Live: true, Understands: target}}
	for _, n := range behind {
		running = append(running, Running{Kind: RunsNode, Name: n, Understands: Understands{Version: "0.1.0"}})
	}
	u := NewUpgrade(Understands{}, target, running)
	return &u
}

// everything is a world in which everything is wrong at once, as far as it can be.
func everything() []Facts {
	late := noon.Add(time.Hour)
	cluster := ClusterFacts{
		Node: "n1", Quorum: true, Primaries: []PrimaryState{{ID: "core-2", LastSeen: noon}}, Audit: &AuditFacts{},
		Nodes: []NodeFacts{{Node: Node{ID: "n1", Live: true, Drained: true, Probe: &Probe{Failures: ProbeFailing, Since: &noon, Problem: "no answer"}, Behind: &BehindReplicas{Count: 2, Some: []string{"acme/STATE"}}}, Problem: "no route", Certificates: "client.crt ends soon", Unrecorded: 3,
			Store: &Store{Limit: 100, Used: 95}}, {Node: Node{ID: "n3", Live: true}, Store: &Store{Limit: 100, Used: 85}}, {Node: Node{ID: "n4", Live: true}, Store: &Store{Limit: 100, Used: 84}}, {Node: Node{ID: "n2", LastSeen: noon}, OutOfStorage: true}},
		Isolation: IsolationFacts{Leaks: []Leak{{"acme", "globex", noon}}, Unproven: time.Hour, Missing: []string{"acme"}},
		Upgrade:   newer("n2"),
		Replicas: []ReplicaFacts{{Tenant: "acme", Stream: "STATE", Node: "n2", Damage: ReplicaDamage{What: "1.blk at 12"}, Waits: "not all nodes answer"},
			{Stream: "AUDIT", Node: "n1", Repairing: true}},
		Tenants: []TenantFacts{
			{ID: "gone", Undeclared: true, Leaving: true, Unreadable: "x"},
			{ID: "newer", Undeclared: true, Unreadable: "unknown field"},
			{
				ID: "acme", Drift: &Drift{Parts: []string{"exports"}, At: noon}, Unset: []string{"north"},
				Conditions: []Condition{{Type: IngressOpen, Message: "the door is not open on n2"}, {Type: StreamsReady, OK: true}},
				Pollers: []Poller{{ID: "p1", Status: PollerOffline, LastSeen: &noon}, {ID: "p2", Status: PollerOnline, Problem: "no raw socket", Thinned: &Thinned{Samples: 12, Since: noon}, Overflow: &Overflow{Messages: 9, Since: noon}},
					{ID: "p3", Status: PollerOffline, LastSeen: &noon}, {ID: "p4", Status: PollerPending}},
				Held: []HeldProducer{{Producer: "p3", Held: Held{Limit: LimitTenantBytes, Since: noon}, ShutOut: &late},
					{Producer: "p4", Held: Held{Limit: LimitProducerMessages, Value: 5, Refused: 7, Waiting: 9, Since: noon}}},
				Streams: []StreamFacts{{Name: "STATE", Bytes: 90, MaxBytes: 100, Above: 80}, {Name: "DEAD", Stalled: &noon}},
			},
		},
	}
	one := well()
	one.Cluster.Leader, one.Cluster.Problems = "", append(cluster.Problems(), Problem{Severity: "warning", Message: "an older node says so"})
	one.Primary.Alarms = []event.Alarm{{Alarm: "gap", Source: "core-1", Stream: "EVENTS", Message: "12 to 14 are missing"}}
	one.Primary.Aside = []string{"primary.db.damaged-20260102T030405Z"}
	bad := Found{Count: 7, Names: []string{"r1", "r2"}}
	one.Primary.Tenants = append(one.Primary.Tenants, TenantReport{Tenant: "b", Problem: "the cursor is ahead", Streams: []StreamReport{{Stream: "STATE", Lag: BehindMany}, {Stream: "EVENTS", Waiting: &Waiting{From: 3, To: 9, Why: "n3 may have them"}}}},
		TenantReport{Tenant: "c", Sites: []SiteReport{{Site: "syd", Down: bad, Critical: bad, Warning: bad}}})
	two := well()
	two.Cluster.Problems = append(ClusterFacts{Quorum: true, MetaLead: "n1", Audit: &AuditFacts{Leader: "n1", Bytes: 99, MaxBytes: 100}}.Problems(),
		ClusterFacts{Quorum: true, MetaLead: "n1", Audit: &AuditFacts{Leader: "n1", Dropped: 4, MaxBytes: 100}, Upgrade: newer()}.Problems()...)
	ended := newer("n2")
	ended.Open = false
	three := well()
	three.Cluster.Problems = ClusterFacts{Quorum: true, MetaLead: "n1", Upgrade: ended}.Problems()
	four := well()
	four.Cluster.Problems = ClusterFacts{Node: "n1"}.Problems()
	return []Facts{one, two, three, four, {}}
}

// Every code of the table is produced, every code that is produced is in the
// table, and with the scope and severity that stand there.
func TestEveryCode(t *testing.T) {
	seen := map[Code]bool{}
	for _, f := range everything() {
		list := Health(f)
		for _, p := range list {
			seen[p.Code] = true
			r := p.Code.row()
			if r.Code != p.Code || r.Scope != p.Scope || string(r.Severity) != p.Severity {
				t.Errorf("%+v is not as the table has it: %+v", p, r)
			}
			if p.Message == "" || p.Hint == "" && p.Code != CodeUnspecified {
				t.Errorf("not whole: %+v", p)
			}
		}
		sorted := slices.Clone(list)
		SortProblems(sorted)
		if diff := cmp.Diff(sorted, list); diff != "" {
			t.Errorf("not in order:\n%s", diff)
		}
	}
	for _, r := range Codes {
		if !seen[r.Code] {
			t.Errorf("%s is never produced", r.Code)
		}
		if r.Meaning == "" || r.Do == "" || r.Severity.Level() < 0 || r.Scope != ScopeSystem && r.Scope != ScopeNetwork {
			t.Errorf("%s is not described", r.Code)
		}
	}
}

// Every constant of type Code has exactly one row.
func TestEveryCodeHasARow(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "codes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var consts []string
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == 1 {
			if lit, ok := v.Values[0].(*ast.BasicLit); ok {
				text, _ := strconv.Unquote(lit.Value)
				consts = append(consts, text)
			}
		}
		return true
	})
	var rows []string
	for _, r := range Codes {
		rows = append(rows, string(r.Code))
	}
	slices.Sort(consts)
	slices.Sort(rows)
	if diff := cmp.Diff(consts, rows); diff != "" || len(rows) == 0 {
		t.Errorf("constants and rows (-consts +rows):\n%s", diff)
	}
}

// One tenant's problems name the subject, and a producer that is shut out is
// not also called offline.
func TestProblemsOfATenant(t *testing.T) {
	var got []string
	for _, p := range everything()[0].Cluster.Problems {
		if p.Tenant == "acme" {
			got = append(got, string(p.Code)+" "+p.Subject)
		}
	}
	want := []string{"account-drift ", "replica-diverged STATE/n2", "stream-no-leader STATE", "stream-stalled DEAD", "outbox-full p2", "poller-offline p1", "producer-shut-out p3", "stream-filling STATE",
		"metrics-thinned p2", "poller-problem p2", "producer-held-back p4", "secret-not-set north", "tenant-not-ready IngressOpen"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A tenant that is shown a leak does not learn whose message it was.
func TestLeakDoesNotNameTheOther(t *testing.T) {
	for _, p := range everything()[0].Cluster.Problems {
		if p.Code == CodeIsolationBroken && p.Tenant != "" && strings.Contains(p.Subject+p.Message+p.Hint, "acme") {
			t.Errorf("%+v", p)
		}
	}
}

func TestFailing(t *testing.T) {
	of := func(scope Scope, sev event.Severity) []Problem {
		return []Problem{{Scope: scope, Severity: string(sev)}}
	}
	for _, x := range []struct {
		list        []Problem
		system, all bool
	}{
		{nil, false, false},
		{of(ScopeSystem, event.Notice), false, false},
		{of(ScopeSystem, event.Warning), true, true},
		{of(ScopeSystem, event.Critical), true, true},
		{of(ScopeNetwork, event.Error), false, true},
		{of(ScopeNetwork, event.Info), false, false},
		{of(ScopeSystem, "strange"), true, true},
	} {
		if got := Failing(x.list, ScopeSystem); got != x.system {
			t.Errorf("%+v: system %v", x.list, got)
		}
		if got := Failing(x.list, ScopeSystem, ScopeNetwork); got != x.all {
			t.Errorf("%+v: all %v", x.list, got)
		}
	}
}
