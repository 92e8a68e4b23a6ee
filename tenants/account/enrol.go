package account

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"reflect"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"midplane/fault"
	"midplane/subject"
)

// RoleToken is the one role of ENROL: such a user may redeem the token that it is
// named after, and do nothing else.
const RoleToken Role = "token"

// EnrolRoles lists the roles of ENROL.
var EnrolRoles = []Role{RoleToken}

// Limits of ENROL, and of one of its users.
const (
	enrolConnections = 1000
	enrolSubs        = 4 * enrolConnections
	tokenPayload     = 2048
)

// enrolTemplates: a question and its answer.
func enrolTemplates() map[Role]jwt.UserPermissionLimits {
	t := template(list(subject.EnrolOf(subject.Named)), list(inboxOfName()), tcp)
	t.Subs, t.Payload = 1, tokenPayload
	return map[Role]jwt.UserPermissionLimits{RoleToken: t}
}

// exportEnrol lets the accounts that CONTROL names, and no others, ask it to
// redeem a token.
func exportEnrol(c *jwt.AccountClaims) {
	c.Exports.Add(&jwt.Export{Name: "enrol", Subject: subject.EnrolExport, Type: jwt.Service, ResponseType: jwt.ResponseTypeSingleton, TokenReq: true})
}

// Enrol signs the JWT of the ENROL account; control's key allows its import.
func (s *Signer) Enrol(keys, control Keys) (string, error) {
	kp, err := fromSeed(control.Seed, nkeys.PrefixByteAccount, "key of CONTROL")
	if err != nil {
		return "", err
	}
	act := jwt.NewActivationClaims(keys.Public)
	act.Name, act.ImportSubject, act.ImportType = "enrol", subject.EnrolExport, jwt.Service
	token, err := act.Encode(kp)
	if err != nil {
		return "", fault.Wrap(fault.Other, err, "sign the activation of ENROL")
	}
	c := jwt.NewAccountClaims(keys.Public)
	c.Name = "ENROL"
	c.Limits.NatsLimits = jwt.NatsLimits{Subs: enrolSubs, Data: jwt.NoLimit, Payload: tokenPayload}
	c.Limits.AccountLimits = jwt.AccountLimits{Imports: 1, DisallowBearer: true, Conn: enrolConnections}
	c.Imports.Add(&jwt.Import{Name: "enrol", Account: control.Public, Subject: subject.EnrolExport, Type: jwt.Service, Token: token})
	if err := addRoles(c, keys, enrolTemplates()); err != nil {
		return "", err
	}
	return s.encode(c, time.Time{})
}

// Derived returns the keys of an account that a deployment was made without,
// from the seed of one that it has: every node comes to the same.
func Derived(from Keys, name string, roles []Role) (Keys, error) {
	derive := func(what string) (nkeys.KeyPair, error) {
		raw, err := hkdf.Key(sha256.New, from.Seed, nil, "midplane account "+name+" "+what, 32)
		if err != nil {
			return nil, err
		}
		return nkeys.FromRawSeed(nkeys.PrefixByteAccount, raw)
	}
	if _, err := fromSeed(from.Seed, nkeys.PrefixByteAccount, "account key"); err != nil {
		return Keys{}, err
	}
	kp, err := derive("")
	if err != nil {
		return Keys{}, fault.Wrap(fault.Other, err, "derive the key of %s", name)
	}
	k := Keys{Public: public(kp), Seed: seed(kp), Roles: map[Role][]byte{}}
	for _, r := range roles {
		if kp, err = derive(string(r)); err != nil {
			return Keys{}, fault.Wrap(fault.Other, err, "derive the signing key of role %s", r)
		}
		k.Roles[r] = seed(kp)
	}
	return k, nil
}

// Same reports whether two account JWTs hold the same, whenever they were signed.
func Same(a, b string) bool {
	x, y := content(a), content(b)
	return x != nil && reflect.DeepEqual(x, y)
}

// content is what an account JWT holds, without when and by whom it was signed.
func content(token string) map[string]any {
	c, err := jwt.DecodeAccountClaims(token)
	if err != nil {
		return nil
	}
	c.ID, c.IssuedAt, c.Issuer = "", 0, ""
	for _, i := range c.Imports {
		i.Token = ""
	}
	data, err := json.Marshal(c)
	var out map[string]any
	if err != nil || json.Unmarshal(data, &out) != nil {
		return nil
	}
	return out
}
