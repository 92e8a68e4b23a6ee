package lint

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// layer is a floor of the house; a package may import every layer below its
// own. Inside one layer only the imports in beside are allowed.
var layers = map[string]int{
	"event": 0, "fault": 0,
	"api": 1, "schemas": 1, "subject": 1, "telemetry": 1, "streams": 1,
	"tenants": 2, "bus": 2, "poller/collect": 2, "primary/sink": 2, "internal/run": 0,
	"platform": 3, "poller": 3, "primary": 3, "console": 3,
	"cmd": 4, "e2e": 4, "bench": 4, "crash": 4, "docs": 4, "config": 4, "telemetry/export": 4, "internal/testcluster": 4, "internal/lint": 4,
}

// beside lists the only imports inside a layer, from → to.
var beside = map[[2]string]bool{
	{"event", "fault"}:                true,
	{"tenants", "streams"}:            true,
	{"tenants", "schemas"}:            true,
	{"streams", "subject"}:            true,
	{"api", "subject"}:                true, // subjects of requests
	{"bus", "schemas"}:                true,
	{"cmd", "config"}:                 true,
	{"cmd", "telemetry/export"}:       true,
	{"e2e", "internal/testcluster"}:   true,
	{"bench", "internal/testcluster"}: true,
	{"cmd", "internal/testcluster"}:   false,
}

// gatekeepers are the only importers of a library outside tests.
var gatekeepers = map[string][]string{
	"github.com/nats-io/nats-server":        {"platform/node"},
	"github.com/spf13/viper":                {"config"},
	"github.com/nats-io/jwt":                {"tenants/account", "internal/testcluster"},
	"github.com/nats-io/nkeys":              {"tenants/account", "bus/renew", "poller", "primary", "internal/testcluster"},
	"github.com/nats-io/jsm.go/natscontext": {"cmd/midplane"},
	"github.com/nats-io/jsm.go/api":         {"platform/control"},
	"github.com/nats-io/jsm.go/audit":       {},
	"github.com/gosnmp/gosnmp":              {"poller/collect/snmp"},
	"modernc.org/sqlite":                    {"primary/store", "poller/outbox"},
	"github.com/google/cel-go":              {},
	"golang.org/x/crypto/argon2":            {"console/access"},
}

// room returns the longest prefix of dir that is in layers.
func room(dir string) string {
	for d := dir; d != "."; d = path.Dir(d) {
		if _, ok := layers[d]; ok {
			return d
		}
	}
	return ""
}

// module is this module's name, and so the prefix of its import paths.
const module = "midplane/"

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

func TestImports(t *testing.T) {
	goFiles(t, func(file, dir string) {
		if strings.HasSuffix(file, "_test.go") {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		from := room(dir)
		if from == "" {
			t.Errorf("%s is in no layer; add it to layers", dir)
			return
		}
		for _, imp := range f.Imports {
			to, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			checkLibrary(t, file, dir, to)
			if to, ok := strings.CutPrefix(to, module); ok {
				checkLayer(t, file, from, room(to))
			}
		}
	})
}

func checkLayer(t *testing.T, file, from, to string) {
	t.Helper()
	if to == "" {
		t.Errorf("%s imports a package that is in no layer", file)
		return
	}
	if from == to || layers[to] < layers[from] || beside[[2]string{from, to}] {
		return
	}
	t.Errorf("%s: %s may not import %s", file, from, to)
}

func checkLibrary(t *testing.T, file, dir, to string) {
	t.Helper()
	for lib, keepers := range gatekeepers {
		if to != lib && !strings.HasPrefix(to, lib+"/") {
			continue
		}
		ok := false
		for _, k := range keepers {
			ok = ok || dir == k
		}
		if !ok {
			t.Errorf("%s imports %s, which only %v may", file, to, keepers)
		}
	}
}

// The vocabulary stands on the standard library alone.
func TestVocabularyIsStandardLibrary(t *testing.T) {
	goFiles(t, func(file, dir string) {
		if dir != "event" && dir != "fault" || strings.HasSuffix(file, "_test.go") {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imp := range f.Imports {
			p, _ := strconv.Unquote(imp.Path.Value)
			if strings.Contains(strings.SplitN(p, "/", 2)[0], ".") {
				t.Errorf("%s imports %s", file, p)
			}
		}
	})
}
