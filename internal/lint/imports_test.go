package lint

import (
	"go/parser"
	"go/token"
	"path"
	"strconv"
	"strings"
	"testing"
)

// layer is a floor of the house; a package may import every layer below its
// own. Inside one layer only the imports in beside are allowed.
var layers = map[string]int{
	"event": 0, "fault": 0,
	"api": 1, "schemas": 1, "subject": 1, "telemetry": 1, "streams": 1,
	"tenants": 2, "bus": 2, "poller/collect": 2, "primary/fold": 2, "primary/store": 2, "internal/run": 0, "internal/spread": 0, "internal/ports": 0, "internal/atomicfile": 0, "internal/wait": 0, "internal/once": 0, "internal/pulse": 0, "internal/jsonfields": 0, "internal/memory": 1,
	"platform": 3, "poller": 3, "primary": 3, "primary/consume": 3, "primary/query": 3, "primary/repair": 3, "primary/store/sqlite": 3, "console": 3,
	"cmd": 4, "internal/local": 4, "e2e": 4, "bench": 4, "crash": 4, "docs": 4, "config": 4, "telemetry/export": 4, "internal/testcluster": 4, "internal/testsnmp": 4, "internal/testport": 4, "internal/testwait": 4, "internal/forgetfs": 4, "internal/release": 4, "internal/testregistry": 4, "internal/lint": 4, "poller/pollertest": 4,
}

// beside lists the only imports inside a layer, from → to.
var beside = map[[2]string]bool{
	{"event", "fault"}:                         true,
	{"internal/ports", "fault"}:                true,
	{"tenants", "streams"}:                     true,
	{"tenants", "schemas"}:                     true,
	{"streams", "subject"}:                     true,
	{"api", "subject"}:                         true, // subjects of requests
	{"bus", "schemas"}:                         true,
	{"primary/store", "primary/fold"}:          true,
	{"primary", "primary/consume"}:             true,
	{"primary", "primary/query"}:               true,
	{"primary", "primary/repair"}:              true,
	{"primary", "primary/store/sqlite"}:        true, // the rooms know the interfaces only
	{"poller/pollertest", "internal/testwait"}: true,
	{"cmd", "config"}:                          true,
	{"cmd", "telemetry/export"}:                true,
	{"cmd", "internal/local"}:                  true,
	{"internal/testcluster", "internal/local"}: true,
	{"e2e", "internal/testcluster"}:            true,
	{"e2e", "internal/forgetfs"}:               true,
	{"bench", "internal/testcluster"}:          true,
	{"bench", "internal/testsnmp"}:             true,
	{"cmd", "internal/testcluster"}:            false,
}

// gatekeepers are the only importers of a library outside tests.
var gatekeepers = map[string][]string{
	"github.com/nats-io/nats-server":        {"platform/node", "poller/pollertest", "internal/testregistry"},
	"github.com/spf13/viper":                {"config"},
	"github.com/nats-io/jwt":                {"tenants/account", "internal/testcluster"},
	"github.com/nats-io/nkeys":              {"tenants/account", "bus/renew", "poller/channel", "poller/pollertest", "primary/consume", "internal/testcluster"},
	"github.com/nats-io/jsm.go/natscontext": {"cmd/midplane/shell/connect"},
	"github.com/nats-io/jsm.go/api":         {},
	"github.com/nats-io/jsm.go/audit":       {},
	"github.com/gosnmp/gosnmp":              {"poller/collect/snmp", "internal/testsnmp"},
	"github.com/miekg/dns":                  {"poller/collect/dns"},
	"github.com/hanwen/go-fuse":             {"internal/forgetfs"}, // for tests
	"modernc.org/sqlite":                    {"primary/store/sqlite", "poller/outbox"},
	"github.com/google/cel-go":              {},
	"github.com/minio/highwayhash":          {"platform/node/blocks"}, // the checksum of the server's records
	"github.com/klauspost/compress":         {"platform/node/blocks"},
	"golang.org/x/crypto/argon2":            {"console/access"},
	"golang.org/x/sys":                      {"cmd/midplane/shell/output"}, // the width of a terminal
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
