package change

import (
	"fmt"

	"midplane/cmd/midplane/shell/output"
	"midplane/tenants"
)

// warn names what a tenant's file allows and its author may not expect.
func warn(out *output.Output, spec *tenants.Spec) {
	for _, w := range spec.Warnings() {
		fmt.Fprintf(out.Stderr, "warning: tenant %s: %s\n", spec.ID, w)
	}
}
