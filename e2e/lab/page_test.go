package lab

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of the page")

const (
	page  = "../../docs/laboratory.md"
	begin = "<!-- rows: make lab -->\n"
	end   = "<!-- end of rows -->\n"
)

// TestPage holds the page's table against the matrix.
func TestPage(t *testing.T) {
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok1 := strings.Cut(string(data), begin)
	table, tail, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("%s has no place for the table", page)
	}
	for _, name := range slices.Concat(onStreams, onControl) {
		if !strings.Contains(tail, "\n| `"+name+"` |") {
			t.Errorf("%s says nothing of the workload %s", page, name)
		}
	}
	want := rows()
	if *update {
		if err := os.WriteFile(page, []byte(head+begin+want+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if table != want {
		t.Errorf("the table of %s is not the matrix: go test ./e2e/lab -run TestPage -update", page)
	}
}

func rows() string {
	var b strings.Builder
	b.WriteString("| row | what is done | what must come of it |\n|---|---|---|\n")
	for _, r := range Matrix() {
		must := "nothing lost, doubled or out of order"
		if r.Loses {
			must = "loses: a control"
		}
		if r.Back {
			must = "the streams lack what the copy does not have; the primary has all that it had read, and status names the range"
		}
		if r.Survives {
			must = "nothing lost of what the third had; status names what the primary had read beyond that"
		}
		if len(r.Beside) > 0 {
			must += "; beside it " + strings.Join(r.Beside, ", ")
		}
		if len(r.More) > 0 {
			must += "; in the long form " + strings.Join(r.More, ", ")
		}
		if r.Long {
			must += " (long form only)"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r.Name, r.What, must)
	}
	return b.String()
}

// TestRunbooks holds the runbooks against the matrix: every command that a page prints
// is carried out by a row, and no row carries out what is not there.
func TestRunbooks(t *testing.T) {
	run := map[string]map[int]bool{}
	for _, r := range Matrix() {
		for _, step := range r.Steps {
			p, ok := step.(Page)
			if !ok {
				continue
			}
			if run[p.Name] == nil {
				run[p.Name] = map[int]bool{}
			}
			run[p.Name][p.Block] = true
			if _, err := p.lines(); err != nil {
				t.Errorf("%s: %v", r.Name, err)
			}
		}
	}
	for _, name := range pages {
		blocks, err := commands(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(blocks) == 0 {
			t.Errorf("%s prints no commands", name)
		}
		for i, lines := range blocks {
			if !run[name][i+1] {
				t.Errorf("%s: no row carries out %q", name, lines)
			}
		}
	}
}
