package look

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/cmd/midplane/shell/output"
	"midplane/cmd/midplane/shell/output/outputtest"
)

// With any values, every kind fits 80 columns, and what a thing is called
// stays.
func TestTablesFitEightyColumns(t *testing.T) {
	outputtest.Fits(t, tenantsKind.columns, "Tenant", "Ready", "Missing")
	outputtest.Fits(t, sitesKind.columns, "Tenant", "Site")
	outputtest.Fits(t, pollersKind.columns, "Tenant", "Site", "Poller", "Status", "Problem")
	outputtest.Fits(t, devicesKind.columns, "Tenant", "Site", "Device", "Status", "Message")
	outputtest.Fits(t, interfacesKind.columns, "Tenant", "Site", "Device", "Name", "Status")
	outputtest.Fits(t, checksKind.columns, "Tenant", "Site", "Device", "Check", "Status", "Message")
	outputtest.Fits(t, eventColumns, "Time", "Entity", "Message")
	outputtest.Fits(t, streamsKind.columns, "Tenant", "Stream", "Full", "Held by")
	outputtest.Fits(t, ledgerKind.columns, "Tenant", "Producer", "Stream", "Missing")
	outputtest.Fits(t, limitsKind.columns, "Tenant", "Producer", "Limit")
	outputtest.Fits(t, schemasKind.columns, "Tenant", "Type", "Kind")
	outputtest.Fits(t, auditColumns, "Time", "Who", "Verb", "Target", "Result")
}

// What fits is left as it is; then long texts are shortened, then columns go.
func TestWhatANarrowTableLeavesOut(t *testing.T) {
	rows := []api.Device{{Tenant: "acme", Site: "syd", ID: "r1", Address: "192.0.2.1", Name: "router", Status: "down",
		Message: "no answer to any of three tries within two seconds"}}
	draw := func(columns string) string {
		t.Setenv("COLUMNS", columns)
		return output.Table(&output.Output{Format: output.TableFormat}, "1 device", rows, devicesKind.columns)
	}
	for columns, want := range map[string]string{
		"150": "│ acme   │ syd  │ r1     │ 192.0.2.1 │ router │ down   │   - │    - │ no answer to any of three tries within two seconds │",
		"120": "│ acme   │ syd  │ r1     │ 192.0.2.1 │ router │ down   │   - │    - │ no answer to any of three tries within two seco… │",
		"90":  "│ acme   │ syd  │ r1     │ 192.0.2.1 │ router │ down   │   - │ no answer to any of thre… │",
		"60":  "│ acme   │ syd  │ r1     │ down   │ no answer to any of t… │",
	} {
		lines := strings.Split(draw(columns), "\n")
		if got := lines[len(lines)-2]; got != want {
			t.Errorf("%s: %s", columns, cmp.Diff(want, got))
		}
	}
}
