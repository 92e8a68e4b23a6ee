package lint

import (
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// decisions are packages that decide and nothing else, with the packages of this
// module that they may import: what they import is part of what they need.
var decisions = map[string][]string{
	"platform/ingress/admit": {"event", "schemas", "subject", "tenants/account"},
}

// connecting are the libraries that no decision may be linked with, directly or
// through what it imports.
var connecting = []string{"github.com/nats-io/nats.go", "github.com/nats-io/nats-server", "net/http", "crypto/tls", "database/sql"}

// clock is what of package time depends on when it is called.
var clock = []string{"time.Now", "time.Since", "time.Until", "time.Sleep", "time.After", "time.AfterFunc", "time.Tick", "time.NewTicker", "time.NewTimer"}

// A decision has no clock, no network and no connection: it is given what it
// needs, so that every front may use it and every answer can be tested.
func TestDecisionsArePure(t *testing.T) {
	code := func(file, dir string) bool { return decisions[dir] != nil && !isTest(file) }
	goFiles(t, func(file, dir string) {
		if !code(file, dir) {
			return
		}
		_, f := parsed(t, file)
		for _, imp := range f.Imports {
			p, _ := strconv.Unquote(imp.Path.Value)
			if to, ours := strings.CutPrefix(p, module); ours && !slices.Contains(decisions[dir], to) {
				t.Errorf("%s imports %s; a decision of %s imports only %v", file, to, dir, decisions[dir])
			}
			if p == "net" || p == "os" || p == "log/slog" || p == "sync" {
				t.Errorf("%s imports %s: a decision is pure", file, p)
			}
		}
	})
	eachNode(t, code, func(n node) {
		if name, ok := called(n); ok && slices.Contains(clock, name) {
			t.Errorf("%s: %s: a decision has no clock; it is given the time", n.at(), name)
		}
	})
	for dir := range decisions {
		for _, dep := range linked(t, dir) {
			for _, lib := range connecting {
				if dep == lib || strings.HasPrefix(dep, lib+"/") {
					t.Errorf("%s is linked with %s", dir, dep)
				}
			}
		}
	}
}

// serverless are packages that are not linked with the server of NATS: what runs
// on other machines than nodes, and what writes a deployment folder.
var serverless = []string{"platform/deployment", "poller", "primary", "console", "bus", "tenants"}

func TestOnlyNodesAreLinkedWithTheServer(t *testing.T) {
	for _, dir := range serverless {
		for _, dep := range linked(t, dir) {
			if strings.HasPrefix(dep, "github.com/nats-io/nats-server/") {
				t.Errorf("%s is linked with %s", dir, dep)
			}
		}
	}
}

// The commands that write deployment folders do without a node. The server of
// NATS is linked into them all the same: the library of NATS contexts needs it.
func TestFoldersAreMadeWithoutANode(t *testing.T) {
	for _, dep := range linked(t, "cmd/midplane/setup") {
		if dep == module+"platform/node" {
			t.Errorf("cmd/midplane/setup is linked with %s", dep)
		}
	}
}

// linked returns the packages that a program with the package of dir is made of.
func linked(t *testing.T, dir string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", "../../"+dir).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return strings.Fields(string(out))
}
