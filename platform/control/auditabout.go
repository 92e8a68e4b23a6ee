package control

import (
	"encoding/json"
	"strings"

	"midplane/api"
)

// about is all that is ever taken from a request into the audit log: names and
// choices. Nothing else of a body is looked at, so that no secret gets there
// with a verb that somebody adds.
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

// aboutRequest says what a request is about. A body that is none is about nothing.
func aboutRequest(body []byte) api.AuditRecord {
	var a about
	_ = json.Unmarshal(body, &a) // fields of another form are left out
	rec := api.AuditRecord{Tenant: first(a.Tenant, a.Spec.ID), Target: first(a.Name, a.Poller, a.User, a.Primary, a.ID)}
	var words []string
	for _, w := range []struct{ key, value string }{
		{"role", a.Role}, {"site", a.Site}, {"subscription", a.Subscription}, {"subscriptions", strings.Join(a.Subscriptions, ",")},
	} {
		if w.value != "" {
			words = append(words, w.key+"="+w.value)
		}
	}
	rec.Detail = strings.Join(words, " ")
	rec.Tenant, rec.Target, rec.Detail = clip(rec.Tenant, maxAudit), clip(rec.Target, maxAudit), clip(rec.Detail, maxAudit)
	return rec
}

func first(words ...string) string {
	for _, w := range words {
		if w != "" {
			return w
		}
	}
	return ""
}
