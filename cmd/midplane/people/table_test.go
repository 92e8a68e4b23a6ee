package people

import (
	"testing"

	"midplane/cmd/midplane/shell/output/outputtest"
)

// With any values, the tables fit 80 columns, and what a thing is called stays.
func TestTablesFitEightyColumns(t *testing.T) {
	outputtest.Fits(t, tokenColumns, "ID", "Tenant", "Poller", "Status")
	outputtest.Fits(t, userColumns, "Tenant", "Name", "Role", "Status")
}
