package api

import (
	"slices"
	"strings"
)

// Key is where a row belongs. A person names it "id", "site/id" or
// "tenant/site/id" (a tenant's things without a site: "tenant/id").
type Key struct{ Tenant, Site, ID string }

// Named reports whether a person may mean this row by name.
func (k Key) Named(name string) bool { return slices.Contains(IDs(k.Tenant, k.Site, name), k.ID) }

// IDs returns the ids that a row of a tenant and site can have when a person
// calls it name. Ids may have slashes, tenants and sites have none.
func IDs(tenant, site, name string) []string {
	out := []string{name}
	prefixes := []string{tenant + "/"}
	if site != "" {
		prefixes = append(prefixes, site+"/", tenant+"/"+site+"/")
	}
	for _, p := range prefixes {
		if id, ok := strings.CutPrefix(name, p); ok && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// Full is the name that only this row has; global: it belongs to no tenant.
func (k Key) Full(global bool) string {
	switch {
	case global, k.Tenant == "":
		return k.ID
	case k.Site == "":
		return k.Tenant + "/" + k.ID
	}
	return k.Tenant + "/" + k.Site + "/" + k.ID
}
