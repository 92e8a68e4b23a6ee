package shell

import (
	"os"
	"path/filepath"
)

// StateDir is where data is kept when no --data says otherwise.
func StateDir(elem ...string) string {
	base := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(base) {
		home, err := os.UserHomeDir()
		if err != nil {
			home = "."
		}
		base = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(append([]string{base, "midplane"}, elem...)...)
}
