package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fence   = regexp.MustCompile("(?s)\n```.*?\n```")
	inline  = regexp.MustCompile("`[^`\n]+`")
	heading = regexp.MustCompile(`(?m)^#{1,6} (.+)$`)
	notSlug = regexp.MustCompile(`[^a-z0-9 _-]`)
)

// anchors returns how renderers name the headings of a page.
func anchors(text string) map[string]bool {
	out := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, "\n"), -1) {
		s := notSlug.ReplaceAllString(strings.ToLower(strings.TrimSpace(m[1])), "")
		out[strings.ReplaceAll(s, " ", "-")] = true
	}
	return out
}

// TestLinks follows every link inside the project.
func TestLinks(t *testing.T) {
	all := map[string]page{}
	for _, p := range pages(t) {
		all[p.name] = p
	}
	for _, p := range all {
		text := inline.ReplaceAllString(fence.ReplaceAllString(p.text, "\n"), "")
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			to, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
				continue
			}
			target := p.name
			if to != "" {
				target = path.Join(path.Dir(p.name), to)
				if _, err := os.Stat(filepath.Join(root, target)); err != nil {
					t.Errorf("%s: the link to %s leads nowhere", p.name, m[1])
					continue
				}
			}
			if anchor != "" && !anchors(all[target].text)[anchor] {
				t.Errorf("%s: %s has no heading #%s", p.name, target, anchor)
			}
		}
	}
}

// what the pages name in code style: a file of the project, and, right behind
// it in brackets, names that are declared in it: `fold/fold.go` (`Fold`).
var (
	named    = regexp.MustCompile("`([A-Za-z0-9_./-]+)`(?: \\(((?:`[A-Za-z0-9_.]+`(?:, )?)+)\\))?")
	declName = regexp.MustCompile("`([A-Za-z0-9_.]+)`")
	stands   = regexp.MustCompile(`NAME|TYPE|NNNN`) // for another name
)

// TestNamedFiles looks for every file and every declaration that the pages
// about the code name.
func TestNamedFiles(t *testing.T) {
	for _, p := range pages(t) {
		if p.name != "ARCHITECTURE.md" && p.name != "CONTRIBUTING.md" && p.name != "README.md" && !strings.HasPrefix(p.name, "docs/") {
			continue
		}
		text := fence.ReplaceAllString(block.ReplaceAllString(p.text, ""), "\n")
		for _, m := range named.FindAllStringSubmatch(text, -1) {
			file := m[1]
			top, rest, _ := strings.Cut(file, "/")
			if rest == "" || top == "" || top == "." || top == ".." || stands.MatchString(file) || !isDir(top) {
				continue
			}
			info, err := os.Stat(filepath.Join(root, file))
			if err != nil {
				t.Errorf("%s names %s, which is not there", p.name, file)
				continue
			}
			for _, d := range declName.FindAllStringSubmatch(m[2], -1) {
				if !declares(t, filepath.Join(root, file), info.IsDir(), d[1]) {
					t.Errorf("%s names %s in %s, which does not declare it", p.name, d[1], file)
				}
			}
		}
	}
}

func isDir(top string) bool {
	info, err := os.Stat(filepath.Join(root, top))
	return err == nil && info.IsDir()
}

// declares reports whether a file, or a Go file of a folder, declares name
// ("Fold", or "Registry.Fresh" for a method).
func declares(t *testing.T, file string, dir bool, name string) bool {
	t.Helper()
	files := []string{file}
	if dir {
		files, _ = filepath.Glob(filepath.Join(file, "*.go"))
	}
	for _, f := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), f, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range tree.Decls {
			if declared(d, name) {
				return true
			}
		}
	}
	return false
}

func declared(d ast.Decl, name string) bool {
	switch d := d.(type) {
	case *ast.FuncDecl:
		got := d.Name.Name
		if d.Recv != nil {
			typ := d.Recv.List[0].Type
			if star, ok := typ.(*ast.StarExpr); ok {
				typ = star.X
			}
			if id, ok := typ.(*ast.Ident); ok {
				got = id.Name + "." + got
			}
		}
		return got == name
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				if s.Name.Name == name {
					return true
				}
			case *ast.ValueSpec:
				for _, id := range s.Names {
					if id.Name == name {
						return true
					}
				}
			}
		}
	}
	return false
}
