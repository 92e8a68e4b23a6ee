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
			must = "the streams lack what the copy does not have; the primary has all of it, and status names the range"
		}
		if len(r.Beside) > 0 {
			must += "; beside it " + strings.Join(r.Beside, ", ")
		}
		if r.Long {
			must += " (long form only)"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r.Name, r.What, must)
	}
	return b.String()
}
