package auditlog

import (
	"strings"
	"testing"

	"midplane/api"
	"midplane/platform/node"
	"midplane/platform/registry"
)

// A log that is filling up is shown before it loses anything, and what it lost is
// counted.
func TestAuditProblems(t *testing.T) {
	const size = 1000
	for _, x := range []struct {
		stream         node.Stream
		severity, says string
	}{
		{node.Stream{Name: registry.StreamAudit, Leader: "n1", First: 1, Bytes: 800, MaxBytes: size}, "", ""},
		{node.Stream{Name: registry.StreamAudit, Leader: "n1", Bytes: 0, MaxBytes: size}, "", ""},
		{node.Stream{Name: registry.StreamAudit, Leader: "n1", First: 1, Bytes: 810, MaxBytes: size}, "warning", "81 % full"},
		{node.Stream{Name: registry.StreamAudit, Leader: "n1", First: 43, Bytes: 990, MaxBytes: size}, "notice", "oldest 42 records"},
		{node.Stream{Name: registry.StreamAudit, First: 1, Bytes: 10, MaxBytes: size}, "critical", "no leader"},
		{node.Stream{Name: "KV_STATUS", First: 50, Bytes: 990, MaxBytes: size}, "", ""},
	} {
		got := api.ClusterFacts{Quorum: true, MetaLead: "n1", Audit: Facts([]node.Stream{x.stream})}.Problems()
		if x.says == "" && len(got) == 0 {
			continue
		}
		if len(got) != 1 || got[0].Severity != x.severity || !strings.Contains(got[0].Message, x.says) || got[0].Hint == "" {
			t.Errorf("%+v: %+v", x.stream, got)
		}
	}
}
