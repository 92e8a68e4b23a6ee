package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"midplane/cmd/midplane/shell"
)

// newExitCodesTopic is a topic of the help, not a command: it runs nothing.
func newExitCodesTopic() *cobra.Command {
	var b strings.Builder
	b.WriteString("Every command ends with one of these codes. Scripts may rely on them.\n\n")
	b.WriteString("  code  class        meaning\n")
	for _, row := range shell.ExitCodes() {
		kind := string(row.Kind)
		if kind == "" {
			kind = "-"
		}
		fmt.Fprintf(&b, "  %-4d  %-11s  %s\n", row.Code, kind, row.Meaning)
	}
	b.WriteString(`  130   -            stopped by Ctrl-C (143: by SIGTERM); a server that stops cleanly ends with 0

Two commands have a say of their own:
  midplane diff            0 nothing to do, 1 there are differences, above 1 an error
  midplane status --check  0 all is well, 1 Midplane has a problem (--check=all: or the network), above 1 an error

An error is printed on standard error as "error: …" with "hint: …" below it.
With -o json the last line of standard error is also an object for programs:
  {"error":{"code":"not-found","message":"…","hint":"…"}}`)
	return &cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: b.String()}
}
