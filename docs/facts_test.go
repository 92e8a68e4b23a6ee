package docs_test

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/nats-io/jwt/v2"

	"midplane/api"
	"midplane/console"
	"midplane/event"
	"midplane/platform/ingress/admit"
	"midplane/poller/collect/all"
	"midplane/schemas/catalog"
	"midplane/streams"
	"midplane/tenants"
	"midplane/tenants/account"
)

// refusals is the one table of what the ingress answers.
func refusals(*testing.T) string {
	var b strings.Builder
	b.WriteString("| code | err_code | why | kept in DEAD as |\n|---|---|---|---|\n")
	for _, r := range admit.Table {
		reason := "–"
		if r.Reason != "" {
			reason = "`" + r.Reason + "`"
		}
		fmt.Fprintf(&b, "| %d | %d | %s | %s |\n", r.Status, r.Code, r.Text, reason)
	}
	return b.String()
}

// problems is the one table of what can be wrong.
func problems(*testing.T) string {
	var b strings.Builder
	b.WriteString("| code | scope | severity | meaning | what to do | may follow from |\n|---|---|---|---|---|---|\n")
	for _, r := range api.Codes {
		var from []string
		for _, c := range r.Code.MayFollow() {
			from = append(from, "`"+string(c)+"`")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", r.Code, r.Scope, r.Severity, cell(r.Meaning), cell(r.Do), cmp.Or(strings.Join(from, ", "), "–"))
	}
	return b.String()
}

// routes says who may ask the console what.
func routes(t *testing.T) string {
	list, err := console.Routes()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("| method | path | who may |\n|---|---|---|\n")
	for _, r := range list {
		fmt.Fprintf(&b, "| %s | `%s` | %s |\n", r.Method, r.Path, r.Needs)
	}
	return b.String()
}

// schemas is the reference of the built-in types.
func schemas(*testing.T) string { return catalog.Markdown() }

// roles reads the permissions out of accounts that are really signed.
func roles(t *testing.T) string {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	keys := func(list []account.Role) account.Keys {
		k, err := account.NewKeys(list)
		must(err)
		return k
	}
	sys, ctl, enr, acme := keys(account.SystemRoles), keys(account.ControlRoles), keys(account.EnrolRoles), keys(account.TenantRoles)
	op, err := account.NewOperator("midplane", sys.Public)
	must(err)
	signer, err := account.NewSigner(op.Signing)
	must(err)
	tenant, err := signer.Tenant(account.Tenant{ID: "acme", Keys: acme, Hubs: account.Hubs{Control: ctl.Public, System: sys.Public}, Capability: "<secret>",
		Limits: account.Limits{Connections: 1, Storage: 1, Subscriptions: 1, Consumers: 1, MaxAckPending: 1}})
	must(err)
	control, err := signer.Control(ctl, 1)
	must(err)
	system, err := signer.System(sys)
	must(err)
	enrol, err := signer.Enrol(enr, ctl)
	must(err)
	var b strings.Builder
	for _, a := range []struct{ name, token string }{{"A tenant's account", tenant}, {"CONTROL", control}, {"ENROL", enrol}, {"SYS", system}} {
		claims, err := jwt.DecodeAccountClaims(a.token)
		must(err)
		fmt.Fprintf(&b, "### %s\n\n| role | publish | subscribe | connects |\n|---|---|---|---|\n", a.name)
		byRole := map[string]*jwt.UserScope{}
		for _, scope := range claims.SigningKeys {
			s, ok := scope.(*jwt.UserScope)
			if !ok {
				t.Fatal("a signing key without a role could sign anything")
			}
			byRole[s.Role] = s
		}
		for _, role := range slices.Sorted(maps.Keys(byRole)) {
			s := byRole[role].Template
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", role, subjects(s.Pub.Allow), subjects(s.Sub.Allow), strings.ToLower(strings.Join(s.AllowedConnectionTypes, ", ")))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// subjects shows a list; what is the same for all four streams stands once.
func subjects(list []string) string {
	var out []string
	for _, s := range list {
		for _, stream := range event.Streams {
			s = strings.Replace(s, "."+stream, ".S", 1)
		}
		if s = "`" + s + "`"; !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return strings.Join(out, "<br>")
}

// collectors shows the page of each collector.
func collectors(t *testing.T) string {
	var b strings.Builder
	for _, name := range sorted(all.Collectors()) {
		data, err := os.ReadFile(filepath.Join(root, "poller/collect", name, "README.md"))
		if err != nil {
			t.Fatal(err)
		}
		page := strings.Replace(string(data), "# "+name, "### "+name, 1)
		page = strings.ReplaceAll(page, "\n## ", "\n#### "+name+": ")
		b.WriteString(strings.TrimSpace(page) + "\n\n")
	}
	return b.String()
}

// days writes a long duration as tenants' files do.
func days(d time.Duration) string {
	if d >= 48*time.Hour && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// spec lists every field of a tenant's file.
func spec(*testing.T) string {
	var b strings.Builder
	b.WriteString("| field | default | allowed | meaning |\n|---|---|---|---|\n")
	for _, f := range tenants.Fields() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Path, cell(f.Default), cell(f.Allowed), cell(f.Meaning))
	}
	return b.String()
}

var yamlFence = regexp.MustCompile("(?s)```yaml\n(apiVersion:.*?)```")

// TestTenantFiles loads every whole tenant's file that a page shows.
func TestTenantFiles(t *testing.T) {
	found := 0
	opt := tenants.Options{Collectors: sorted(all.Collectors())}
	door, err := os.ReadFile(filepath.Join(root, "tenants/example/schemas/door.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages(t) {
		for _, m := range yamlFence.FindAllStringSubmatch(p.text, -1) {
			found++
			fsys := fstest.MapFS{"tenant.yaml": {Data: []byte(m[1])}, "schemas/door.json": {Data: door}}
			if _, err := tenants.LoadFS(fsys, p.name, opt); err != nil {
				t.Errorf("%s: %v", p.name, err)
			}
		}
	}
	if found == 0 {
		t.Error("no page shows a tenant's file")
	}
	if _, err := tenants.LoadDir("examples/tenants", opt); err != nil {
		t.Error(err)
	}
}

// TestQuotedNumbers holds numbers in the text against the code.
func TestQuotedNumbers(t *testing.T) {
	for _, q := range []struct{ page, text string }{
		{"docs/reference/tenant-file.md", fmt.Sprintf("at most %d devices, a device at most %s as JSON, everything else together at most %d KiB", tenants.MaxDevices, tenants.Bytes(tenants.MaxDevice).Spaced(), tenants.MaxSpec>>10)},
		{"docs/reference/tenant-file.md", "every file at most " + tenants.Bytes(tenants.MaxFile).Spaced()},
		{"docs/reference/subjects-and-roles.md", days(api.MaxClockSkew)},
		{"docs/runbooks/stream-full.md", fmt.Sprintf("%d %%", streams.TrimAbove)},
		{"ARCHITECTURE.md", days(streams.DuplicateWindow)},
		{"ARCHITECTURE.md", "METRICS " + days(streams.MetricsWindow)},
		{"docs/reference/headers.md", fmt.Sprintf("%d minutes, of METRICS %d", streams.DuplicateWindow/time.Minute, streams.MetricsWindow/time.Minute)},
	} {
		data, err := os.ReadFile(filepath.Join(root, q.page))
		if err != nil {
			t.Error(err)
		} else if !strings.Contains(string(data), q.text) {
			t.Errorf("%s does not say %q", q.page, q.text)
		}
	}
}
