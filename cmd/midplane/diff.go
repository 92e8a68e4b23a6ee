package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"midplane/tenants"
)

func newValidateCmd(a *app) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:     "validate -f DIR|FILE",
		Short:   "Find mistakes in tenants' files, without a cluster",
		Long:    "Reads tenants' files as apply does and reports every mistake with file, line,\ncolumn and a hint. Asks nobody and changes nothing.",
		Example: "  midplane validate -f tenants/",
		Args:    args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := loadTenants(cmd, file)
			if err != nil {
				return err
			}
			rows := make([]validated, 0, len(loaded))
			for _, l := range loaded {
				rows = append(rows, validate(l))
			}
			return printList(a, "tenants", rows, []column[validated]{
				{name: "Tenant", value: func(v validated) string { return v.Tenant }},
				{name: "File", value: func(v validated) string { return v.File }},
				{name: "Sites", value: func(v validated) string { return fmt.Sprint(v.Sites) }, right: true},
				{name: "Pollers", value: func(v validated) string { return fmt.Sprint(v.Pollers) }, right: true},
				{name: "Devices", value: func(v validated) string { return fmt.Sprint(v.Devices) }, right: true},
				{name: "Secrets", value: func(v validated) string { return strings.Join(v.Secrets, ", ") }, long: true},
				{name: "Valid", value: func(v validated) string { return yesNo(v.Valid) }},
			})
		},
	}
	fileFlag(cmd, &file)
	return cmd
}

// validated is one file without a mistake.
type validated struct {
	Tenant  string `json:"tenant"`
	File    string `json:"file"`
	Valid   bool   `json:"valid"`
	Sites   int    `json:"sites"`
	Pollers int    `json:"pollers"`
	Devices int    `json:"devices"`
	// Secrets are the names that the file refers to as secret:NAME. Whether they
	// are set, only the cluster knows: see midplane secret list.
	Secrets []string `json:"secrets"`
}

func validate(l *tenants.Loaded) validated {
	v := validated{Tenant: string(l.Spec.ID), File: l.File, Valid: true, Sites: len(l.Spec.Sites)}
	for _, s := range l.Spec.Sites {
		v.Pollers += len(s.Pollers)
		v.Devices += len(s.Devices)
	}
	v.Secrets = l.Spec.Secrets()
	return v
}

func newDiffCmd(a *app) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "diff -f DIR|FILE",
		Short: "What apply would do",
		Long: `Compares tenants' files with the cluster and prints what "midplane apply" would
do. Changes nothing.

Exits with 0 when there is nothing to do, 1 when there are differences, and
above 1 on an error.`,
		Example: "  midplane diff -f tenants/\n  midplane diff -f tenants/acme.yaml -o json",
		Args:    args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := loadTenants(cmd, file)
			if err != nil {
				return err
			}
			return a.withClient(func(c *client) error {
				changes, err := planAll(cmd.Context(), c, loaded)
				if err != nil {
					return err
				}
				if err := a.printPlan(changes); err != nil {
					return err
				}
				for _, ch := range changes {
					if len(ch.Steps) > 0 {
						return exitError(1)
					}
				}
				return nil
			})
		},
	}
	fileFlag(cmd, &file)
	return cmd
}

// printPlan is the output of diff and of apply --dry-run.
func (a *app) printPlan(changes []change) error {
	if a.format.machine() {
		return a.print(changes)
	}
	_, err := fmt.Fprint(a.stdout, planText(changes))
	return err
}
