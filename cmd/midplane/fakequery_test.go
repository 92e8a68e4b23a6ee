package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"midplane/api"
	"midplane/fault"
)

func (f *fake) query(ctx context.Context, verb string, body []byte) (any, error) {
	switch verb {
	case api.DeviceList, api.InterfaceList, api.CheckList, api.LedgerList:
		return f.page(verb, body)
	case api.DeviceGet:
		var ref api.DeviceRef
		if err := api.Decode(body, &ref); err != nil {
			return nil, err
		}
		if ref != (api.DeviceRef{Tenant: "acme", Site: "syd", Device: "r1"}) {
			return nil, fault.New(fault.NotFound, "no device %s/%s/%s", ref.Tenant, ref.Site, ref.Device)
		}
		return json.RawMessage(cannedDetail), nil
	case api.PrimaryStatus:
		return json.RawMessage(cannedPrimary), nil
	case api.EventList, api.EventFollow:
		var req api.EventRequest
		if err := api.Decode(body, &req); err != nil {
			return nil, err
		}
		if verb == api.EventFollow {
			return f.follow(ctx, req)
		}
		return f.events(req), nil
	}
	return nil, fault.New(fault.NotFound, "no verb %s", verb)
}

// events filters the canned ones.
func (f *fake) events(req api.EventRequest) api.Page[api.Event] {
	var all []api.Event
	if err := json.Unmarshal([]byte(cannedEvents), &all); err != nil {
		panic(err)
	}
	page := api.Page[api.Event]{Items: []api.Event{}}
	for _, e := range all {
		if req.Tenant != "" && e.Tenant != req.Tenant || req.Severity != "" && e.Severity.Level() > req.Severity.Level() ||
			req.Since != nil && e.Time.Before(*req.Since) || req.Entity != "" && e.Entity != req.Entity && !strings.HasPrefix(e.Entity, req.Entity+"/") ||
			fmt.Sprint(e.Position) <= req.After {
			continue
		}
		page.Items = append(page.Items, e)
	}
	if n := len(page.Items); req.Newest && n > req.Limit {
		page.Items = page.Items[n-req.Limit:]
	} else if !req.Newest && n > 2 { // small pages, so that paging is seen
		page.Items, page.Next = page.Items[:2], fmt.Sprint(page.Items[1].Position)
	}
	return page
}

// follow fails first, as in a fail-over, then answers with one new event, then
// with none.
func (f *fake) follow(ctx context.Context, req api.EventRequest) (any, error) {
	f.mu.Lock()
	f.follows++
	n := f.follows
	for i, ch := range f.waiting {
		if i == n {
			close(ch)
		}
	}
	f.mu.Unlock()
	switch n {
	case 1:
		return nil, fault.New(fault.Unavailable, "the primary is stopping")
	case 2:
		if req.After != "3" {
			return nil, fault.New(fault.Invalid, "the cursor is %q, not that of the last event", req.After)
		}
		return json.RawMessage(cannedNewEvent), nil
	}
	if req.After != "4" {
		return nil, fault.New(fault.Invalid, "the cursor is %q, not that of the new event", req.After)
	}
	<-ctx.Done()
	return api.Page[api.Event]{}, nil
}

// page answers a list in pages of one row, so that paging is seen.
func (f *fake) page(verb string, body []byte) (any, error) {
	var req api.ListRequest
	if err := api.Decode(body, &req); err != nil {
		return nil, err
	}
	var rows []map[string]any
	if err := json.Unmarshal([]byte(canned[verb]), &rows); err != nil {
		return nil, err
	}
	rows = slices.DeleteFunc(rows, func(r map[string]any) bool {
		return req.Tenant != "" && r["tenant"] != req.Tenant || req.Site != "" && r["site"] != req.Site || req.Producer != "" && r["producer"] != req.Producer
	})
	at := 0
	if req.After != "" {
		at = len(req.After)
	}
	page := api.Page[map[string]any]{Items: []map[string]any{}}
	if at < len(rows) {
		page.Items = rows[at : at+1]
	}
	if at+1 < len(rows) {
		page.Next = strings.Repeat("x", at+1)
	}
	return page, nil
}
