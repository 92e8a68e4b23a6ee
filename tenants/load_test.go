package tenants_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"midplane/fault"
	"midplane/tenants"
)

var update = flag.Bool("update", false, "write the golden files")

var options = tenants.Options{Collectors: []string{"ping", "tcp", "http", "snmp", "host"}}

// Each file has one mistake; its message is kept beside it, to the letter.
func TestInvalidFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/invalid-*.yaml")
	if err != nil || len(files) < 60 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			_, err := tenants.LoadFile(file, options)
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("%v is %s", err, fault.KindOf(err))
			}
			list := tenants.Mistakes(err)
			if len(list) != 1 {
				t.Errorf("%d mistakes, want one:\n%v", len(list), err)
			}
			if m := list[0]; m.Line < 1 || m.Column < 1 || m.File != filepath.FromSlash(file) {
				t.Errorf("no place: %+v", m)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("a secret is shown:\n%v", err)
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(err.Error()+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, readErr := os.ReadFile(golden)
			if readErr != nil {
				t.Fatal(readErr)
			}
			if d := cmp.Diff(string(want), err.Error()+"\n"); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestValidFile(t *testing.T) {
	l, err := tenants.LoadFile("testdata/valid.yaml", options)
	if err != nil {
		t.Fatal(err)
	}
	data, err := l.Spec.JSON()
	if err != nil {
		t.Fatal(err)
	}
	back, err := tenants.ParseJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(l.Spec, back); d != "" {
		t.Error(d)
	}
}

func write(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const head = "apiVersion: midplane/v1\nkind: Tenant\n"

// All mistakes of a folder are reported at once, sorted by file and line.
func TestAllMistakesTogether(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{
		"b.yaml":      head + "id: b\npolicy: maybe\nquota: {storage: lots, connections: -1}\ncolour: red\n",
		"a.yml":       head + "id: A\n",
		"c.yaml":      head + "id: good\n",
		"notes.txt":   "not: [a tenant",
		".hidden.yml": "not: [a tenant",
		"sub/d.yaml":  "not: [a tenant",
	})
	_, err := tenants.LoadDir(dir, options)
	var got []string
	for _, m := range tenants.Mistakes(err) {
		got = append(got, filepath.Base(m.File)+":"+m.Path)
	}
	want := []string{"a.yml:id", "b.yaml:policy", "b.yaml:quota.storage", "b.yaml:quota.connections", "b.yaml:colour"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s\n%v", d, err)
	}
}

func TestFolders(t *testing.T) {
	good := head + "id: acme\n"
	for name, tc := range map[string]struct {
		files map[string]string
		kind  fault.Kind
		text  string
	}{
		"empty":         {map[string]string{"readme.md": ""}, fault.Invalid, "there is no .yaml file"},
		"same tenant":   {map[string]string{"a.yaml": good, "b.yaml": good}, fault.Invalid, `b.yaml:3:5: tenant "acme" is already in`},
		"a folder":      {map[string]string{"a.yaml/x": ""}, fault.Invalid, "a.yaml is not a file"},
		"too large":     {map[string]string{"a.yaml": good + "# " + strings.Repeat("x", tenants.MaxFile)}, fault.Invalid, "more than 16 MiB"},
		"not UTF-8":     {map[string]string{"a.yaml": good + "name: \xff\n"}, fault.Invalid, "a.yaml:4:1: the line is not valid UTF-8"},
		"windows":       {map[string]string{"a.yaml": "\xef\xbb\xbf" + strings.ReplaceAll(good, "\n", "\r\n")}, "", ""},
		"windows, typo": {map[string]string{"a.yaml": strings.ReplaceAll(good+"polcy: warn\nname: x\n", "\n", "\r\n")}, fault.Invalid, "a.yaml:4:1: unknown field \"polcy\"\n    4 | polcy: warn\n"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tenants.LoadDir(write(t, t.TempDir(), tc.files), options)
			if fault.KindOf(err) != tc.kind || err != nil && !strings.Contains(err.Error(), tc.text) {
				t.Errorf("%v (%s)", err, fault.KindOf(err))
			}
		})
	}
	if _, err := tenants.LoadDir(t.TempDir()+"/none", options); !fault.Is(err, fault.NotFound) || fault.HintOf(err) == "" {
		t.Error(err)
	}
	if _, err := tenants.LoadFile(t.TempDir()+"/none.yaml", options); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

// A link that stays inside the folder is as good as a file (that is how
// configuration is mounted into containers); one that leads out is not.
func TestLinks(t *testing.T) {
	secret := write(t, t.TempDir(), map[string]string{"outside.json": `{"type":"object"}`})
	text := head + "id: acme\nschemas:\n  - {type: acme.x.v1, kind: event, file: link.json, example: {}}\n"
	dir := write(t, t.TempDir(), map[string]string{"..data/acme.yaml": text, "..data/real.json": `{"type":"object"}`})
	link := func(from, to string) {
		t.Helper()
		if err := os.Symlink(from, filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	link("..data/acme.yaml", "acme.yaml")
	link("..data/real.json", "link.json")
	if _, err := tenants.LoadDir(dir, options); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "link.json")); err != nil {
		t.Fatal(err)
	}
	link(filepath.Join(secret, "outside.json"), "link.json")
	if _, err := tenants.LoadDir(dir, options); err == nil || !strings.Contains(err.Error(), "link.json cannot be read") {
		t.Fatal(err)
	}
}

// No secret is printed of a broken file.
func TestSecretsAreNeverShown(t *testing.T) {
	for name, body := range map[string]string{
		"flow":            "sites: [{id: syd, devices: [{id: r, adress: 1, snmp: {community: hunter2, bad: 1}}]}]\n",
		"after the typo":  "x: 1 # token: hunter2\n",
		"folded":          "sites:\n  - id: syd\n    devices:\n      - snmp:\n          community: >\n            hunter2 }\n            hunter2: x\n",
		"open quote":      "sites:\n  - devices:\n      - snmp: {authSecret: 'hunter2\n",
		"continued quote": "sites:\n  - devices:\n      - snmp:\n          authSecret: \"a\n            hunter2 \\q\"\n",
		"url":             "sites: [{devices: [{checks: [{params: {url: 'http://u:hunter2@x/', bad name: 1}}]}]}]\n",
		"url with @":      "sites: [{devices: [{checks: [{params: {url: 'http://u:pass@hunter2@x/', bad name: 1}}]}]}]\n",
		"reference first": "sites: [{devices: [{snmp: {community: env:X, privSecret: hunter2}}]}]\n",
		"as a number":     "sites: [{devices: [{checks: [{params: {token: [hunter2]}}]}]}]\n",
		"upper case":      "sites: [{devices: [{checks: [{params: {API_KEY: hunter2}}]}]}]\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tenants.LoadDir(write(t, t.TempDir(), map[string]string{"a.yaml": head + "id: acme\n" + body}), options)
			if err == nil {
				t.Fatal("no mistake was found")
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("shown:\n%v", err)
			}
		})
	}
}

func TestMistakesAreBounded(t *testing.T) {
	body := head + "id: acme\nsites:\n"
	for range 5000 {
		body += "  - {id: S, colour: red}\n"
	}
	_, err := tenants.LoadDir(write(t, t.TempDir(), map[string]string{"a.yaml": body}), options)
	if n := len(tenants.Mistakes(err)); n > 60 || !strings.Contains(err.Error(), "more mistakes") {
		t.Errorf("%d mistakes", n)
	}
}

func TestMistakesOfOtherErrors(t *testing.T) {
	if tenants.Mistakes(nil) != nil || len(tenants.Mistakes(errors.New("x"))) != 0 {
		t.Fatal("mistakes out of nothing")
	}
	_, err := tenants.ParseJSON([]byte(`{"apiVersion":"midplane/v1","kind":"Tenant","id":"*"}`))
	list := tenants.Mistakes(err)
	if len(list) != 1 || list[0].Path != "id" || !slices.Contains(strings.Split(err.Error(), "\n"), "      = hint: "+list[0].Hint) {
		t.Fatal(err)
	}
}
