package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
	"midplane/tenants"
)

func newSecretCmd(a *app) *cobra.Command {
	cmd := group(&cobra.Command{Use: "secret", Short: "Values that tenants' files refer to as secret:NAME"})
	cmd.AddCommand(newSecretSet(a), newSecretList(a), newSecretDelete(a))
	return cmd
}

func newSecretSet(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "set TENANT/NAME",
		Short: "Give a secret a value, read from standard input",
		Long: `Reads one line from standard input (from a terminal without showing it) and
keeps it, sealed, in the registry. A tenant's file refers to it as secret:NAME.

Only the pollers whose configuration refers to it are given it, within two
seconds, without being restarted; the next run of a check uses it. Setting it
again replaces the value. It is never shown again, by anything.`,
		Example: `  midplane secret set acme/snmp-community < community.txt
  pass show acme/snmp | midplane secret set acme/snmp-community`,
		Args: args(1, 1, "TENANT/NAME of the secret"),
		RunE: func(cmd *cobra.Command, given []string) error {
			ref, err := secretRef(given[0])
			if err != nil {
				return err
			}
			value, terminal, err := a.readSecret(cmd.Context(), "Value of "+given[0]+": ")
			if err != nil {
				return err
			}
			if !terminal {
				if more, err := io.ReadAll(io.LimitReader(a.stdin, 2)); err != nil || strings.TrimSpace(string(more)) != "" {
					return fault.WithHint(fault.New(fault.Invalid, "there is more than one line on standard input"), "a secret is one line; nothing was changed")
				}
			}
			if err := api.CheckSecretValue(value); err != nil {
				return err
			}
			return a.withClient(func(c *client) error {
				if err := c.Admin(cmd.Context(), api.SecretSet, api.SetSecret{Tenant: ref.Tenant, Name: ref.Name, Value: value}, nil); err != nil {
					return err
				}
				return a.secretDone(ref, api.SecretIsSet)
			})
		},
	}
}

func newSecretList(a *app) *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List secrets: names, who set them, when; never values",
		Long: `Lists what is set, and what a tenant's file refers to although nobody has set it
("missing"). Values are never shown.`,
		Example: "  midplane secret list --tenant acme",
		Args:    args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withClient(func(c *client) error {
				rows, err := api.All[api.Secret](cmd.Context(), c.Admin, api.SecretList, api.ListRequest{Tenant: tenant})
				if err != nil {
					return err
				}
				return printList(a, "secrets", rows, []column[api.Secret]{
					{name: "Tenant", value: func(s api.Secret) string { return s.Tenant }},
					{name: "Secret", value: func(s api.Secret) string { return s.Name }},
					{name: "Status", value: func(s api.Secret) string { return s.Status }},
					{name: "Set", value: func(s api.Secret) string { return ago(s.SetAt) }, right: true},
					{name: "By", value: func(s api.Secret) string { return s.SetBy }},
					{name: "Pollers", value: func(s api.Secret) string { return strings.Join(s.Pollers, ", ") }, long: true},
				})
			})
		},
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "only of this tenant")
	return cmd
}

func newSecretDelete(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete TENANT/NAME --yes",
		Short: "Forget a secret",
		Long: `Forgets a secret; pollers forget it too, within two seconds. Checks that need it
are unknown from then on.`,
		Example: "  midplane secret delete acme/snmp-community --yes",
		Args:    args(1, 1, "TENANT/NAME of the secret"),
		RunE: func(cmd *cobra.Command, given []string) error {
			ref, err := secretRef(given[0])
			if err != nil {
				return err
			}
			if !yes {
				return mustSayYes("checks that need secret %s/%s will not work any more", ref.Tenant, ref.Name)
			}
			return a.withClient(func(c *client) error {
				if err := c.Admin(cmd.Context(), api.SecretDelete, ref, nil); err != nil {
					return err
				}
				return a.secretDone(ref, "deleted")
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

// secretRef reads TENANT/NAME. What is wrong is not repeated: it may be the
// secret itself, given in the wrong place.
func secretRef(s string) (api.SecretRef, error) {
	tenant, name, ok := strings.Cut(s, "/")
	if !ok || event.CheckName("tenant", tenant) != nil {
		return api.SecretRef{}, fault.WithHint(fault.New(fault.Invalid, "that is not TENANT/NAME"), "like: midplane secret set acme/snmp-community")
	}
	return api.SecretRef{Tenant: tenant, Name: name}, api.CheckSecretName(name)
}

func (a *app) secretDone(ref api.SecretRef, status string) error {
	if a.format.machine() {
		return a.print(struct {
			Tenant string `json:"tenant"`
			Name   string `json:"name"`
			Status string `json:"status"`
		}{ref.Tenant, ref.Name, status})
	}
	fmt.Fprintf(a.stdout, "secret %s/%s %s\n", ref.Tenant, ref.Name, status)
	return nil
}

// warnMissing names on standard error what a tenant's file refers to and
// nobody has set. That it cannot be found out is no reason to fail.
func (a *app) warnMissing(ctx context.Context, c *client, spec *tenants.Spec) {
	if len(spec.Secrets()) == 0 {
		return
	}
	rows, err := api.All[api.Secret](ctx, c.Admin, api.SecretList, api.ListRequest{Tenant: string(spec.ID)})
	if err != nil {
		fmt.Fprintf(a.stderr, "tenant %s: whether its secrets are set is not known: %v\n", spec.ID, err)
		return
	}
	for _, s := range rows {
		if s.Status == api.SecretMissing {
			fmt.Fprintf(a.stderr, "warning: tenant %s refers to secret:%s, which is not set; set it with: midplane secret set %s/%s\n", spec.ID, s.Name, spec.ID, s.Name)
		}
	}
}
