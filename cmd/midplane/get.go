package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
)

func newGetCmd(a *app) *cobra.Command {
	get := group(&cobra.Command{
		Use:   "get KIND",
		Short: "List what there is",
		Long: `Lists tenants, sites, pollers, devices, interfaces, checks, events, streams,
schemas or the audit log. Singular names work too ("get device r1").

With -o json or yaml every field is printed, as one array and nothing else;
times are RFC 3339 UTC, sizes bytes, speeds bits per second.`,
		Example: `  midplane get devices
  midplane get interfaces --tenant acme --site syd -o wide
  midplane get devices -o json | jq '.[] | select(.status=="down")'
  midplane get events --severity warning --since 24h`,
	})
	get.AddCommand(
		newList(a, tenantsKind), newList(a, sitesKind), newList(a, pollersKind), newList(a, devicesKind), newList(a, interfacesKind),
		newList(a, checksKind), newEventList(a), newList(a, streamsKind), newList(a, schemasKind), newAuditList(a),
	)
	return get
}

// list is one kind of thing that can be listed.
type list[T any] struct {
	noun    string // plural
	short   string
	door    func(*client) doer
	verb    string
	columns []column[T]
	key     func(T) key
	bySite  bool // --site makes sense
	global  bool // --tenant does not
}

type doer = func(ctx context.Context, verb string, req, resp any) error

func admin(c *client) doer { return c.Admin }
func query(c *client) doer { return c.Query }

// key is where a row belongs; a person names it "id", "site/id" or
// "tenant/site/id" (a tenant's things without a site: "tenant/id").
type key struct{ tenant, site, id string }

func (k key) named(s string) bool {
	if s == k.id {
		return true
	}
	if k.site != "" && (s == k.site+"/"+k.id || s == k.tenant+"/"+k.site+"/"+k.id) {
		return true
	}
	return s == k.tenant+"/"+k.id
}

func newList[T any](a *app, l list[T]) *cobra.Command {
	var where scope
	singular := plural(l.noun, 1)
	cmd := &cobra.Command{
		Use:     l.noun + " [" + strings.ToUpper(singular) + "]",
		Aliases: []string{singular},
		Short:   l.short,
		Args:    args(0, 1, "at most one "+singular),
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := where.check(); err != nil {
				return err
			}
			return a.withClient(func(c *client) error {
				rows, err := api.All[T](cmd.Context(), l.door(c), l.verb, where.request())
				if err == nil && len(rows) == 0 {
					err = c.checkTenant(cmd.Context(), where.tenant)
				}
				if err != nil {
					return err
				}
				if len(given) > 0 {
					if rows = l.pick(rows, given[0]); len(rows) == 0 {
						return fault.WithHint(fault.New(fault.NotFound, "no %s %q", singular, given[0]), "see: midplane get %s", l.noun)
					}
				}
				return printList(a, l.noun, rows, l.columns)
			})
		},
	}
	if !l.global {
		where.flags(cmd, l.bySite)
	}
	return cmd
}

func (l list[T]) pick(rows []T, name string) []T {
	var out []T
	for _, r := range rows {
		if l.key(r).named(name) {
			out = append(out, r)
		}
	}
	return out
}

// scope is --tenant and --site.
type scope struct{ tenant, site string }

func (s *scope) flags(cmd *cobra.Command, bySite bool) {
	cmd.Flags().StringVar(&s.tenant, "tenant", "", "only of this tenant")
	if bySite {
		cmd.Flags().StringVar(&s.site, "site", "", "only of this site")
	}
}

// check finds a mistyped name before anybody is asked.
func (s *scope) check() error {
	if s.tenant != "" {
		if err := event.CheckName("tenant", s.tenant); err != nil {
			return err
		}
	}
	if s.site != "" && event.Site(s.site) != event.NoSite {
		return event.CheckName("site", s.site)
	}
	return nil
}

// checkTenant tells an empty answer about a tenant from one about a tenant that
// does not exist: a primary knows only what it has read.
func (c *client) checkTenant(ctx context.Context, tenant string) error {
	if tenant == "" {
		return nil
	}
	err := c.Admin(ctx, api.TenantStatus, api.TenantRef{Tenant: tenant}, nil)
	if fault.Is(err, fault.NotFound) {
		return err
	}
	return nil // it exists, or nobody knows
}

func (s *scope) request() api.ListRequest {
	return api.ListRequest{Tenant: s.tenant, Site: s.site}
}
