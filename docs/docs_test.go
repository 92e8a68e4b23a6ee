// Package docs_test keeps the documentation true: what can be made from the
// code is made from it and compared (go test ./docs -update writes it), and the
// rest is checked against the code: links, file names, command lines, tenants'
// files, the list of decisions.
package docs_test

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the generated parts of the documentation")

const root = ".."

// page is one Markdown file of the project, named from its root.
type page struct{ name, text string }

// pages returns every Markdown file, sorted.
func pages(t *testing.T) []page {
	t.Helper()
	var out []page
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && p != root:
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(p) != ".md":
			return nil
		}
		data, err := os.ReadFile(p)
		rel, _ := filepath.Rel(root, p)
		out = append(out, page{filepath.ToSlash(rel), string(data)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A generated part stands between two comments.
var (
	block  = regexp.MustCompile(`(?s)<!-- begin generated: ([a-z-]+) -->\n(.*?)<!-- end generated -->\n`)
	opened = regexp.MustCompile(`<!-- begin generated`)
)

// generators make the parts by name.
var generators = map[string]func(t *testing.T) string{
	"collectors":  collectors,
	"commands":    commands,
	"exit-codes":  exitCodes,
	"layers":      layers,
	"metrics":     metrics,
	"permissions": permissions,
	"packages":    packages,
	"problems":    problems,
	"refusals":    refusals,
	"roles":       roles,
	"rooms":       rooms,
	"routes":      routes,
	"rows":        rows,
	"schemas":     schemas,
	"settings":    settings,
	"spec":        spec,
}

// TestGenerated fails when a page is older than the code it describes.
func TestGenerated(t *testing.T) {
	used := map[string]bool{}
	for _, p := range pages(t) {
		blocks := block.FindAllStringSubmatch(p.text, -1)
		if len(blocks) != len(opened.FindAllString(p.text, -1)) {
			t.Errorf("%s: a generated part has no end", p.name)
			continue
		}
		next := p.text
		for _, b := range blocks {
			make, known := generators[b[1]]
			if !known {
				t.Errorf("%s: nothing generates %q", p.name, b[1])
				continue
			}
			used[b[1]] = true
			want := "<!-- begin generated: " + b[1] + " -->\n" + make(t) + "<!-- end generated -->\n"
			next = strings.Replace(next, b[0], want, 1)
		}
		if next == p.text {
			continue
		}
		if *update {
			if err := os.WriteFile(filepath.Join(root, p.name), []byte(next), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		t.Errorf("%s is not what the code says; run: go test ./docs -update\n%s", p.name, cmp.Diff(p.text, next))
	}
	for name := range generators {
		if !used[name] {
			t.Errorf("no page shows %q", name)
		}
	}
}

// A decision record is numbered, listed, and has these headings in this order.
var (
	record   = regexp.MustCompile(`^docs/adr/(\d{4})-[a-z0-9-]+\.md$`)
	headings = []string{"## Status", "## Context", "## Decision", "## Consequences", "## Measured", "## Rejected"}
)

func TestDecisions(t *testing.T) {
	var index string
	var records []page
	for _, p := range pages(t) {
		if p.name == "docs/adr/README.md" {
			index = p.text
		} else if strings.HasPrefix(p.name, "docs/adr/") {
			records = append(records, p)
		}
	}
	if index == "" || len(records) == 0 {
		t.Fatal("docs/adr has no list or no records")
	}
	for i, p := range records {
		m := record.FindStringSubmatch(p.name)
		if m == nil {
			t.Errorf("%s is not named NNNN-what-was-decided.md", p.name)
			continue
		}
		if want := i + 1; m[1] != pad(want) {
			t.Errorf("%s: the next number is %s", p.name, pad(want))
		}
		if !strings.Contains(index, "("+filepath.Base(p.name)+")") {
			t.Errorf("docs/adr/README.md does not list %s", p.name)
		}
		if !strings.HasPrefix(p.text, "# "+m[1]+" ") {
			t.Errorf("%s does not begin with its number", p.name)
		}
		var have []string
		for line := range strings.Lines(p.text) {
			if strings.HasPrefix(line, "## ") {
				have = append(have, strings.TrimSpace(line))
			}
		}
		if !slices.Equal(have, headings) {
			t.Errorf("%s has the headings %q, want %q", p.name, have, headings)
		}
	}
}

func pad(n int) string {
	s := "000" + string(rune('0'+n%10))
	if n >= 10 {
		s = "00" + string(rune('0'+n/10%10)) + string(rune('0'+n%10))
	}
	return s
}
