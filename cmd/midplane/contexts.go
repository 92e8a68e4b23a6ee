package main

import (
	"cmp"
	"encoding/json"
	"os"
	"slices"
	"strings"

	"github.com/nats-io/jsm.go/natscontext"
	"github.com/spf13/cobra"

	"midplane/fault"
	"midplane/subject"
)

func newContextCmd(a *app) *cobra.Command {
	cmd := group(&cobra.Command{Use: "context", Short: "The NATS contexts that were saved: who connects, and where"})
	cmd.AddCommand(newContextLsCmd(a), newContextSelectCmd(a))
	return cmd
}

// savedContext is one row of "context ls".
type savedContext struct {
	Name        string   `json:"name"`
	User        string   `json:"user"` // by its inbox prefix; "" when Midplane did not write it
	Servers     []string `json:"servers"`
	Description string   `json:"description"`
	Selected    bool     `json:"selected"` // the one that the nats CLI uses
	Used        bool     `json:"used"`     // the one that this command line uses now
	Problem     string   `json:"problem,omitempty"`
}

func newContextLsCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "List the saved contexts",
		Long: `Lists the NATS contexts of this user of the machine, those of other systems too.
Selected is the one that the nats CLI takes without --context; used is the one
that midplane takes (--context, else "midplane").`,
		Example: "  midplane context ls",
		Args:    args(0, 0, ""),
		RunE: func(*cobra.Command, []string) error {
			return printList(a, "contexts", a.contexts(), []column[savedContext]{
				{name: "Context", value: func(c savedContext) string { return c.Name }},
				{name: "User", value: func(c savedContext) string { return c.User }},
				{name: "Servers", value: func(c savedContext) string { return strings.Join(c.Servers, ", ") }, long: true},
				{name: "Selected", value: func(c savedContext) string { return yesNo(c.Selected) }},
				{name: "Used", value: func(c savedContext) string { return yesNo(c.Used) }},
				{name: "Description", value: func(c savedContext) string { return cmp.Or(c.Problem, c.Description) }, wide: true},
			})
		},
	}
}

func (a *app) contexts() []savedContext {
	rows := []savedContext{}
	selected := natscontext.SelectedContext()
	names := natscontext.KnownContexts()
	slices.Sort(names)
	for _, name := range names {
		row := savedContext{Name: name, Servers: []string{}, Selected: name == selected, Used: name == a.contextName}
		// Only read: the library would run other programs that a context names.
		var file struct {
			Description string `json:"description"`
			URL         string `json:"url"`
			InboxPrefix string `json:"inbox_prefix"`
		}
		path, err := natscontext.ContextPath(name)
		var data []byte
		if err == nil {
			data, err = os.ReadFile(path)
		}
		if err == nil {
			err = json.Unmarshal(data, &file)
		}
		if err != nil {
			row.Problem = "cannot be read"
		}
		row.Description = file.Description
		for _, s := range strings.Split(file.URL, ",") {
			if s != "" {
				row.Servers = append(row.Servers, withoutUser(s))
			}
		}
		if user, ok := strings.CutPrefix(file.InboxPrefix, subject.InboxPrefix("")); ok {
			row.User = user
		}
		rows = append(rows, row)
	}
	return rows
}

// withoutUser hides what may be a password in a URL that somebody else wrote.
func withoutUser(server string) string {
	if i := strings.LastIndex(server, "@"); i >= 0 {
		return "…" + server[i:]
	}
	return server
}

func newContextSelectCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "select NAME",
		Short: "Select the context that the nats CLI uses",
		Long: `Selects the context that the nats CLI takes when it is given none. midplane itself
goes on with --context, its setting context, else "midplane": a tenant's user can
do nothing there.`,
		Example: "  midplane user create --tenant acme --role inspector ann --out ann.creds --save-context\n  midplane context select midplane-acme-ann",
		Args:    args(1, 1, "NAME of the context"),
		RunE: func(_ *cobra.Command, given []string) error {
			if !natscontext.IsKnown(given[0]) {
				return fault.WithHint(fault.New(fault.NotFound, "no NATS context %q", given[0]), "see: midplane context ls")
			}
			if err := natscontext.SelectContext(given[0]); err != nil {
				return fault.Wrap(fault.Other, err, "select context %s", given[0])
			}
			if a.format.machine() {
				return a.print(map[string]string{"context": given[0], "status": "selected"})
			}
			a.say("the nats CLI now uses context %s", given[0])
			return nil
		},
	}
}
