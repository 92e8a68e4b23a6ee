package account

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/jwt/v2"

	"midplane/event"
)

var update = flag.Bool("update", false, "write the golden files")

// In the tenant in which nodes try their doors nobody else produces: its producers
// connect from inside. The roles are those of every tenant otherwise.
func TestProducersOfProbesAreInside(t *testing.T) {
	const secret = "secret"
	for id, want := range map[event.Tenant][]string{"acme": {tcp}, event.ProbeTenant: {inProcess}} {
		got, rest := templatesOf(id, secret), tenantTemplates(secret)
		if !slices.Equal(got[RoleProducer].AllowedConnectionTypes, want) {
			t.Errorf("%s: %v", id, got[RoleProducer].AllowedConnectionTypes)
		}
		probes := got[RoleProducer]
		probes.AllowedConnectionTypes = rest[RoleProducer].AllowedConnectionTypes
		got[RoleProducer] = probes
		if diff := cmp.Diff(rest, got); diff != "" {
			t.Errorf("%s:\n%s", id, diff)
		}
	}
}

// A tenant imports its own branch of the control channel and no other's,
// and reaches the JetStream API through the fence.
func TestTenantImports(t *testing.T) {
	w := newWorld(t)
	keys := must(NewKeys(TenantRoles))(t)
	var got []string
	for _, i := range w.acme(t, keys).Imports {
		got = append(got, fmt.Sprintf("%s %s: %s from %s", i.Name, i.Type, i.LocalSubject, strings.NewReplacer(keys.Public, "ACME", w.control.Public, "CONTROL", w.sys.Public, "SYS").Replace(i.Account+" "+string(i.Subject))))
	}
	sort.Strings(got)
	want := []string{
		"api service: a.secret.> from SYS $JS.API.>",
		"control service: control.> from CONTROL control.ACME.>",
		"fence service: $JS.API.> from SYS fence.>",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	ctl, err := w.signer.Control(w.control, 1<<30)
	exports := claimsOf(t, ctl, err).Exports
	if len(exports) != 2 || exports[0].AccountTokenPosition != 2 || exports[0].Subject != "control.*.>" || exports[1].Subject != "enrol.*" || !exports[1].TokenReq {
		t.Errorf("%+v", exports)
	}
}

// What the fence leads back to the API neither changes nor removes anything
// when it is asked with an empty message.
func TestFence(t *testing.T) {
	w := newWorld(t)
	token, err := w.signer.System(w.sys)
	for from, to := range claimsOf(t, token, err).Mappings {
		if len(to) != 1 || to[0].GetWeight() != 100 {
			t.Fatalf("%s: %v", from, to)
		}
		switch dest := string(to[0].Subject); dest {
		case "$JS.API.CONSUMER.INFO.$1.$2", "$JS.API.CONSUMER.CREATE.>", "$JS.API.STREAM.MSG.GET.$1":
		default:
			t.Errorf("%s leads to %s", from, dest)
		}
	}
}

// roleTable writes templates as the table of the design has them.
func roleTable(title string, templates map[Role]jwt.UserPermissionLimits) string {
	var b strings.Builder
	var roles []string
	for r := range templates {
		roles = append(roles, string(r))
	}
	sort.Strings(roles)
	for _, r := range roles {
		tpl := templates[Role(r)]
		fmt.Fprintf(&b, "%s %s (%s)\n", title, r, strings.Join(tpl.AllowedConnectionTypes, ", "))
		for _, s := range tpl.Pub.Allow {
			fmt.Fprintf(&b, "  publish   %s\n", s)
		}
		for _, s := range tpl.Sub.Allow {
			fmt.Fprintf(&b, "  subscribe %s\n", s)
		}
	}
	return b.String()
}

// The roles are exactly the design's table: a change here is a decision.
func TestRoles(t *testing.T) {
	got := roleTable("tenant", tenantTemplates(secret)) + roleTable("CONTROL", controlTemplates()) + roleTable("ENROL", enrolTemplates()) + roleTable("SYS", systemTemplates())
	// All else that an account of a tenant is, but for its keys: a node of another
	// version would take a difference for one that was not planned.
	w := newWorld(t)
	rest := w.acme(t, must(NewKeys(TenantRoles))(t))
	plan, err := json.MarshalIndent(map[string]any{"limits": rest.Limits, "default_permissions": rest.DefaultPermissions, "mappings": rest.Mappings, "exports": rest.Exports}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got += "account " + string(plan) + "\n"
	const path = "testdata/roles.golden"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); d != "" {
		t.Errorf("raise RolesVersion when a template changes:\n%s", d)
	}
	for role, tpl := range tenantTemplates(secret) {
		stranger := slices.Contains(UserRoles, role)
		for _, s := range slices.Concat(tpl.Pub.Allow, tpl.Sub.Allow) {
			if stranger && (strings.Contains(s, string(secret)) || s == ">" || strings.HasPrefix(s, "$JS.API.>") || strings.HasPrefix(s, "$SYS")) {
				t.Errorf("role %s has %s", role, s)
			}
		}
		if !cmp.Equal(tpl.NatsLimits, jwt.NewUserScope().Template.NatsLimits) || len(tpl.Pub.Deny)+len(tpl.Sub.Deny) > 0 {
			t.Errorf("role %s: %+v", role, tpl)
		}
	}
}
