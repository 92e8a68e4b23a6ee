package service

import (
	"cmp"
	"encoding/json"
	"strings"

	"midplane/api"
	"midplane/platform/control/auditlog"
	"midplane/platform/registry"
)

// about is all that is ever taken from a request into the audit log: names and
// choices. Nothing else of a body is looked at, so that no secret gets there
// with a verb that is added later.
type about struct {
	Tenant        string   `json:"tenant"`
	Name          string   `json:"name"`
	Poller        string   `json:"poller"`
	Primary       string   `json:"primary"`
	User          string   `json:"user"`
	ID            string   `json:"id"`
	Role          string   `json:"role"`
	Site          string   `json:"site"`
	Subscription  string   `json:"subscription"`
	Subscriptions []string `json:"subscriptions"`
	Spec          struct {
		ID string `json:"id"`
	} `json:"spec"`
}

// aboutRequest returns what a request is about. A body that is none is about nothing.
func aboutRequest(body []byte) api.AuditRecord {
	var a about
	_ = json.Unmarshal(body, &a) // fields of another form are left out
	rec := api.AuditRecord{Tenant: cmp.Or(a.Tenant, a.Spec.ID), Target: cmp.Or(a.Name, a.Poller, a.User, a.Primary, a.ID)}
	var words []string
	for _, w := range []struct{ key, value string }{
		{"role", a.Role}, {"site", a.Site}, {"subscription", a.Subscription}, {"subscriptions", strings.Join(a.Subscriptions, ",")},
	} {
		if w.value != "" {
			words = append(words, w.key+"="+w.value)
		}
	}
	rec.Detail = strings.Join(words, " ")
	rec.Tenant, rec.Target, rec.Detail = registry.Clip(rec.Tenant, auditlog.MaxField), registry.Clip(rec.Target, auditlog.MaxField), registry.Clip(rec.Detail, auditlog.MaxField)
	return rec
}
