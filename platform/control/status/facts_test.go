package status

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/platform/registry"
)

// A node with a trouble of its own that could not record acts either says both;
// what it repeats in its problem for older nodes is named once; and what an
// older node says there is shown as it is.
func TestNodeSaysEveryTrouble(t *testing.T) {
	for what, x := range map[string]struct {
		presence registry.Presence
		want     []api.Code
	}{
		"nothing":               {registry.Presence{}, []api.Code{}},
		"both":                  {registry.Presence{Problem: "no meta leader here", Unrecorded: 3}, []api.Code{api.CodeAuditUnwritten, api.CodeNodeProblem}},
		"acts are not recorded": {registry.Presence{Problem: api.Unrecorded(3), Unrecorded: 3}, []api.Code{api.CodeAuditUnwritten}},
		"an older node's acts":  {registry.Presence{Problem: api.Unrecorded(3)}, []api.Code{api.CodeNodeProblem}},
		"a certificate":         {registry.Presence{Certificates: "client.crt ends soon"}, []api.Code{api.CodeCertificateEnds}},
	} {
		f := api.ClusterFacts{Quorum: true, MetaLead: "n1", Nodes: []api.NodeFacts{nodeFacts("n1", true, registry.Seen[registry.Presence]{Value: x.presence, Seen: time.Now()})}}
		got := []api.Code{}
		for _, p := range f.Problems() {
			if p.Subject != "n1" {
				t.Errorf("%s: %+v", what, p)
			}
			got = append(got, p.Code)
		}
		if diff := cmp.Diff(x.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
}
