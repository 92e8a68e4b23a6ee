package service

import (
	"context"
	"sort"

	"midplane/api"
	"midplane/fault"
	"midplane/platform/registry"
)

// Row is one row of a list with the key that pages go by.
type Row[T any] struct {
	Key   string
	Value T
}

// RowOf returns a row.
func RowOf[T any](key string, value T) Row[T] { return Row[T]{key, value} }

// List pages what rows returns, by key.
func List[T any](rows func(context.Context, api.ListRequest) ([]Row[T], error)) api.Handler {
	return Handle(func(ctx context.Context, _ string, req api.ListRequest) (any, error) {
		if err := CheckPage(&req); err != nil {
			return nil, err
		}
		all, err := rows(ctx, req)
		if err != nil {
			return nil, err
		}
		return PageOf(all, req), nil
	})
}

// CheckPage fills in the size of a page and refuses one that is too large.
func CheckPage(req *api.ListRequest) error {
	if req.Limit < 0 || req.Limit > api.MaxPage {
		return fault.New(fault.Invalid, "limit %d, want 1 to %d", req.Limit, api.MaxPage)
	}
	if req.Limit == 0 {
		req.Limit = api.DefaultPage
	}
	return nil
}

// PageOf returns the page of rows that a checked request asks for.
func PageOf[T any](all []Row[T], req api.ListRequest) api.Page[T] {
	sort.Slice(all, func(i, j int) bool { return all[i].Key < all[j].Key })
	page := api.Page[T]{Items: []T{}}
	for i, r := range all {
		if r.Key <= req.After && req.After != "" {
			continue
		}
		if len(page.Items) == req.Limit {
			page.Next = all[i-1].Key
			break
		}
		page.Items = append(page.Items, r.Value)
	}
	return page
}

// Each calls f for every declared tenant that the request asks for.
func Each(view *registry.View, req api.ListRequest, f func(*registry.Tenant)) error {
	if req.Tenant != "" {
		t, err := view.Declared(req.Tenant)
		if err != nil {
			return err
		}
		f(t)
		return nil
	}
	for _, t := range view.Tenants {
		if t.Spec != nil && !t.ID.OfSystem() {
			f(t)
		}
	}
	return nil
}
