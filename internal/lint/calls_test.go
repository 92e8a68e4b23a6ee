package lint

import (
	"go/ast"
	"strings"
	"testing"
)

// callers are the only ones, outside tests, of what has one place of its own.
var callers = map[string]map[string]string{
	// A file that is whole after a power cut: atomicfile.Write.
	"os.WriteFile": {"poller/pollertest": "a test's file", "e2e/lab": "the laboratory's own files"},
	"os.Mkdir":     {"e2e/lab": "a folder to mount a disk on"},
	// A folder whose name is still there after it, too: atomicfile.MakeDir.
	"os.MkdirAll":   {"internal/atomicfile": "", "internal/release": "a folder to build an old program in, for tests"},
	"os.CreateTemp": {"cmd/midplane/change": "a copy for an editor takes no other file's place"},
	"os.Rename": {
		"internal/atomicfile":  "",
		"primary/store/sqlite": "a damaged database is moved away, and takes no other file's place",
		"poller/outbox":        "the ballast is nothing but room: it is filled in pieces",
	},
}

// TestCallsHaveOnePlace fails for a copy of what another package does.
func TestCallsHaveOnePlace(t *testing.T) {
	code := func(file, dir string) bool {
		return !isTest(file) && !strings.HasPrefix(dir, "internal/test") && dir != "bench" && dir != "internal/forgetfs"
	}
	eachNode(t, code, func(n node) {
		name, ok := called(n)
		if !ok {
			return
		}
		if allowed, kept := callers[name]; kept {
			if _, ok := allowed[n.dir]; !ok {
				t.Errorf("%s: %s is called here; see internal/lint/calls_test.go", n.at(), name)
			}
		}
	})
}

// called returns what a node names of another package, like "os.Rename".
func called(n node) (name string, ok bool) {
	sel, ok := n.Node.(*ast.SelectorExpr)
	if !ok {
		return "", false
	}
	pkg, ok := sel.X.(*ast.Ident)
	if !ok {
		return "", false
	}
	return pkg.Name + "." + sel.Sel.Name, true
}

// waiters are the tests that wait in their own way, and why.
var waiters = map[string]string{"e2e": "containers need other bounds, and time to clean up"}

// Tests wait with internal/testwait.
func TestTestsWaitInOneWay(t *testing.T) {
	goFiles(t, func(file, dir string) {
		if !isTest(file) || waiters[dir] != "" {
			return
		}
		_, f := parsed(t, file)
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == "eventually" {
				t.Errorf("%s has an eventually of its own; use internal/testwait", file)
			}
		}
	})
}
