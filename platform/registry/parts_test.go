package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/tenants"
)

// large is a spec of n devices at one site, with more bytes than are one value.
func large(t testing.TB, id string, n int) *tenants.Spec {
	t.Helper()
	var devices []string
	for i := range n {
		devices = append(devices, fmt.Sprintf(`{"id":"r%05d","name":%q,"address":"192.0.2.1"}`, i, strings.Repeat("x", 100)))
	}
	s, err := tenants.ParseJSON(fmt.Appendf(nil, `{"apiVersion":"midplane/v1","kind":"Tenant","id":%q,"sites":[{"id":"syd","pollers":[{"id":"syd-01"}],"devices":[%s]}]}`, id, strings.Join(devices, ",")))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// inParts ends the upgrade, so that specs may be stored in parts.
func inParts(t testing.TB, r *Registry) {
	t.Helper()
	rev, err := r.Levels.Put(testContext(t), Level{Understands: api.Understands{Formats: api.CurrentFormats()}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	view(t, r, rev)
}

// places returns the revisions of a tenant's parts.
func storedParts(r *Registry, id event.Tenant) map[string]uint64 {
	out := map[string]uint64{}
	r.Config.Prefix(partsOf(id), func(e Entry) { out[e.Key] = e.Revision })
	return out
}

// put stores a spec and returns the tenant as both nodes then see it.
func put(t testing.TB, a, b *Registry, s *tenants.Spec, rev uint64) *Tenant {
	t.Helper()
	rev, err := a.Specs.Put(testContext(t), s, rev)
	if err != nil {
		t.Fatal(err)
	}
	now := view(t, a, rev).Tenants[s.ID]
	for _, x := range []*Tenant{now, view(t, b, rev).Tenants[s.ID]} {
		if x.Problem != "" || x.SpecRevision != rev || len(tenants.Plan(x.Spec, s)) > 0 {
			t.Fatalf("revision %d of %d, problem %q, %d steps away", x.SpecRevision, rev, x.Problem, len(tenants.Plan(x.Spec, s)))
		}
	}
	return now
}

// A large spec is stored in parts, of which a change of one device stores one, and
// another node reads one.
func TestALargeSpecIsStoredInParts(t *testing.T) {
	a, b, _ := pair(t)
	s := large(t, "acme", 1000)
	whole := put(t, a, b, s, 0)
	if whole.PartNames != nil {
		t.Fatal("in parts although no upgrade was ended")
	}
	inParts(t, a)
	first := put(t, a, b, s, whole.SpecRevision)
	were := storedParts(a, "acme")
	if len(were) < 8 || len(first.PartNames["syd"]) != len(were) {
		t.Fatalf("%d parts, named are %v", len(were), first.PartNames)
	}
	onB := b.View().Tenants["acme"]
	s = large(t, "acme", 1000)
	s.Sites[0].Devices[17].Address = "192.0.2.17"
	second := put(t, a, b, s, first.SpecRevision)
	var written []string
	for key, rev := range storedParts(a, "acme") {
		if were[key] != rev {
			written = append(written, key)
		}
	}
	if len(written) != 1 {
		t.Errorf("written for one device: %v", written)
	}
	read := 0
	for ref, p := range b.View().Tenants["acme"].parts {
		if onB.parts[ref] != p {
			read++
		}
	}
	if read != 1 {
		t.Errorf("%d parts were read for one device", read)
	}
	if small := put(t, a, b, large(t, "acme", 10), second.SpecRevision); small.PartNames != nil {
		t.Error("a small spec is in parts")
	}
}

// A node that stopped between the parts and the head leaves the spec as it was, and
// what it stored is used when the command is repeated.
func TestPartsWithoutAHeadChangeNothing(t *testing.T) {
	a, b, _ := pair(t)
	inParts(t, a)
	s := large(t, "acme", 1000)
	was := put(t, a, b, s, 0)
	other := large(t, "acme", 1000)
	for i := range other.Sites[0].Devices {
		other.Sites[0].Devices[i].Address = "192.0.2.2"
	}
	split, err := other.Split()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Specs.PutParts(testContext(t), "acme", split.Parts); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*Registry{a, b} {
		if err := r.Fresh(testContext(t)); err != nil {
			t.Fatal(err)
		}
		if now := r.View().Tenants["acme"]; now.SpecRevision != was.SpecRevision || len(tenants.Plan(now.Spec, s)) > 0 {
			t.Fatal("parts that no head names changed the tenant")
		}
	}
	before := storedParts(b, "acme")
	put(t, b, a, other, was.SpecRevision)
	if diff := cmp.Diff(before, storedParts(b, "acme")); diff != "" {
		t.Errorf("parts were stored again: %s", diff)
	}
}

// What comes later than its head is waited for: until then the tenant is as it was.
func TestAHeadWhosePartsHaveNotArrived(t *testing.T) {
	a, b, _ := pair(t)
	inParts(t, a)
	ctx := testContext(t)
	was := put(t, a, b, large(t, "acme", 1000), 0)
	changed := large(t, "acme", 1000)
	changed.Sites[0].Devices[1].Address = "192.0.2.2"
	split, err := changed.Split()
	if err != nil {
		t.Fatal(err)
	}
	refs := map[string]string{}
	var missing tenants.PartData
	var place int
	for i, p := range split.Parts {
		refs[p.Name] = partRef(p.Name, 1000+i)
		for _, ref := range was.PartNames["syd"] {
			if tenants.PartOf(ref) == p.Name {
				refs[p.Name] = ref
			}
		}
		if refs[p.Name] == partRef(p.Name, 1000+i) {
			missing, place = p, 1000+i
		}
	}
	split.Head.Rename(refs)
	data, err := split.Head.JSON()
	if err != nil {
		t.Fatal(err)
	}
	rev, err := a.config.kv.Update(ctx, specKey("acme"), data, was.SpecRevision)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if now := view(t, b, rev).Tenants["acme"]; now.SpecRevision != was.SpecRevision || now.Problem != "" || now.Spec != was.Spec && len(tenants.Plan(now.Spec, was.Spec)) > 0 {
			t.Fatalf("half a spec: revision %d, problem %q", now.SpecRevision, now.Problem)
		}
	}
	if rev, err = a.config.kv.Create(ctx, partKey("acme", place), missing.Data); err != nil {
		t.Fatal(err)
	}
	if now := view(t, b, rev).Tenants["acme"]; len(tenants.Plan(now.Spec, changed)) > 0 || now.Problem != "" {
		t.Fatalf("the part came and is not seen: %q", now.Problem)
	}
}

// A node that has never seen the tenant does not serve it without all its parts.
func TestAPartThatIsMissingIsAProblem(t *testing.T) {
	a, b, _ := pair(t)
	inParts(t, a)
	put(t, a, b, large(t, "acme", 1000), 0)
	for key := range storedParts(a, "acme") {
		if err := a.config.kv.Delete(testContext(t), key); err != nil {
			t.Fatal(err)
		}
		break
	}
	if err := a.Fresh(testContext(t)); err != nil {
		t.Fatal(err)
	}
	fresh := newViews(a.Config, a.views.sealer).current().Tenants["acme"]
	if fresh.Spec != nil || !strings.Contains(fresh.Problem, "is not there") {
		t.Errorf("served with a part missing: %q", fresh.Problem)
	}
	if now := a.View().Tenants["acme"]; now.Problem != "" || now.Spec == nil {
		t.Errorf("a node that had the tenant gave it up: %q", now.Problem)
	}
}

// Only what neither a spec nor a declaration names is collected, and a place that is
// free is used again.
func TestUnnamedParts(t *testing.T) {
	a, b, _ := pair(t)
	inParts(t, a)
	ctx := testContext(t)
	s := large(t, "acme", 1000)
	first := put(t, a, b, s, 0)
	s = large(t, "acme", 1000)
	s.Sites[0].Devices[1].Address = "192.0.2.2"
	if _, err := a.PutDeclared(ctx, "acme", Declared{Parts: first.PartNames}, 0); err != nil {
		t.Fatal(err)
	}
	second := put(t, a, b, s, first.SpecRevision)
	if got := a.UnnamedParts(); len(got) != 0 {
		t.Errorf("unnamed although they were declared: %v", got)
	}
	_, rev := a.Declared("acme")
	if _, err := a.PutDeclared(ctx, "acme", Declared{Parts: second.PartNames}, rev); err != nil {
		t.Fatal(err)
	}
	got := a.UnnamedParts()
	if len(got) != 1 {
		t.Fatalf("unnamed: %v", got)
	}
	for key, rev := range got {
		if err := a.Specs.DropPart(ctx, key, rev-1); !fault.Is(err, fault.Conflict) {
			t.Errorf("a part that was stored again is dropped: %v", err)
		}
		a.Config.mu.Lock() // as if it had been there for long
		e := a.Config.entries[key]
		e.Seen = time.Now().Add(-2 * PartKept)
		a.Config.entries[key] = e
		a.Config.mu.Unlock()
		s.Sites[0].Devices[1].Address = "192.0.2.3"
		before := len(storedParts(a, "acme"))
		put(t, a, b, s, second.SpecRevision)
		if n := len(storedParts(a, "acme")); n != before {
			t.Errorf("%d places, were %d", n, before)
		}
	}
	if err := a.Specs.Delete(ctx, "acme", a.View().Tenants["acme"].SpecRevision); err != nil {
		t.Fatal(err)
	}
	if err := a.Fresh(ctx); err != nil {
		t.Fatal(err)
	}
	if n := len(a.UnnamedParts()); n == 0 || n == len(storedParts(a, "acme")) {
		t.Errorf("%d parts of a tenant that is gone are unnamed, its declaration still names some", n)
	}
}

// A version that does not know parts does not read a head: it would see no devices.
func TestAHeadSaysItsFormat(t *testing.T) {
	split, err := large(t, "acme", 1000).Split()
	if err != nil {
		t.Fatal(err)
	}
	data, err := split.Head.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var head struct{ Format int }
	if err := json.Unmarshal(data, &head); err != nil || head.Format != api.CurrentFormats().Number(api.FormatRegistry) {
		t.Errorf("format %d, %v", head.Format, err)
	}
}

// Two requests that store different specs at once: one of them is there, whole.
func TestTwoLargeSpecsAtOnce(t *testing.T) {
	a, b, _ := pair(t)
	inParts(t, a)
	if err := b.Fresh(testContext(t)); err != nil {
		t.Fatal(err)
	}
	was := put(t, a, b, large(t, "acme", 1000), 0)
	var specs []*tenants.Spec
	for i := range 2 {
		s := large(t, "acme", 1000)
		for j := range s.Sites[0].Devices {
			s.Sites[0].Devices[j].Address = fmt.Sprintf("198.51.100.%d", i)
		}
		specs = append(specs, s)
	}
	type answer struct {
		rev uint64
		err error
	}
	answers := make([]chan answer, 2)
	for i, r := range []*Registry{a, b} {
		answers[i] = make(chan answer, 1)
		go func(ctx context.Context) {
			rev, err := r.Specs.Put(ctx, specs[i], was.SpecRevision)
			answers[i] <- answer{rev, err}
		}(testContext(t))
	}
	stored := 0
	for i := range answers {
		got := <-answers[i]
		switch {
		case got.err == nil:
			stored++
			for _, r := range []*Registry{a, b} {
				if now := view(t, r, got.rev).Tenants["acme"]; len(tenants.Plan(now.Spec, specs[i])) > 0 || now.Problem != "" {
					t.Errorf("not what was stored: %q", now.Problem)
				}
			}
		case !fault.Is(got.err, fault.Conflict):
			t.Error(got.err)
		}
	}
	if stored != 1 {
		t.Errorf("%d were stored", stored)
	}
}
