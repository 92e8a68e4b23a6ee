package release_test

import (
	"os/exec"
	"strings"
	"testing"

	"midplane/fault"
	"midplane/internal/release"
)

func TestReleasesAreAncestors(t *testing.T) {
	if len(release.All()) == 0 || release.All()[0].Version != "v0.1.0" {
		t.Fatalf("releases: %v", release.All())
	}
	for _, r := range release.All() {
		if err := r.Missing(t.Context(), "../.."); err != nil {
			t.Errorf("%v; %s", err, fault.HintOf(err))
		}
	}
}

// A clone without history is another case than one with another history.
func TestAShallowCloneIsNamedAsSuch(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{{"init", "-q"}, {"-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "-q", "--allow-empty", "-m", "x"}} {
		if out, err := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	err := release.Last().Missing(t.Context(), dir)
	if !fault.Is(err, fault.NotFound) || !strings.Contains(fault.HintOf(err), "git fetch --unshallow") {
		t.Errorf("%v; hint %q", err, fault.HintOf(err))
	}
}
