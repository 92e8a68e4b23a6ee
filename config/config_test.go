package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"midplane/fault"
)

type daemon struct {
	HTTP    string        `config:"http"`
	Wait    time.Duration `config:"wait"`
	Routes  []string      `config:"routes"`
	Fast    bool          `config:"fast"`
	Workers int           `config:"workers"`
	Key     string        `config:"master-key"`
}

func newFlags(args ...string) *pflag.FlagSet {
	f := pflag.NewFlagSet("test", pflag.ContinueOnError)
	f.String("http", "127.0.0.1:8080", "listen address")
	f.Duration("wait", 5*time.Second, "how long to wait, like 30s")
	f.StringSlice("routes", []string{"a"}, "addresses of the other nodes")
	f.Bool("fast", false, "be fast")
	f.Int("workers", 4, "how many")
	f.String("config", "", "file")
	Secret(f, "master-key", "seals the signing keys")
	if err := f.Parse(args); err != nil {
		panic(err)
	}
	return f
}

// clean gives the test an environment without settings and a configuration
// folder of its own.
func clean(t *testing.T) string {
	t.Helper()
	for _, pair := range os.Environ() {
		if name, value, _ := strings.Cut(pair, "="); strings.HasPrefix(name, EnvPrefix) {
			t.Setenv(name, value) // so that it comes back
			os.Unsetenv(name)
		}
	}
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	return dir
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPrecedence(t *testing.T) {
	const file = "http: file:1\n"
	tests := []struct {
		name, flag, env, file string
		want, origin          string
	}{
		{"nothing", "", "", "", "127.0.0.1:8080", "default"},
		{"file", "", "", file, "file:1", "file FILE:1"},
		{"environment", "", "env:1", "", "env:1", "environment MIDPLANE_HTTP"},
		{"environment over file", "", "env:1", file, "env:1", "environment MIDPLANE_HTTP"},
		{"flag", "flag:1", "", "", "flag:1", "flag --http"},
		{"flag over file", "flag:1", "", file, "flag:1", "flag --http"},
		{"flag over environment", "flag:1", "env:1", "", "flag:1", "flag --http"},
		{"flag over all", "flag:1", "env:1", file, "flag:1", "flag --http"},
		{"a flag that repeats the default wins too", "127.0.0.1:8080", "env:1", file, "127.0.0.1:8080", "flag --http"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := clean(t)
			path := ""
			if tt.file != "" {
				path = write(t, filepath.Join(dir, "c.yaml"), tt.file)
			}
			if tt.env != "" {
				t.Setenv("MIDPLANE_HTTP", tt.env)
			}
			var args []string
			if tt.flag != "" {
				args = []string{"--http", tt.flag}
			}
			flags := newFlags(args...)
			s, err := Load(flags, path)
			if err != nil {
				t.Fatal(err)
			}
			var got daemon
			if err := s.Decode(&got); err != nil {
				t.Fatal(err)
			}
			if got.HTTP != tt.want || s.String("http") != tt.want {
				t.Errorf("http is %q and %q, want %q", got.HTTP, s.String("http"), tt.want)
			}
			if v := flags.Lookup("http").Value.String(); v != tt.want {
				t.Errorf("the flag's own variable holds %q, want %q", v, tt.want)
			}
			if want := strings.ReplaceAll(tt.origin, "FILE", path); s.Origin("http") != want {
				t.Errorf("origin %q, want %q", s.Origin("http"), want)
			}
		})
	}
}

func TestTypesFromEverySource(t *testing.T) {
	want := daemon{HTTP: "h:1", Wait: 90 * time.Second, Routes: []string{"x:1", "y:2"}, Fast: true, Workers: 7, Key: "s3cret"}
	t.Run("file", func(t *testing.T) {
		path := write(t, filepath.Join(clean(t), "c.yaml"),
			"# a comment\nhttp: h:1\nwait: 90s\nroutes:\n  - x:1\n  - y:2\nfast: true\nworkers: 7\nmaster-key: s3cret\n")
		check(t, want, path)
	})
	t.Run("environment", func(t *testing.T) {
		clean(t)
		for name, value := range map[string]string{"HTTP": "h:1", "WAIT": "1m30s", "ROUTES": "x:1, y:2",
			"FAST": "true", "WORKERS": "7", "MASTER_KEY": "s3cret"} {
			t.Setenv(EnvPrefix+name, value)
		}
		check(t, want, "")
	})
	t.Run("flags", func(t *testing.T) {
		clean(t)
		t.Setenv("MIDPLANE_MASTER_KEY", "s3cret")
		check(t, want, "", "--http", "h:1", "--wait", "90s", "--routes", "x:1,y:2", "--fast", "--workers", "7")
	})
}

func check(t *testing.T, want daemon, path string, args ...string) {
	t.Helper()
	s, err := Load(newFlags(args...), path)
	if err != nil {
		t.Fatal(err)
	}
	var got daemon
	if err := s.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	for _, row := range s.Describe() {
		if strings.Contains(row.Value, "s3cret") {
			t.Fatalf("the secret is shown: %+v", row)
		}
		if row.Key == "master-key" && row.Value != "(hidden)" {
			t.Fatalf("a secret that is set shows as %q", row.Value)
		}
	}
}

func TestDefaultFile(t *testing.T) {
	dir := clean(t)
	path := write(t, filepath.Join(dir, "midplane", "config.yaml"), "workers: 9\n")
	s, err := Load(newFlags(), "")
	if err != nil {
		t.Fatal(err)
	}
	if s.String("workers") != "9" || s.File() != path {
		t.Fatalf("workers %s from %q, want 9 from %q", s.String("workers"), s.File(), path)
	}
	other := write(t, filepath.Join(dir, "other.yaml"), "workers: 11\n")
	t.Setenv("MIDPLANE_CONFIG", other)
	if s, err = Load(newFlags(), ""); err != nil || s.String("workers") != "11" {
		t.Fatalf("MIDPLANE_CONFIG is not read: %v", err)
	}
	if s, err = Load(newFlags(), path); err != nil || s.String("workers") != "9" {
		t.Fatalf("--config does not win over MIDPLANE_CONFIG: %v", err)
	}
	if got := DefaultFiles(); len(got) != 2 || got[0] != path || got[1] != "/etc/midplane/config.yaml" {
		t.Fatalf("default files %q", got)
	}
}

func TestMistakes(t *testing.T) {
	tests := []struct {
		name, file string
		env, args  []string
		want, hint string
	}{
		{"unknown key", "http: a\nhtpp: b\n", nil, nil, `c.yaml:2:1: unknown setting "htpp"`, `did you mean "http"?`},
		{"key that is like no other", "zzzzzzzzzz: b\n", nil, nil, "unknown setting", "config view"},
		{"set twice", "http: a\nhttp: b\n", nil, nil, "http", ""},
		{"not a mapping", "- a\n", nil, nil, "not a list of settings", "key: value"},
		{"not YAML", "http: [a\n", nil, nil, "c.yaml: ", "key: value"},
		{"no value", "http:\n", nil, nil, "c.yaml:1: http has no plain value", "default"},
		{"nested", "http:\n  listen: a\n", nil, nil, "c.yaml:1: http has no plain value", ""},
		{"list for a value", "http: [a, b]\n", nil, nil, "http is one value, not a list", ""},
		{"not a duration", "wait: soon\n", nil, nil, `c.yaml:1: wait: "soon" cannot be used`, "like 30s"},
		{"duration without unit", "wait: 30\n", nil, nil, `"30" cannot be used`, "like 30s"},
		{"not a number", "workers: many\n", nil, nil, `"many" cannot be used: invalid syntax`, "how many"},
		{"not a number in the environment", "", []string{"MIDPLANE_WORKERS=many"}, nil, `MIDPLANE_WORKERS: workers: "many"`, ""},
		{"unknown variable", "", []string{"MIDPLANE_HTPP=a"}, nil, "MIDPLANE_HTPP names no setting", "did you mean MIDPLANE_HTTP?"},
		{"secret on the command line", "", nil, []string{"--master-key", "s3cret"}, "does not belong on a command line", "MIDPLANE_MASTER_KEY"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := clean(t)
			path := ""
			if tt.file != "" {
				path = write(t, filepath.Join(dir, "c.yaml"), tt.file)
			}
			for _, pair := range tt.env {
				name, value, _ := strings.Cut(pair, "=")
				t.Setenv(name, value)
			}
			_, err := Load(newFlags(tt.args...), path)
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("got %v, want an Invalid error", err)
			}
			if !strings.Contains(err.Error(), tt.want) || !strings.Contains(fault.HintOf(err), tt.hint) {
				t.Errorf("error %q hint %q, want %q and %q", err, fault.HintOf(err), tt.want, tt.hint)
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Error("the error shows the secret")
			}
		})
	}
}

func TestMissingFileIsNotFound(t *testing.T) {
	dir := clean(t)
	if _, err := Load(newFlags(), filepath.Join(dir, "none.yaml")); !fault.Is(err, fault.NotFound) {
		t.Fatalf("got %v", err)
	}
}

func TestSecretInAReadableFile(t *testing.T) {
	path := write(t, filepath.Join(clean(t), "c.yaml"), "master-key: s3cret\n")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Load(newFlags(), path)
	if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.HintOf(err), "chmod 600") {
		t.Fatalf("got %v, hint %q", err, fault.HintOf(err))
	}
}

func TestKnownOfOtherCommands(t *testing.T) {
	path := write(t, filepath.Join(clean(t), "c.yaml"), "tenants: /etc/tenants\nworkers: 2\n")
	t.Setenv("MIDPLANE_SITE_LIMIT", "3")
	if _, err := Load(newFlags(), path); err == nil {
		t.Fatal("a setting of no command was accepted")
	}
	s, err := Load(newFlags(), path, Known("tenants", "site-limit"))
	if err != nil {
		t.Fatal(err)
	}
	if s.Origin("tenants") != "" || s.String("workers") != "2" {
		t.Fatalf("tenants from %q, workers %s", s.Origin("tenants"), s.String("workers"))
	}
}

func TestEmptyVariableIsNotSet(t *testing.T) {
	clean(t)
	t.Setenv("MIDPLANE_HTTP", "")
	s, err := Load(newFlags(), "")
	if err != nil || s.Origin("http") != "default" || s.String("http") != "127.0.0.1:8080" {
		t.Fatalf("%v, %q from %q", err, s.String("http"), s.Origin("http"))
	}
}

func TestDecodeFindsTyposOfCode(t *testing.T) {
	clean(t)
	s, err := Load(newFlags(), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Decode(&struct {
		X string `config:"htp"`
	}{}); err == nil {
		t.Error("a tag that names no setting was accepted")
	}
	if err := s.Decode(&struct{ HTTP string }{}); err == nil {
		t.Error("a field without a tag was accepted")
	}
	var squashed struct {
		daemon `config:",squash"`
		Skip   string `config:"-"`
	}
	if err := s.Decode(&squashed); err != nil || squashed.Workers != 4 || squashed.Wait != 5*time.Second {
		t.Errorf("squash: %v, %+v", err, squashed)
	}
}
