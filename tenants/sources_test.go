package tenants_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"midplane/fault"
	"midplane/tenants"
)

// Every source that is named is read, files, folders and standard input alike.
func TestEverySourceIsRead(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{
		"a.yaml":   head + "id: a\n",
		"d/b.yaml": head + "id: b\n",
		"d/c.yaml": head + "id: c\n",
	})
	in := strings.NewReader("# two of them\n---\n" + head + "id: x\n--- \n# nothing\n---\n" + head + "id: y\n...\n")
	list, err := tenants.LoadAll([]string{filepath.Join(dir, "a.yaml"), filepath.Join(dir, "d"), "-"}, in, options)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range list {
		got = append(got, string(l.Spec.ID)+" "+filepath.Base(l.File))
	}
	if d := cmp.Diff([]string{"a a.yaml", "b b.yaml", "c c.yaml", "x stdin", "y stdin"}, got); d != "" {
		t.Error(d)
	}
}

// The mistakes of all sources come together; those of standard input have
// the lines of the whole input.
func TestMistakesOfEverySource(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"a.yaml": head + "id: a\nnmae: A\n", "b.yaml": head + "id: b\n"})
	in := strings.NewReader(head + "id: x\n---\n" + head + "id: y\ncolour: red\n---\n" + head + "id: b\n---\n" + head + "id: x\n")
	_, err := tenants.LoadAll([]string{filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yaml"), "-"}, in, options)
	if !fault.Is(err, fault.Invalid) {
		t.Fatal(err)
	}
	for _, want := range []string{`a.yaml:4:1: unknown field "nmae"`, `stdin:8:1: unknown field "colour"`, "    8 | colour: red\n", `stdin:16:5: tenant "x" is already in stdin`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
	_, err = tenants.LoadAll([]string{filepath.Join(dir, "b.yaml"), "-"}, strings.NewReader(head+"id: b\n"), options)
	if err == nil || !strings.Contains(err.Error(), `tenant "b" is already in `) {
		t.Error(err)
	}
	if _, err = tenants.LoadAll([]string{"-"}, strings.NewReader("# nothing\n"), options); err == nil || !strings.Contains(err.Error(), "stdin:1:1: the file is empty") {
		t.Error(err)
	}
	if _, err = tenants.LoadAll([]string{dir, filepath.Join(dir, "none")}, nil, options); err == nil {
		t.Error("a source that is not there was left out")
	}
}
