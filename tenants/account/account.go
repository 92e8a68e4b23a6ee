// Package account makes and signs the JWTs that NATS accounts and users are:
// the operator, SYS, CONTROL and one account per tenant, and users by role.
//
// It is stateless: keys come in, JWTs go out, and it does no I/O except that
// seal.go reads the master key. It is the only importer of nats-io/jwt. Every
// account denies everything by default; what a user may do is written once, in
// the template of its role (roles.go), and a user's JWT carries nothing but
// name, tags and expiry.
package account

import (
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"midplane/event"
	"midplane/fault"
	"midplane/subject"
)

// MaxPayload is the account's limit for one message in bytes. A tenant's own
// message size is enforced at the door, below it.
const MaxPayload = 1 << 20

// Signer signs account JWTs with an operator signing key. The operator's
// identity key is not needed once the deployment is made.
type Signer struct {
	key nkeys.KeyPair
}

// NewSigner returns a Signer for the seed of an operator signing key.
func NewSigner(seed []byte) (*Signer, error) {
	kp, err := fromSeed(seed, nkeys.PrefixByteOperator, "operator signing key")
	if err != nil {
		return nil, err
	}
	return &Signer{key: kp}, nil
}

// Operator is the root of trust.
type Operator struct {
	JWT      string
	Public   string
	Identity []byte // seed; to be kept offline
	Signing  []byte // seed; signs account JWTs
}

// NewOperator makes an operator whose identity key never signs an account.
// system is the public key of the SYS account.
func NewOperator(name, system string) (Operator, error) {
	identity, err := nkeys.CreateOperator()
	if err != nil {
		return Operator{}, fault.Wrap(fault.Other, err, "make the operator key")
	}
	signing, err := nkeys.CreateOperator()
	if err != nil {
		return Operator{}, fault.Wrap(fault.Other, err, "make the operator signing key")
	}
	op := Operator{Public: public(identity), Identity: seed(identity), Signing: seed(signing)}
	claims := jwt.NewOperatorClaims(op.Public)
	claims.Name = name
	claims.StrictSigningKeyUsage = true
	claims.SystemAccount = system
	claims.SigningKeys.Add(public(signing))
	op.JWT, err = claims.Encode(identity)
	return op, fault.Wrap(fault.Other, err, "sign the operator")
}

// Keys are an account's identity and the signing key of each of its roles, as
// seeds. They are sealed wherever they are kept.
type Keys struct {
	Public string          `json:"public"`
	Seed   []byte          `json:"seed"`
	Roles  map[Role][]byte `json:"roles"`
}

// Issuer returns the public key that users of a role are signed with, "" when
// there is none.
func (k Keys) Issuer(r Role) string {
	kp, err := fromSeed(k.Roles[r], nkeys.PrefixByteAccount, "signing key of role "+string(r))
	if err != nil {
		return ""
	}
	return public(kp)
}

// NewKeys makes the keys of an account with the given roles.
func NewKeys(roles []Role) (Keys, error) {
	acc, err := nkeys.CreateAccount()
	if err != nil {
		return Keys{}, fault.Wrap(fault.Other, err, "make an account key")
	}
	k := Keys{Public: public(acc), Seed: seed(acc), Roles: make(map[Role][]byte, len(roles))}
	for _, r := range roles {
		kp, err := nkeys.CreateAccount()
		if err != nil {
			return Keys{}, fault.Wrap(fault.Other, err, "make the signing key of role %s", r)
		}
		k.Roles[r] = seed(kp)
	}
	return k, nil
}

// Limits are what a tenant may use. All are finite; a 0 is refused, since the
// server takes a 0 in some of them for "unlimited" and in others for "none".
type Limits struct {
	Connections   int64 `json:"connections"`   // of applications and pollers; the system's own come on top
	Storage       int64 `json:"storage"`       // bytes of all streams, before replication
	Subscriptions int64 `json:"subscriptions"` // of one connection
	Consumers     int64 `json:"consumers"`     // per stream
	MaxAckPending int64 `json:"maxAckPending"` // per consumer
	// Unbounded allows streams without a limit of their own: Storage alone bounds
	// them. A server does not recover such a stream where it is false.
	Unbounded bool `json:"unbounded,omitempty"`
}

// ReservedConnections is how many the system may need in a tenant: an ingress
// per node, the control plane, primaries and their readers.
const ReservedConnections = 16

// RoomToClose is how many connections may be open beyond a tenant's own and the
// system's, until the control plane has closed them. The server turns away
// every user when an account is full, the system and the tenant's others too: one stolen credential must never get that far.
const RoomToClose = 512

const (
	reservedConsumers = 32
	// streams is how many a tenant has, with one of room for a rebuild.
	streams = 5
)

func (l Limits) check() error {
	for _, f := range []struct {
		name  string
		value int64
	}{{"connections", l.Connections}, {"storage", l.Storage}, {"subscriptions", l.Subscriptions}, {"consumers", l.Consumers}, {"max ack pending", l.MaxAckPending}} {
		if f.value <= 0 {
			return fault.New(fault.Invalid, "limit %s is %d; every limit of a tenant is finite and above 0", f.name, f.value)
		}
	}
	return nil
}

// Hubs are the public keys of the accounts that every tenant imports from.
type Hubs struct{ Control, System string }

// Tenant is what the JWT of a tenant's account is signed from.
type Tenant struct {
	ID         event.Tenant
	Keys       Keys
	Hubs       Hubs
	Capability subject.Capability // the secret its streams listen behind
	Retired    []Retired
	Limits     Limits
	// Revoked are the public keys of users that are let in no more, with
	// the time in Unix seconds: a JWT issued until then is refused.
	Revoked map[string]int64
	// After is the issue time of the account's previous JWT: the new one's is
	// always later, since nodes keep the newest.
	After time.Time
}

// Tenant signs the JWT of a tenant's account.
func (s *Signer) Tenant(t Tenant) (string, error) {
	c, err := t.claims()
	if err != nil {
		return "", err
	}
	return s.encode(c, t.After)
}

// claims is everything that a tenant's account is planned to be.
func (t Tenant) claims() (*jwt.AccountClaims, error) {
	if err := event.CheckName("tenant", string(t.ID)); err != nil {
		return nil, err
	}
	if err := t.Limits.check(); err != nil {
		return nil, err
	}
	lim := t.Limits
	c := jwt.NewAccountClaims(t.Keys.Public)
	c.Name = string(t.ID)
	c.Limits.NatsLimits = jwt.NatsLimits{Subs: lim.Subscriptions, Data: jwt.NoLimit, Payload: MaxPayload}
	c.Limits.AccountLimits = jwt.AccountLimits{Imports: 3, Exports: 0, DisallowBearer: true, Conn: lim.Connections + ReservedConnections + RoomToClose}
	c.Limits.JetStreamTieredLimits = tiers(lim.Storage, streams, lim.Consumers+reservedConsumers, lim.MaxAckPending, !lim.Unbounded)
	c.Imports.Add(&jwt.Import{
		Name:         "control",
		Account:      t.Hubs.Control,
		Subject:      jwt.Subject(subject.ControlImport(t.Keys.Public)),
		LocalSubject: jwt.RenamingSubject(subject.ControlLocal),
		Type:         jwt.Service,
	})
	c.Imports.Add(fenceImports(t.Hubs.System, t.Capability)...)
	for key, at := range t.Revoked {
		c.RevokeAt(key, time.Unix(at, 0))
	}
	if err := addRoles(c, t.Keys, templatesOf(t.ID, t.Capability)); err != nil {
		return nil, err
	}
	return c, addRetired(c, t.Hubs.System, t.Capability, t.Retired)
}

// Tombstone signs the JWT that a deleted tenant's account keeps for ever: no
// connections, no signing keys, every user revoked. An account is never
// deleted by claim, since a node that was away would bring it back to life.
func (s *Signer) Tombstone(id event.Tenant, accountKey string, after time.Time) (string, error) {
	c := jwt.NewAccountClaims(accountKey)
	c.Name = string(id)
	c.Limits.NatsLimits = jwt.NatsLimits{Subs: 1, Data: jwt.NoLimit, Payload: 1}
	c.Limits.AccountLimits = jwt.AccountLimits{DisallowBearer: true, Conn: 0}
	c.Limits.JetStreamTieredLimits = tiers(1, 1, 1, 1, true)
	denyAll(c)
	c.Revoke(jwt.All)
	return s.encode(c, after)
}

// Control signs the JWT of the CONTROL account.
func (s *Signer) Control(keys Keys, storage int64) (string, error) {
	return s.ControlWithout(keys, storage, nil, time.Time{})
}

// ControlWithout signs it for keys that are revoked; revoked and after are as
// in Tenant.
func (s *Signer) ControlWithout(keys Keys, storage int64, revoked map[string]int64, after time.Time) (string, error) {
	c := jwt.NewAccountClaims(keys.Public)
	c.Name = "CONTROL"
	c.Limits.AccountLimits.DisallowBearer = true
	c.Limits.NatsLimits.Payload = MaxPayload
	c.Limits.JetStreamTieredLimits = tiers(storage, 16, 1024, 10_000, true)
	c.Exports.Add(&jwt.Export{
		Name:                 "control",
		Subject:              subject.ControlExport,
		Type:                 jwt.Service,
		ResponseType:         jwt.ResponseTypeSingleton,
		AccountTokenPosition: subject.ControlAccountToken,
	})
	exportEnrol(c)
	for key, at := range revoked {
		c.RevokeAt(key, time.Unix(at, 0))
	}
	if err := addRoles(c, keys, controlTemplates()); err != nil {
		return "", err
	}
	return s.encode(c, after)
}

// System signs the JWT of the SYS account.
func (s *Signer) System(keys Keys) (string, error) {
	c := jwt.NewAccountClaims(keys.Public)
	c.Name = "SYS"
	c.Limits.AccountLimits.DisallowBearer = true
	addFence(c)
	if err := addRoles(c, keys, systemTemplates()); err != nil {
		return "", err
	}
	return s.encode(c, time.Time{})
}

// tiers gives R3 what the account may store, and R1 consumers only: ordered
// consumers and KV watches are R1 in memory and fail without the tier, while
// R1 streams stay impossible. bounded: every stream must have a limit of its own.
func tiers(storage, streams, consumers, ackPending int64, bounded bool) jwt.JetStreamTieredLimits {
	return jwt.JetStreamTieredLimits{
		"R3": {DiskStorage: storage, Streams: streams, Consumer: consumers, MaxAckPending: ackPending, DiskMaxStreamBytes: storage, MaxBytesRequired: bounded},
		"R1": {Streams: 1, Consumer: consumers, MaxAckPending: ackPending, MaxBytesRequired: true},
	}
}

func denyAll(c *jwt.AccountClaims) {
	c.DefaultPermissions = jwt.Permissions{
		Pub: jwt.Permission{Deny: jwt.StringList{">"}},
		Sub: jwt.Permission{Deny: jwt.StringList{">"}},
	}
}

// addRoles denies everything by default and adds one scoped signing key per role.
func addRoles(c *jwt.AccountClaims, keys Keys, templates map[Role]jwt.UserPermissionLimits) error {
	denyAll(c)
	for role, template := range templates {
		kp, err := fromSeed(keys.Roles[role], nkeys.PrefixByteAccount, "signing key of role "+string(role))
		if err != nil {
			return err
		}
		scope := jwt.NewUserScope()
		scope.Role, scope.Key, scope.Template = string(role), public(kp), template
		c.SigningKeys.AddScopedSigner(scope)
	}
	return nil
}

// maxBehind is how far this machine's clock may be behind the one that signed
// last; it is waited out.
const maxBehind = 30 * time.Second

// encode validates and signs. A JWT's issue time has whole seconds, and nodes
// keep the newest: waiting out the rest of one, or what another machine's clock
// is ahead, is how it stays later than the last. Too far behind is Unavailable.
func (s *Signer) encode(c *jwt.AccountClaims, after time.Time) (string, error) {
	vr := jwt.CreateValidationResults()
	c.Validate(vr)
	if vr.IsBlocking(true) {
		return "", fault.New(fault.Invalid, "account %s: %v", c.Name, vr.Errors())
	}
	wait := time.Until(after.Add(time.Second))
	if wait > maxBehind {
		return "", fault.WithHint(fault.New(fault.Unavailable, "account %s was signed at %s, which is %s ahead of this machine's clock", c.Name, after.UTC().Format(time.RFC3339), wait.Round(time.Second)),
			"set the clocks of the nodes' machines")
	}
	time.Sleep(wait)
	token, err := c.Encode(s.key)
	if err != nil {
		return "", fault.Wrap(fault.Other, err, "sign account %s", c.Name)
	}
	return token, nil
}

// IssuedAt returns the issue time of an account JWT, and the account's key.
func IssuedAt(token string) (time.Time, string, error) {
	c, err := jwt.DecodeAccountClaims(token)
	if err != nil {
		return time.Time{}, "", fault.Wrap(fault.Invalid, err, "account JWT")
	}
	return time.Unix(c.IssuedAt, 0), c.Subject, nil
}

func fromSeed(seed []byte, want nkeys.PrefixByte, what string) (nkeys.KeyPair, error) {
	prefix, _, err := nkeys.DecodeSeed(seed)
	if err != nil || prefix != want {
		return nil, fault.New(fault.Invalid, "%s is not a seed of the right type", what)
	}
	kp, err := nkeys.FromSeed(seed)
	return kp, fault.Wrap(fault.Invalid, err, "%s", what)
}

// public and seed cannot fail on a key pair that was just made or parsed.
func public(kp nkeys.KeyPair) string { s, _ := kp.PublicKey(); return s }
func seed(kp nkeys.KeyPair) []byte   { b, _ := kp.Seed(); return b }
