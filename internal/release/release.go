// Package release names the releases that this version has to work beside and
// take over from, and brings the source of one of them out of the repository's
// history, for tests. The golden folder (testdata/<version>) has what each
// release stored and sent.
package release

import (
	"bytes"
	"context"
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"midplane/fault"
)

//go:embed releases.txt
var list string

// Release is a version and the commit that it was built from.
type Release struct{ Version, Commit string }

// All returns the releases, oldest first.
func All() (out []Release) {
	for line := range strings.Lines(list) {
		if f := strings.Fields(line); len(f) == 2 && f[0] != "#" {
			out = append(out, Release{Version: f[0], Commit: f[1]})
		}
	}
	return out
}

// Last returns the newest release.
func Last() Release {
	all := All()
	return all[len(all)-1]
}

// Missing says what to do when the commit is not in the clone at repo, nil when
// it is one of HEAD's ancestors.
func (r Release) Missing(ctx context.Context, repo string) error {
	if _, err := git(ctx, repo, "cat-file", "-e", r.Commit+"^{commit}"); err != nil {
		return fault.WithHint(fault.Wrap(fault.NotFound, err, "commit %s (%s) is not in this clone", r.Commit, r.Version), "fetch the whole history: git fetch --unshallow")
	}
	if _, err := git(ctx, repo, "merge-base", "--is-ancestor", r.Commit, "HEAD"); err != nil {
		return fault.Wrap(fault.Invalid, err, "commit %s (%s) is not an ancestor of HEAD", r.Commit, r.Version)
	}
	return nil
}

// Build writes the release's source into dir, builds the program there and
// returns its path.
func (r Release) Build(ctx context.Context, repo, dir string) (string, error) {
	if err := r.Missing(ctx, repo); err != nil {
		return "", err
	}
	archive := filepath.Join(dir, "source.tar")
	source := filepath.Join(dir, "source")
	if err := os.MkdirAll(source, 0o755); err != nil {
		return "", err
	}
	if _, err := git(ctx, repo, "archive", "--output", archive, r.Commit); err != nil {
		return "", fault.Wrap(fault.Other, err, "source of %s", r.Version)
	}
	if _, err := output(exec.CommandContext(ctx, "tar", "-xf", archive, "-C", source)); err != nil {
		return "", fault.Wrap(fault.Other, err, "source of %s", r.Version)
	}
	bin := filepath.Join(dir, "midplane-"+r.Version)
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", bin, "./cmd/midplane")
	build.Dir, build.Env = source, append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if _, err := output(build); err != nil {
		return "", fault.Wrap(fault.Other, err, "build %s", r.Version)
	}
	return bin, nil
}

func git(ctx context.Context, repo string, args ...string) (string, error) {
	return output(exec.CommandContext(ctx, "git", append([]string{"-C", repo}, args...)...))
}

// output runs cmd; its error holds what the program wrote.
func output(cmd *exec.Cmd) (string, error) {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fault.New(fault.Other, "%s: %w: %s", filepath.Base(cmd.Path), err, bytes.TrimSpace(out))
	}
	return string(out), nil
}
