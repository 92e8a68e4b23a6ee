package docs_test

import (
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
	"midplane/platform/ingress"
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
	for _, r := range ingress.Table {
		reason := "–"
		if r.Reason != "" {
			reason = "`" + r.Reason + "`"
		}
		fmt.Fprintf(&b, "| %d | %d | %s | %s |\n", r.Status, r.Code, r.Text, reason)
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
		for _, stream := range []string{"EVENTS", "STATE", "METRICS", "DEAD"} {
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

// fact is what the reference says of a field beyond its comment.
type fact struct{ def, allowed, meaning string }

func span(lo, hi any) string { return fmt.Sprintf("%v to %v", lo, hi) }

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

// facts are by the path of the field in a tenant's file.
var facts = map[string]fact{
	"apiVersion": {"required", "`" + tenants.APIVersion + "`", "version of the file's form"},
	"kind":       {"required", "`" + tenants.KindTenant + "`", "what the file declares"},
	"id":         {"required", "a name; never changes", "the tenant, and the name of its NATS account"},
	"name":       {"the id", "120 bytes", "for people"},
	"contact":    {"none", "200 bytes", "whom to tell"},
	"policy":     {tenants.PolicyEnforce, "`enforce`, `warn`", "what happens to a message that breaks its schema: refused, or stored with `ce-violation` and counted"},

	"quota":             {"", "", "how much the tenant may use"},
	"quota.storage":     {tenants.DefaultStorage.String(), span(tenants.MinStorage, tenants.MaxStorage), ""},
	"quota.connections": {fmt.Sprint(tenants.DefaultConnections), span(1, tenants.MaxConnections), ""},
	"quota.messageRate": {fmt.Sprint(tenants.DefaultMessageRate), span(1, tenants.MaxMessageRate), ""},
	"quota.messageSize": {tenants.DefaultMessageSize.String(), span(tenants.MinMessageSize, tenants.MaxMessageSize), ""},

	"quota.connectionsPerUser":  {fmt.Sprint(tenants.DefaultConnectionsPerUser), span(tenants.MinConnectionsPerUser, tenants.MaxConnectionsPerUser), ""},
	"quota.subscriptions":       {fmt.Sprint(tenants.DefaultSubscriptions), span(tenants.MinSubscriptions, tenants.MaxSubscriptions), ""},
	"quota.consumers":           {fmt.Sprint(tenants.DefaultConsumers), span(1, tenants.MaxConsumers), ""},
	"quota.maxAckPending":       {fmt.Sprint(tenants.DefaultMaxAckPending), span(1, tenants.MaxAckPending), ""},
	"quota.byteRate":            {"4KiB × messageRate", span(tenants.MinByteRate, tenants.MaxByteRate), "bytes per second with subject and headers, over all nodes"},
	"quota.producerMessageRate": {"messageRate / 4", span(1, tenants.MaxMessageRate), "messages per second of one producer at one node"},
	"quota.producerByteRate":    {"byteRate / 4", span(tenants.MinByteRate, tenants.MaxByteRate), "bytes per second of one producer at one node"},

	"retention":         {"", "", "how long what has been read is kept"},
	"retention.events":  {days(tenants.DefaultRetentionEvents), span(days(tenants.MinRetention), days(tenants.MaxRetention)), "age from which read events may go"},
	"retention.metrics": {days(tenants.DefaultRetentionMetrics), span(days(tenants.MinRetention), days(tenants.MaxRetention)), "the same for metrics"},
	"retention.dead":    {days(tenants.DefaultRetentionDead), span(days(tenants.MinRetention), days(tenants.MaxRetention)), "the same for dead letters, read or not"},

	"sites":                      {"none", "", "places in the tenant's network"},
	"sites[].id":                 {"required", "a name", "unique within the tenant"},
	"sites[].name":               {"the id", "120 bytes", "for people"},
	"sites[].pollers":            {"none", "", "agents at the site; one at least where there are devices"},
	"sites[].pollers[].id":       {"required", "a name, used once in the tenant", "the poller, and the name of its user"},
	"sites[].pollers[].embedded": {"false", "", "`midplane up` runs it itself"},

	"sites[].devices":           {"none", "", "what is watched"},
	"sites[].devices[].id":      {"required", "80 bytes of printable text", "unique within the site; without `/if/` and `/check/`"},
	"sites[].devices[].name":    {"none", "200 bytes", "for people"},
	"sites[].devices[].address": {"required", "", ""},
	"sites[].devices[].poller":  {"shared out", "a poller of the site", "who watches it; without it the site's pollers share such devices"},
	"sites[].devices[].snmp":    {"none", "", "how to talk to its SNMP agent"},
	"sites[].devices[].checks":  {"ping, and snmp where there is `snmp`", "", "what to do on a schedule"},

	"sites[].devices[].checks[].name":      {"required", "a name", "unique within the device"},
	"sites[].devices[].checks[].collector": {"required", "see [Collectors](#collectors)", "who does it"},
	"sites[].devices[].checks[].interval":  {days(tenants.DefaultInterval), "1s to 24h", "from the beginning of one run to that of the next, a tenth earlier or later"},
	"sites[].devices[].checks[].timeout":   {days(tenants.DefaultTimeout) + ", or the interval when that is shorter", "50ms to the interval", "how long it may work on the network"},
	"sites[].devices[].checks[].params":    {"none", "32 at most, values of 2048 bytes", "the collector's own"},

	"sites[].devices[].snmp.version":        {"2c with a community, 3 with a user", "", ""},
	"sites[].devices[].snmp.port":           {fmt.Sprint(tenants.DefaultSNMPPort), "1 to 65535", "UDP port of the agent"},
	"sites[].devices[].snmp.community":      {"none", "a reference", "for version 2c"},
	"sites[].devices[].snmp.user":           {"none", "32 bytes", "for version 3, like the rest"},
	"sites[].devices[].snmp.authProtocol":   {"none", "", ""},
	"sites[].devices[].snmp.authSecret":     {"none", "a reference", "goes with authProtocol"},
	"sites[].devices[].snmp.privProtocol":   {"none", "", "needs authProtocol"},
	"sites[].devices[].snmp.privSecret":     {"none", "a reference", "goes with privProtocol"},
	"sites[].devices[].snmp.context":        {"none", "64 bytes", "SNMP context"},
	"sites[].devices[].snmp.maxRepetitions": {"the collector's", "0 to 255", "rows asked for at once"},

	"subscriptions":                   {"none", "", "durable consumers for applications, made by the control plane"},
	"subscriptions[].application":     {"required", "a name that is no poller's", "the `reader`, `app` or `inspector` that reads"},
	"subscriptions[].name":            {"required", "a name", "unique within the application"},
	"subscriptions[].stream":          {"required", "`EVENTS`, `STATE`, `METRICS`, `DEAD`", "what it reads"},
	"subscriptions[].filter":          {"everything", fmt.Sprintf("%d combinations", streams.MaxFilters), "which messages; an empty list means any"},
	"subscriptions[].filter.severity": {"any", "the eight of RFC 5424; EVENTS only", "exactly these"},
	"subscriptions[].filter.type":     {"any", "types, or their first words", "`net.interface` stands for all that begin so"},
	"subscriptions[].filter.site":     {"any", "sites of the tenant, or `_`; not for DEAD", "`_` is the site of producers that have none"},
	"subscriptions[].whenFull":        {tenants.WhenFullHold, "`hold`, `skip`", "hold: what is unread stays, and producers wait; skip: it may go, and an event says what"},

	"schemas":               {"none", "200", "the tenant's own types"},
	"schemas[].type":        {"required", "", "like `acme.door.opened.v1`; not one of Midplane's own"},
	"schemas[].kind":        {"required", "`event`, `state`, `metric`", "of which kind its messages are"},
	"schemas[].version":     {"1", "", "raised for a compatible change; a breaking one is a new type"},
	"schemas[].file":        {"required", "64 KiB, inside the folder", "JSON Schema 2020-12, named relative to this file"},
	"schemas[].example":     {"required, or `exampleFile`", "", "a payload that the schema accepts"},
	"schemas[].exampleFile": {"none", "", "the same in a file of its own"},
	"schemas[].line":        {"none", "", "one line for people, with `{field}` in it"},
}

// spec lists every field of a tenant's file.
func spec(t *testing.T) string {
	files := source(t)
	where := map[string][2]string{
		"Quota": {"tenants/spec.go", "Quota"}, "Retention": {"tenants/spec.go", "Retention"}, "[]Site": {"tenants/spec.go", "Site"},
		"[]Poller": {"tenants/spec.go", "Poller"}, "[]Device": {"tenants/spec.go", "Device"}, "[]Check": {"tenants/spec.go", "Check"},
		"[]Subscription": {"tenants/spec.go", "Subscription"}, "Filter": {"tenants/spec.go", "Filter"}, "[]schemaEntry": {"tenants/spec.go", "schemaEntry"},
		"api.SNMP": {"api/channel.go", "SNMP"},
	}
	var b strings.Builder
	b.WriteString("| field | default | allowed | meaning |\n|---|---|---|---|\n")
	seen := map[string]bool{}
	var walk func(prefix string, list []field)
	walk = func(prefix string, list []field) {
		for _, f := range list {
			at := prefix + f.name
			seen[at] = true
			x, ok := facts[at]
			if x.meaning == "" {
				x.meaning = f.comment
			} else if f.comment != "" && !strings.Contains(x.meaning, f.comment) && x.allowed == "" {
				x.allowed = f.comment
			}
			if !ok || x.meaning == "" {
				t.Errorf("the reference says nothing of %s", at)
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", at, cell(x.def), cell(x.allowed), cell(x.meaning))
			if inner, ok := where[f.goType]; ok {
				if strings.HasPrefix(f.goType, "[]") {
					at += "[]"
				}
				walk(at+".", fields(t, files[inner[0]], inner[1]))
			}
		}
	}
	walk("", fields(t, files["tenants/spec.go"], "document"))
	for at := range facts {
		if !seen[at] {
			t.Errorf("a tenant's file has no field %s", at)
		}
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
		{"docs/reference/tenant-file.md", "every file at most " + tenants.Bytes(tenants.MaxFile).Spaced()},
		{"docs/reference/subjects-and-roles.md", days(api.MaxClockSkew)},
		{"docs/runbooks/stream-full.md", fmt.Sprintf("%d %%", streams.TrimAbove)},
		{"ARCHITECTURE.md", days(streams.DuplicateWindow)},
	} {
		data, err := os.ReadFile(filepath.Join(root, q.page))
		if err != nil {
			t.Error(err)
		} else if !strings.Contains(string(data), q.text) {
			t.Errorf("%s does not say %q", q.page, q.text)
		}
	}
}
