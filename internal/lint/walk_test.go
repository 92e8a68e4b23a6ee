package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// goFiles calls each for every file of Go, with its path from here and its
// folder from the top of the module.
func goFiles(t *testing.T, each func(file, dir string)) {
	t.Helper()
	root := "../.."
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, p)
		if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && rel != "." || rel == "tools") {
			return fs.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(p, ".go") {
			each(p, filepath.ToSlash(filepath.Dir(rel)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// parsed returns the syntax of a file.
func parsed(t *testing.T, file string) (*token.FileSet, *ast.File) {
	t.Helper()
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return set, f
}

func isTest(file string) bool { return strings.HasSuffix(file, "_test.go") }

// node is a piece of syntax and where it stands.
type node struct {
	ast.Node
	dir string
	set *token.FileSet
}

func (n node) at() token.Position { return n.set.Position(n.Pos()) }

// eachNode calls each for every node of the files that take takes.
func eachNode(t *testing.T, take func(file, dir string) bool, each func(node)) {
	t.Helper()
	goFiles(t, func(file, dir string) {
		if !take(file, dir) {
			return
		}
		set, f := parsed(t, file)
		ast.Inspect(f, func(n ast.Node) bool {
			if n != nil {
				each(node{n, dir, set})
			}
			return true
		})
	})
}
