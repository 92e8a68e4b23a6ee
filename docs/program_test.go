package docs_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// program is the built command; TestMain removes it.
var program = struct {
	once sync.Once
	dir  string
	err  error
}{}

func TestMain(m *testing.M) {
	code := m.Run()
	if program.dir != "" {
		_ = os.RemoveAll(program.dir)
	}
	os.Exit(code)
}

// midplane runs the program in an environment without settings.
func midplane(t *testing.T, args ...string) string {
	t.Helper()
	program.once.Do(func() {
		if program.dir, program.err = os.MkdirTemp("", "midplane-docs-"); program.err != nil {
			return
		}
		build := exec.Command("go", "build", "-o", filepath.Join(program.dir, "midplane"), "./cmd/midplane")
		build.Dir = root
		if out, err := build.CombinedOutput(); err != nil {
			program.err = fmt.Errorf("build: %w\n%s", err, out)
		}
	})
	if program.err != nil {
		t.Fatal(program.err)
	}
	cmd := exec.Command(filepath.Join(program.dir, "midplane"), args...)
	cmd.Env = []string{"HOME=~"} // so that no machine's path is in the pages
	cmd.Dir = program.dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("midplane %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}

// help is what the program says of one command.
type help struct {
	path     string // "midplane get devices"
	text     string
	flags    []string
	children []string
}

var (
	section = regexp.MustCompile(`^(Run|Look|Change|Other|Available Commands):$`)
	entry   = regexp.MustCompile(`^  ([a-z-]+) +\S`)
	flagRE  = regexp.MustCompile(`^ +(?:-([a-z]), )?--([a-z-]+)`)
)

// commandTree asks every command for its help, parents first.
func commandTree(t *testing.T) []help {
	t.Helper()
	var out []help
	var walk func(path []string)
	walk = func(path []string) {
		h := help{path: strings.Join(append([]string{"midplane"}, path...), " ")}
		full := midplane(t, append(slices.Clone(path), "--help")...)
		inside := false
		for line := range strings.Lines(full) {
			line = strings.TrimRight(line, "\n")
			switch m := entry.FindStringSubmatch(line); {
			case section.MatchString(line):
				inside = true
			case line == "":
				inside = false
			case inside && m != nil:
				h.children = append(h.children, m[1])
			}
			if m := flagRE.FindStringSubmatch(line); m != nil {
				h.flags = append(h.flags, "--"+m[2])
				if m[1] != "" {
					h.flags = append(h.flags, "-"+m[1])
				}
			}
		}
		h.text, _, _ = strings.Cut(full, "\nGlobal Flags:")
		h.text = strings.TrimSpace(h.text)
		out = append(out, h)
		for _, c := range h.children {
			if c != "completion" && c != "help" {
				walk(append(slices.Clone(path), c))
			}
		}
	}
	walk(nil)
	return out
}

// commands shows the help of every command.
func commands(t *testing.T) string {
	var b strings.Builder
	for _, h := range commandTree(t) {
		fmt.Fprintf(&b, "## %s\n\n```text\n%s\n```\n\n", h.path, h.text)
	}
	return b.String()
}

// exitCodes is what the program itself says of them.
func exitCodes(t *testing.T) string {
	return "```text\n" + strings.TrimSpace(midplane(t, "help", "exit-codes")) + "\n```\n"
}

// settings shows every setting with its variable and its default by server.
func settings(t *testing.T) string {
	type setting struct{ Key, Value, Origin, Env string }
	servers := []string{"up", "node", "primary", "poller"}
	values, env := map[string]map[string]string{}, map[string]string{}
	for _, s := range servers {
		var list []setting
		if err := json.Unmarshal([]byte(midplane(t, "config", "view", s, "-o", "json")), &list); err != nil {
			t.Fatal(err)
		}
		for _, one := range list {
			if one.Key == "output" {
				one.Value, one.Origin = "table", "default" // it was asked for as JSON
			}
			if one.Origin != "default" {
				t.Errorf("%s of %s comes from %s", one.Key, s, one.Origin)
			}
			if values[one.Key] == nil {
				values[one.Key] = map[string]string{}
			}
			values[one.Key][s], env[one.Key] = "`"+one.Value+"`", one.Env
			if one.Value == "" {
				values[one.Key][s] = "empty"
			}
		}
	}
	var b strings.Builder
	b.WriteString("| setting | variable | up | node | primary | poller |\n|---|---|---|---|---|---|\n")
	for _, key := range sorted(values) {
		fmt.Fprintf(&b, "| `%s` | `%s` |", key, env[key])
		for _, s := range servers {
			v := values[key][s]
			if v == "" {
				v = "–"
			}
			b.WriteString(" " + v + " |")
		}
		b.WriteString("\n")
	}
	return b.String()
}

func sorted[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

var (
	anyFence    = regexp.MustCompile("(?s)```([a-z]*)\n(.*?)```")
	commandLine = regexp.MustCompile(`(?m)^\s*(\$ )?(?:[A-Z_]+=\S+ )*(?:go run \./cmd/midplane|midplane)((?: [^|>&#\n]+)?)`)
	codeCommand = regexp.MustCompile("`midplane( [^`\n]+)`")
)

// TestCommandLines holds every command line that a page shows against the
// program: the command exists and has the flags.
func TestCommandLines(t *testing.T) {
	tree := map[string]help{}
	for _, h := range commandTree(t) {
		tree[h.path] = h
	}
	checked := 0
	for _, p := range pages(t) {
		if p.name == "docs/reference/cli.md" {
			continue // it is the program's own help
		}
		var lines []string
		for _, f := range anyFence.FindAllStringSubmatch(p.text, -1) {
			for _, m := range commandLine.FindAllStringSubmatch(f[2], -1) {
				if f[1] != "console" || m[1] != "" { // the rest of a console is what was answered
					lines = append(lines, m[2])
				}
			}
		}
		for _, m := range codeCommand.FindAllStringSubmatch(p.text, -1) {
			lines = append(lines, m[1])
		}
		for _, line := range lines {
			checked++
			checkLine(t, p.name, tree, line)
		}
	}
	if checked < 20 {
		t.Errorf("only %d command lines were found", checked)
	}
}

func checkLine(t *testing.T, page string, tree map[string]help, line string) {
	t.Helper()
	words := strings.Fields(line)
	path := "midplane"
	for len(words) > 0 {
		if _, ok := tree[path+" "+words[0]]; !ok {
			break
		}
		path, words = path+" "+words[0], words[1:]
	}
	h := tree[path]
	if len(h.children) > 0 && len(words) > 0 && !strings.HasPrefix(words[0], "-") {
		if first := words[0]; first == "help" || first == "completion" || first == "…" || path == "midplane get" {
			return
		}
		t.Errorf("%s: there is no command %q", page, path+" "+words[0])
		return
	}
	for _, w := range words {
		name, _, _ := strings.Cut(w, "=")
		if strings.HasPrefix(name, "-") && len(name) > 1 && !slices.Contains(h.flags, name) {
			t.Errorf("%s: %s has no flag %s", page, path, name)
		}
	}
}
