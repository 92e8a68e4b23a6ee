package account

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"midplane/event"
	"midplane/fault"
	"midplane/subject"
)

const secret = subject.Capability("secret")

// world is an operator and the accounts that a deployment begins with.
type world struct {
	op           Operator
	signer       *Signer
	sys, control Keys
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newWorld(t testing.TB) *world {
	w := &world{sys: must(NewKeys(SystemRoles))(t), control: must(NewKeys(ControlRoles))(t)}
	w.op = must(NewOperator("midplane", w.sys.Public))(t)
	w.signer = must(NewSigner(w.op.Signing))(t)
	return w
}

func (w *world) hubs() Hubs { return Hubs{Control: w.control.Public, System: w.sys.Public} }

var limits = Limits{Connections: 100, Storage: 1 << 30, Subscriptions: 2000, Consumers: 64, MaxAckPending: 10_000}

func claimsOf(t testing.TB, token string, err error) *jwt.AccountClaims {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	c, err := jwt.DecodeAccountClaims(token)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *world) acme(t testing.TB, keys Keys) *jwt.AccountClaims {
	token, err := w.signer.Tenant(Tenant{ID: "acme", Keys: keys, Hubs: w.hubs(), Capability: secret, Limits: limits})
	return claimsOf(t, token, err)
}

// The operator's identity key signs nothing but the operator.
func TestOperatorIsStrict(t *testing.T) {
	w := newWorld(t)
	c, err := jwt.DecodeOperatorClaims(w.op.JWT)
	if err != nil {
		t.Fatal(err)
	}
	signing, err := nkeys.FromSeed(w.op.Signing)
	if err != nil {
		t.Fatal(err)
	}
	if !c.StrictSigningKeyUsage || c.SystemAccount != w.sys.Public || !slices.Contains([]string(c.SigningKeys), public(signing)) || c.Subject != w.op.Public {
		t.Errorf("%+v", c.Operator)
	}
	keys := must(NewKeys(TenantRoles))(t)
	if got := w.acme(t, keys).Issuer; got == w.op.Public || got != public(signing) {
		t.Errorf("the account is signed by %s", got)
	}
}

func TestEveryAccountDeniesByDefault(t *testing.T) {
	w := newWorld(t)
	keys := must(NewKeys(TenantRoles))(t)
	system, err := w.signer.System(w.sys)
	sys := claimsOf(t, system, err)
	ctl, err := w.signer.Control(w.control, 1<<30)
	control := claimsOf(t, ctl, err)
	tomb, err := w.signer.Tombstone("acme", keys.Public, time.Time{})
	dead := claimsOf(t, tomb, err)
	for _, c := range []*jwt.AccountClaims{sys, control, dead, w.acme(t, keys)} {
		all := jwt.StringList{">"}
		p := c.DefaultPermissions
		if !cmp.Equal(p.Pub.Deny, all) || !cmp.Equal(p.Sub.Deny, all) || len(p.Pub.Allow)+len(p.Sub.Allow) > 0 || p.Resp != nil {
			t.Errorf("%s: default permissions %+v", c.Name, p)
		}
		if !c.Limits.DisallowBearer || c.Trace != nil {
			t.Errorf("%s: bearer tokens or traces are allowed", c.Name)
		}
		for key, scope := range c.SigningKeys {
			s, ok := scope.(*jwt.UserScope)
			if !ok || len(s.Template.Pub.Allow) == 0 || len(s.Template.Sub.Allow) == 0 || len(s.Template.AllowedConnectionTypes) == 0 || s.Template.Resp != nil || s.Template.BearerToken {
				t.Errorf("%s: key %s has the scope %+v: an empty list would allow everything", c.Name, key, scope)
			}
			if key == c.Subject {
				t.Errorf("%s: the identity key signs users", c.Name)
			}
		}
	}
}

// Every limit that the server would take 0 or -1 in for "unlimited" is finite.
func TestTenantLimitsAreFinite(t *testing.T) {
	w := newWorld(t)
	c := w.acme(t, must(NewKeys(TenantRoles))(t))
	l := c.Limits
	if l.Conn <= limits.Connections || l.Conn > limits.Connections+ReservedConnections+RoomToClose || l.Subs != limits.Subscriptions || l.Payload != MaxPayload || l.LeafNodeConn != 0 || l.Exports != 0 || l.WildcardExports || l.Imports != int64(len(c.Imports)) {
		t.Errorf("%+v %+v", l.AccountLimits, l.NatsLimits)
	}
	if !cmp.Equal(l.JetStreamLimits, jwt.JetStreamLimits{}) {
		t.Errorf("untiered limits beside the tiers: %+v", l.JetStreamLimits)
	}
	want := jwt.JetStreamTieredLimits{
		"R3": {DiskStorage: 1 << 30, Streams: 5, Consumer: 96, MaxAckPending: 10_000, DiskMaxStreamBytes: 1 << 30, MaxBytesRequired: true},
		// Consumers only: without the tier ordered consumers fail, with disk in it R1 streams were possible.
		"R1": {MemoryStorage: 0, DiskStorage: 0, Streams: 1, Consumer: 96, MaxAckPending: 10_000, MaxBytesRequired: true},
	}
	if d := cmp.Diff(want, l.JetStreamTieredLimits); d != "" {
		t.Error(d)
	}

	tenant := Tenant{ID: "acme", Keys: must(NewKeys(TenantRoles))(t), Hubs: w.hubs(), Capability: "cap", Limits: limits}
	tenant.Limits.Unbounded = true
	token, err := w.signer.Tenant(tenant)
	r3 := want["R3"]
	r3.MaxBytesRequired = false
	want["R3"] = r3
	if d := cmp.Diff(want, claimsOf(t, token, err).Limits.JetStreamTieredLimits); d != "" {
		t.Errorf("where streams may be unbounded: %s", d)
	}
}

// A 0 in streams or consumers means "unlimited" to the server: no account that
// is signed here has one in a tier.
func TestNoTierIsUnlimited(t *testing.T) {
	w := newWorld(t)
	keys := must(NewKeys(TenantRoles))(t)
	tomb, err := w.signer.Tombstone("acme", keys.Public, time.Time{})
	dead := claimsOf(t, tomb, err)
	ctl, err := w.signer.Control(w.control, 1<<30)
	for _, c := range []*jwt.AccountClaims{w.acme(t, keys), dead, claimsOf(t, ctl, err)} {
		if len(c.Limits.JetStreamTieredLimits) != 2 {
			t.Errorf("%s: %+v", c.Name, c.Limits.JetStreamTieredLimits)
		}
		for name, l := range c.Limits.JetStreamTieredLimits {
			if l.Streams <= 0 || l.Consumer <= 0 || l.MaxAckPending <= 0 || !l.MaxBytesRequired {
				t.Errorf("%s, tier %s: %+v", c.Name, name, l)
			}
		}
	}
}

func TestLimitsThatAreNotFiniteAreRefused(t *testing.T) {
	w := newWorld(t)
	keys := must(NewKeys(TenantRoles))(t)
	for _, spoil := range []func(*Limits){
		func(l *Limits) { l.Connections = 0 }, func(l *Limits) { l.Connections = -1 }, func(l *Limits) { l.Storage = 0 }, func(l *Limits) { l.Storage = -1 },
		func(l *Limits) { l.Subscriptions = 0 }, func(l *Limits) { l.Consumers = 0 }, func(l *Limits) { l.MaxAckPending = 0 }, func(l *Limits) { *l = Limits{} },
	} {
		l := limits
		spoil(&l)
		if token, err := w.signer.Tenant(Tenant{ID: "acme", Keys: keys, Hubs: w.hubs(), Capability: secret, Limits: l}); fault.KindOf(err) != fault.Invalid || token != "" {
			t.Errorf("%+v: %v", l, err)
		}
	}
}

// A tombstone lets no user in, for ever.
func TestTombstone(t *testing.T) {
	w := newWorld(t)
	keys := must(NewKeys(TenantRoles))(t)
	token, err := w.signer.Tombstone("acme", keys.Public, time.Time{})
	c := claimsOf(t, token, err)
	if c.Subject != keys.Public || c.Limits.Conn != 0 || len(c.SigningKeys) != 0 || len(c.Imports) != 0 || c.Expires != 0 {
		t.Errorf("%+v", c)
	}
	if !c.Revocations.IsRevoked("UANYBODY", time.Now().Add(-time.Second)) {
		t.Error("users issued until now are not revoked")
	}
	if len(c.Limits.JetStreamTieredLimits) == 0 {
		t.Error("no JetStream limits: streams of the account would be dead until the nodes are restarted")
	}
}

func TestLaterJWTIsNewer(t *testing.T) {
	w := newWorld(t)
	keys := must(NewKeys(TenantRoles))(t)
	first, err := w.signer.Tenant(Tenant{ID: "acme", Keys: keys, Hubs: w.hubs(), Capability: secret, Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	at, key, err := IssuedAt(first)
	if err != nil || key != keys.Public {
		t.Fatal(key, err)
	}
	second, err := w.signer.Tenant(Tenant{ID: "acme", Keys: keys, Hubs: w.hubs(), Capability: secret, Limits: limits, After: at})
	if err != nil {
		t.Fatal(err)
	}
	if next, _, _ := IssuedAt(second); !next.After(at) {
		t.Errorf("issued %s, then %s", at, next)
	}
	if _, _, err := IssuedAt("nonsense"); fault.KindOf(err) != fault.Invalid {
		t.Error(err)
	}
}

func TestKeysOfTheWrongKindAreRefused(t *testing.T) {
	w := newWorld(t)
	_, user, err := NewUserKey()
	if err != nil {
		t.Fatal(err)
	}
	for what, seed := range map[string][]byte{"user": user, "account": w.control.Seed, "nothing": nil, "nonsense": []byte("SOAB")} {
		if _, err := NewSigner(seed); fault.KindOf(err) != fault.Invalid {
			t.Errorf("a %s seed signs accounts: %v", what, err)
		}
		if bytes.Contains([]byte(fmt.Sprint(err)), seed) && len(seed) > 0 {
			t.Errorf("the error shows the seed")
		}
	}
	keys := must(NewKeys([]Role{RolePoller}))(t) // the others are missing
	if _, err := w.signer.Tenant(Tenant{ID: "acme", Keys: keys, Hubs: w.hubs(), Capability: secret, Limits: limits}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("an account without all its roles was signed: %v", err)
	}
	for _, id := range []event.Tenant{"", "*", "a.b", ">", "A", "acme ", "a\nb"} {
		if _, err := w.signer.Tenant(Tenant{ID: id, Keys: must(NewKeys(TenantRoles))(t), Hubs: w.hubs(), Capability: secret, Limits: limits}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("tenant %q: %v", id, err)
		}
	}
}
