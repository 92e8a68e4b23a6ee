package main

import (
	"time"

	"midplane/api"
	"midplane/fault"
)

// secret keeps names and never looks at values. Tenant acme's file refers to
// "unset", which is not set.
func (f *fake) secret(verb string, body []byte) (any, error) {
	at := time.Now().UTC()
	switch verb {
	case api.SecretSet:
		var s api.SetSecret
		if err := api.Decode(body, &s); err != nil {
			return nil, err
		}
		if s.Tenant != "acme" {
			return nil, fault.New(fault.NotFound, "no tenant %q", s.Tenant)
		}
		f.secrets[s.Name] = api.Secret{ID: s.Tenant + "/" + s.Name, Tenant: s.Tenant, Name: s.Name, Status: api.SecretIsSet, SetAt: &at, SetBy: "admin", Pollers: []string{"syd-01"}}
		return nil, nil
	case api.SecretDelete:
		var s api.SecretRef
		if err := api.Decode(body, &s); err != nil {
			return nil, err
		}
		if _, ok := f.secrets[s.Name]; !ok {
			return nil, fault.New(fault.NotFound, "tenant %s has no such secret", s.Tenant)
		}
		delete(f.secrets, s.Name)
		return nil, nil
	}
	out := api.Page[api.Secret]{Items: []api.Secret{{ID: "acme/unset", Tenant: "acme", Name: "unset", Status: api.SecretMissing, Pollers: []string{"syd-01"}}}}
	for _, s := range f.secrets {
		out.Items = append(out.Items, s)
	}
	return out, nil
}
