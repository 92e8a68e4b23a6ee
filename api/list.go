package api

import (
	"context"
	"slices"
	"strings"

	"midplane/fault"
)

// Do asks one verb of a service.
type Do = func(ctx context.Context, verb string, req, resp any) error

// List asks for one page of a list. A service of v0.1.0 refuses fields that it
// does not know: it is asked again without them. What was not asked for is left
// out here.
func List[T any](ctx context.Context, do Do, verb string, req ListRequest) (Page[T], error) {
	var page Page[T]
	err := do(ctx, verb, req, &page)
	if first := req.first(); fault.Is(err, fault.Invalid) && first != req && strings.Contains(err.Error(), "unknown field") {
		err = do(ctx, verb, first, &page)
	}
	page.Items = slices.DeleteFunc(page.Items, func(row T) bool { return !req.Matches(row) })
	return page, err
}

// first is the request with those fields only that v0.1.0 knows.
func (r ListRequest) first() ListRequest {
	return ListRequest{Tenant: r.Tenant, Site: r.Site, Limit: r.Limit, After: r.After}
}

// All reads every page of a list of the admin or query service.
func All[T any](ctx context.Context, do Do, verb string, req ListRequest) ([]T, error) {
	return First[T](ctx, do, verb, req, 0)
}

// First reads a list of the admin or query service until it has so many rows; 0: all.
func First[T any](ctx context.Context, do Do, verb string, req ListRequest, most int) ([]T, error) {
	if most > 0 {
		req.Limit = min(most, MaxPage)
	}
	out := []T{}
	for {
		page, err := List[T](ctx, do, verb, req)
		if err != nil {
			return nil, err
		}
		out = append(out, page.Items...)
		switch {
		case most > 0 && len(out) >= most:
			return out[:most], nil
		case page.Next == "":
			return out, nil
		}
		req.After = page.Next
	}
}
