package look

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/cmd/midplane/shell/output"
)

// Two nodes that are down are one line at the top, and the streams that have no leader
// therefore are folded under it.
func TestTwoDeadNodesAreOneLine(t *testing.T) {
	of := func(code api.Code, severity, tenant, subject, message string) api.Problem {
		return api.Problem{Code: code, Scope: api.ScopeSystem, Severity: severity, Tenant: tenant, Subject: subject, Message: message, Hint: "do it"}
	}
	list := []api.Problem{of(api.CodeSecretNotSet, "warning", "acme", "s", "secret:s is not set")}
	for i := range 11 {
		name := fmt.Sprint("S", i)
		list = append(list, of(api.CodeStreamNoLeader, "critical", "acme", name, "stream "+name+" has no leader"))
	}
	list = append(list, of(api.CodeNodeDown, "critical", "", "n5", "node n5 is not live"), of(api.CodeNodeDown, "critical", "", "n4", "node n4 is not live"),
		of(api.CodeNoLeader, "critical", "", "", "no leader"))
	api.FindCauses(list)
	const top = `
15 problems:
  critical: node n4 is not live; node n5 is not live (node-down)
      → do it
`
	const end = `  warning: tenant acme: secret:s is not set (secret-not-set)
      → do it
`
	folded := top + "      12 more follow from this: no-leader, 11 × stream-no-leader (-v shows all)\n" + end
	whole := top + "      12 more follow from this:\n      critical: no leader (no-leader)\n          → do it\n"
	for _, i := range []int{0, 1, 10, 2, 3, 4, 5, 6, 7, 8, 9} {
		whole += fmt.Sprintf("      critical: tenant acme: stream S%d has no leader (stream-no-leader)\n          → do it\n", i)
	}
	whole += end
	for want, all := range map[string]bool{folded: false, whole: true} {
		var got bytes.Buffer
		printProblems(&output.Output{Stdout: &got}, list, all)
		if diff := cmp.Diff(want, got.String()); diff != "" {
			t.Errorf("all %v (-want +got):\n%s", all, diff)
		}
	}
}
