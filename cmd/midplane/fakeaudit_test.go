package main

import (
	"slices"
	"strconv"
	"time"

	"midplane/api"
)

var cannedAudit = []api.AuditRecord{
	{ID: "1", Seq: 1, Time: at(9, 0), Who: "ann", From: "192.0.2.1:4000 via n1", Verb: api.TenantPut, Tenant: "acme", Result: api.AuditBegun, Node: "n1"},
	{ID: "1", Seq: 2, Time: at(9, 0), Who: "ann", From: "192.0.2.1:4000 via n1", Verb: api.TenantPut, Tenant: "acme", Result: api.AuditOK, Node: "n1"},
	{ID: "2", Seq: 3, Time: at(9, 30), Who: "bob", From: "192.0.2.2:4000 via n2", Verb: api.UserCreate, Tenant: "acme", Target: "app-1", Result: api.AuditBegun, Node: "n2"},
	{ID: "3", Seq: 4, Time: at(9, 31), Who: "eve", Via: "core-1", From: "192.0.2.3:99", Verb: "console.user.login", Result: "denied", Node: "n2"},
	{ID: "2", Seq: 5, Time: at(9, 32), Who: "bob", From: "192.0.2.2:4000 via n2", Verb: api.UserCreate, Tenant: "acme", Target: "app-1", Result: "conflict", Detail: "exists already", Node: "n2"},
	{ID: "4", Seq: 6, Time: at(9, 40), Who: "ann", From: "unknown", Verb: api.TenantDelete, Tenant: "globex", Result: api.AuditBegun, Node: "n3"},
}

func at(h, m int) time.Time { return time.Date(2026, 3, 1, h, m, 0, 0, time.UTC) }

// auditPage answers as the control plane does, two records a page.
func auditPage(body []byte) (any, error) {
	var req api.AuditRequest
	if err := api.Decode(body, &req); err != nil {
		return nil, err
	}
	page := api.Page[api.AuditRecord]{Items: []api.AuditRecord{}}
	after, _ := strconv.Atoi(req.After)
	for _, r := range cannedAudit {
		if int(r.Seq) > after && req.Matches(r) {
			page.Items = append(page.Items, r)
		}
		if !req.Newest && len(page.Items) == 2 && r.Seq < 6 {
			page.Next = strconv.Itoa(int(r.Seq))
			break
		}
	}
	if req.Newest {
		page.Items = slices.DeleteFunc(page.Items, func(r api.AuditRecord) bool { return r.Result == api.AuditBegun && r.ID != "4" }) // the end of all others is known
		page.Items = page.Items[max(0, len(page.Items)-req.Limit):]
	}
	return page, nil
}
