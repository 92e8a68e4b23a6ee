package connect

import (
	"context"

	"midplane/api"
)

// Door picks one of the two services that answer lists.
type Door func(*Client) api.Do

// AdminDoor is the control plane.
func AdminDoor(c *Client) api.Do { return c.Admin }

// QueryDoor is a primary.
func QueryDoor(c *Client) api.Do { return c.Query }

// Names asks the cluster for names, for a shell that completes them.
type Names func(ctx context.Context, c *Client, req api.ListRequest) ([]string, error)

// maxNames is how many names a shell is given.
const maxNames = 5000

// FullNamesOf lists the full names of a kind that begin with what req has as
// their beginning, as many as there is time for.
func FullNamesOf[T any](door Door, verb string, global bool, key func(T) api.Key) Names {
	return names(door, verb, func(row T) string { return key(row).Full(global) })
}

// NamesOf lists what of the names of a kind is no full name; req's Prefix does not
// narrow them.
func NamesOf[T any](door Door, verb string, name func(T) string) Names {
	all := names(door, verb, name)
	return func(ctx context.Context, c *Client, req api.ListRequest) ([]string, error) {
		req.Prefix = ""
		return all(ctx, c, req)
	}
}

func names[T any](door Door, verb string, name func(T) string) Names {
	return func(ctx context.Context, c *Client, req api.ListRequest) ([]string, error) {
		req.Limit = api.MaxPage
		var out []string
		for {
			page, err := api.List[T](ctx, door(c), verb, req)
			if err != nil {
				return out, err
			}
			for _, row := range page.Items {
				out = append(out, name(row))
			}
			if page.Next == "" || len(out) >= maxNames {
				return out, nil
			}
			req.After = page.Next
		}
	}
}
