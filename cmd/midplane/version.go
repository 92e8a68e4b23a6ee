package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build says what this binary was made from.
type build struct {
	Version  string `json:"version"`  // of the module; "(devel)" outside a release
	Revision string `json:"revision"` // of the source
	Time     string `json:"time"`     // of that revision, RFC 3339
	Modified bool   `json:"modified"` // the source had changes on top of it
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// readBuild returns what the compiler has put into the binary.
func readBuild() build {
	b := build{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
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

func newVersionCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  midplane version -o json",
		Args:    args(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			b := readBuild()
			if a.format.machine() {
				return a.print(b)
			}
			fmt.Fprintf(a.stdout, "midplane %s\n", b.Version)
			if b.Revision != "" {
				fmt.Fprintf(a.stdout, "revision %s of %s\n", b.Revision, b.Time)
			}
			fmt.Fprintf(a.stdout, "built with %s for %s\n", b.Go, b.Platform)
			return nil
		},
	}
}
