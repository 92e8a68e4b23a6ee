package look

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/connect"
	"midplane/cmd/midplane/shell/output"
	"midplane/event"
	"midplane/fault"
)

// NewGet is the command "get".
func NewGet(sh *shell.Shell) *cobra.Command {
	get := shell.Group(&cobra.Command{
		Use:   "get KIND",
		Short: "List what there is",
		Long: `Lists tenants, sites, pollers, devices, interfaces, checks, events, streams,
replicas, the loss ledger, limits, schemas or the audit log. Singular names work too ("get device r1").

With -o json or yaml every field is printed, as one array and nothing else;
times are RFC 3339 UTC, sizes bytes, speeds bits per second. With -o name it is
kind/name, one a line. "get tenant ID -o yaml" prints the tenant's file as the
cluster has it, which "apply -f -" takes.

On a terminal, or when COLUMNS is set, a table is as wide as that at most: the
least important columns are left out, and long cells end in "…". -o wide shows
all.`,
		Example: `  midplane get devices
  midplane get interfaces --tenant acme --site syd -o wide
  midplane get devices --status down --poller syd-01
  midplane get devices --search "rtr 192.0.2" --limit 20
  midplane get devices -o json | jq '.[] | select(.status=="down")'
  midplane get events --severity warning --since 24h
  midplane get devices --tenant acme --no-headers
  midplane get tenants -o name`,
	})
	get.PersistentFlags().BoolVar(&sh.Out.NoHeaders, "no-headers", false, "rows only, without lines, title and names of columns")
	get.AddCommand(
		newList(sh, tenantsKind), newList(sh, sitesKind), newList(sh, pollersKind), newList(sh, devicesKind), newList(sh, interfacesKind),
		newList(sh, checksKind), newEventList(sh), newList(sh, streamsKind), newList(sh, replicasKind), newList(sh, ledgerKind), newList(sh, limitsKind), newList(sh, schemasKind), newAuditList(sh),
	)
	return get
}

// list is one kind of thing that can be listed.
type list[T any] struct {
	noun    string // plural
	short   string
	door    connect.Door
	verb    string
	columns []output.Column[T]
	key     func(T) api.Key
	bySite  bool // --site makes sense
	byUser  bool // --producer does
	global  bool // --tenant does not
	polled  bool // --poller does

	searched string   // what --search looks through; "": --status, --search and --limit make no sense
	statuses []string // that --status may be; nil: any

	// stored prints what was declared of one thing, as the text of its file; nil
	// for a kind that has none.
	stored func(context.Context, *connect.Client, string) ([]byte, error)

	// add fills in what another service knows of the rows; nil: nothing.
	add func(context.Context, *connect.Client, api.ListRequest, []T)
}

// printNames prints kind/name, one a line.
func printNames[T any](out *output.Output, kind string, rows []T, name func(T) string) error {
	var b strings.Builder
	for _, r := range rows {
		b.WriteString(kind + "/" + output.Printable(name(r)) + "\n")
	}
	_, err := out.Stdout.Write([]byte(b.String()))
	return fault.Wrap(fault.Other, err, "write output")
}

func newList[T any](sh *shell.Shell, l list[T]) *cobra.Command {
	var where scope
	singular := output.Plural(l.noun, 1)
	cmd := &cobra.Command{
		Use:     l.noun + " [" + strings.ToUpper(singular) + "]",
		Aliases: []string{singular},
		Short:   l.short,
		Args:    shell.Args(0, 1, "at most one "+singular),
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := where.check(); err != nil {
				return err
			}
			if l.statuses != nil {
				if err := api.CheckStatus(where.status, l.statuses); err != nil {
					return err
				}
			}
			return sh.WithClient(func(c *connect.Client) error {
				if l.stored != nil && len(given) > 0 && sh.Out.Format == output.YAML {
					text, err := l.stored(cmd.Context(), c, given[0])
					if err == nil {
						_, err = sh.Out.Stdout.Write(text)
					}
					return err
				}
				req := where.request()
				if len(given) > 0 {
					req.Name = given[0]
				}
				rows, err := api.First[T](cmd.Context(), l.door(c), l.verb, req, where.limit)
				if err == nil && len(rows) == 0 {
					err = c.CheckTenant(cmd.Context(), where.tenant)
				}
				if err != nil {
					return err
				}
				if len(given) > 0 {
					if rows = l.pick(rows, given[0]); len(rows) == 0 {
						return fault.WithHint(fault.New(fault.NotFound, "no %s %q", singular, given[0]), "see: midplane get %s", l.noun)
					}
				}
				if l.add != nil {
					l.add(cmd.Context(), c, req, rows)
				}
				if sh.Out.Format == output.Name {
					return printNames(sh.Out, singular, rows, func(r T) string { return l.key(r).Full(l.global) })
				}
				return output.List(sh.Out, l.noun, rows, l.columns)
			})
		},
	}
	cmd.ValidArgsFunction = sh.CompleteArgument(connect.FullNamesOf(l.door, l.verb, l.global, l.key))
	if !l.global {
		where.flags(cmd, l.bySite)
		if l.byUser {
			cmd.Flags().StringVar(&where.producer, "producer", "", "only of this producer")
		}
		if l.polled {
			cmd.Flags().StringVar(&where.poller, "poller", "", "only what this poller watches")
		}
		if l.searched != "" {
			l.findFlags(cmd, &where)
		}
	}
	return cmd
}

// findFlags are the flags of what a primary finds.
func (l list[T]) findFlags(cmd *cobra.Command, where *scope) {
	which := "only with this status"
	if l.statuses != nil {
		which += ": " + strings.Join(l.statuses, ", ")
	}
	cmd.Flags().StringVar(&where.status, "status", "", which)
	cmd.Flags().StringVar(&where.search, "search", "", "only with these words in "+l.searched)
	cmd.Flags().IntVar(&where.limit, "limit", 0, "at most so many (default: all)")
	_ = cmd.RegisterFlagCompletionFunc("status", shell.Words(l.statuses...)) // fails only for a flag that is not there
}

func (l list[T]) pick(rows []T, name string) []T {
	var out []T
	for _, r := range rows {
		if l.key(r).Named(name) {
			out = append(out, r)
		}
	}
	return out
}

// scope is which rows are asked for: --tenant, --site and so on.
type scope struct {
	tenant, site, producer string
	status, poller, search string
	limit                  int // 0: all
}

func (s *scope) flags(cmd *cobra.Command, bySite bool) {
	cmd.Flags().StringVar(&s.tenant, "tenant", "", "only of this tenant")
	if bySite {
		cmd.Flags().StringVar(&s.site, "site", "", "only of this site")
	}
}

// check finds a mistyped name before the cluster is asked.
func (s *scope) check() error {
	if s.tenant != "" {
		if err := event.CheckName("tenant", s.tenant); err != nil {
			return err
		}
	}
	if s.producer != "" {
		if err := event.CheckName("producer", s.producer); err != nil {
			return err
		}
	}
	if s.poller != "" {
		if err := event.CheckName("poller", s.poller); err != nil {
			return err
		}
	}
	if s.limit < 0 {
		return fault.New(fault.Invalid, "limit %d is negative", s.limit)
	}
	if s.site != "" && event.Site(s.site) != event.NoSite {
		return event.CheckName("site", s.site)
	}
	return nil
}

func (s *scope) request() api.ListRequest {
	return api.ListRequest{Tenant: s.tenant, Site: s.site, Producer: s.producer, Status: s.status, Poller: s.poller, Search: s.search}
}
