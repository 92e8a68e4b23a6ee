package account

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

	"github.com/nats-io/jwt/v2"

	"midplane/fault"
)

// Drift names the parts in which an account's JWT differs from what t is
// planned to be: "imports", "exports", "mappings", "limits", "signing_keys",
// "revocations" and so on, nothing when it is exactly the plan. An import or an
// export is never part of a tenant's plan: there is no field for one.
func (s *Signer) Drift(token string, t Tenant) ([]string, error) {
	have, err := sections(token)
	if err != nil {
		return nil, err
	}
	plan, err := t.claims()
	if err != nil {
		return nil, err
	}
	signed, err := plan.Encode(s.key) // sorted as a signed one is
	if err != nil {
		return nil, fault.Wrap(fault.Other, err, "sign account %s", t.ID)
	}
	want, err := sections(signed)
	if err != nil {
		return nil, err
	}
	var out []string
	for name := range maps.Keys(want) {
		if !bytes.Equal(want[name], have[name]) {
			out = append(out, name)
		}
		delete(have, name)
	}
	for name := range have {
		out = append(out, name)
	}
	slices.Sort(out)
	return out, nil
}

// sections is what an account's JWT holds, part by part.
func sections(token string) (map[string]json.RawMessage, error) {
	c, err := jwt.DecodeAccountClaims(token)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "account JWT")
	}
	data, err := json.Marshal(c.Account)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "account JWT")
	}
	out := map[string]json.RawMessage{}
	if err := json.Unmarshal(data, &out); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "account JWT")
	}
	for key, value := range map[string]any{"name": c.Name, "subject": c.Subject, "expires": c.Expires, "not before": c.NotBefore} {
		out[key], _ = json.Marshal(value) // strings and numbers
	}
	return out, nil
}
