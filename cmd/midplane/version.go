package main

import (
	_ "embed"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"midplane/cmd/midplane/shell"
)

// version is this source's, tagged or not; CHANGELOG.md says what is in it.
//
//go:embed version.txt
var version string

// build says what this binary was made from.
type build struct {
	Version  string `json:"version"`  // of the source; "-dev" is in that of no release
	Revision string `json:"revision"` // of the source
	Time     string `json:"time"`     // of that revision, RFC 3339
	Modified bool   `json:"modified"` // the source had changes on top of it
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// readBuild returns what the compiler has put into the binary.
func readBuild() build {
	b := build{Version: strings.TrimSpace(version), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func newVersionCmd(sh *shell.Shell) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  midplane version -o json",
		Args:    shell.Args(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			b := readBuild()
			if sh.Out.Machine() {
				return sh.Out.Print(b)
			}
			fmt.Fprintf(sh.Out.Stdout, "midplane %s\n", b.Version)
			if b.Revision != "" {
				fmt.Fprintf(sh.Out.Stdout, "revision %s of %s\n", b.Revision, b.Time)
			}
			fmt.Fprintf(sh.Out.Stdout, "built with %s for %s\n", b.Go, b.Platform)
			return nil
		},
	}
}
