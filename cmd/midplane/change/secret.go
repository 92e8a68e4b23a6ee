package change

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"midplane/api"
	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/connect"
	"midplane/cmd/midplane/shell/output"
	"midplane/event"
	"midplane/fault"
	"midplane/tenants"
)

// NewSecret is the command "secret".
func NewSecret(sh *shell.Shell) *cobra.Command {
	cmd := shell.Group(&cobra.Command{Use: "secret", Short: "Values that tenants' files refer to as secret:NAME"})
	cmd.AddCommand(newSecretSet(sh), newSecretList(sh), newSecretDelete(sh))
	return cmd
}

func newSecretSet(sh *shell.Shell) *cobra.Command {
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
		Args: shell.Args(1, 1, "TENANT/NAME of the secret"),
		RunE: func(cmd *cobra.Command, given []string) error {
			ref, err := secretRef(given[0])
			if err != nil {
				return err
			}
			value, terminal, err := sh.ReadSecret(cmd.Context(), "Value of "+given[0]+": ")
			if err != nil {
				return err
			}
			if !terminal {
				if more, err := io.ReadAll(io.LimitReader(sh.Stdin, 2)); err != nil || strings.TrimSpace(string(more)) != "" {
					return fault.WithHint(fault.New(fault.Invalid, "there is more than one line on standard input"), "a secret is one line; nothing was changed")
				}
			}
			if err := api.CheckSecretValue(value); err != nil {
				return err
			}
			return sh.WithClient(func(c *connect.Client) error {
				if err := c.Admin(cmd.Context(), api.SecretSet, api.SetSecret{Tenant: ref.Tenant, Name: ref.Name, Value: value}, nil); err != nil {
					return err
				}
				return secretDone(sh.Out, ref, api.SecretIsSet)
			})
		},
	}
}

func newSecretList(sh *shell.Shell) *cobra.Command {
	var tenant string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List secrets: names, who set them, when; never values",
		Long: `Lists the secrets that are set, and those that a tenant's file refers to and that
are not set ("missing"). Values are never shown.`,
		Example: "  midplane secret list --tenant acme",
		Args:    shell.Args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return sh.WithClient(func(c *connect.Client) error {
				rows, err := api.All[api.Secret](cmd.Context(), c.Admin, api.SecretList, api.ListRequest{Tenant: tenant})
				if err != nil {
					return err
				}
				return output.List(sh.Out, "secrets", rows, []output.Column[api.Secret]{
					{Name: "Tenant", Value: func(s api.Secret) string { return s.Tenant }},
					{Name: "Secret", Value: func(s api.Secret) string { return s.Name }},
					{Name: "Status", Value: func(s api.Secret) string { return s.Status }},
					{Name: "Set", Value: func(s api.Secret) string { return output.Ago(s.SetAt) }, Right: true},
					{Name: "By", Value: func(s api.Secret) string { return s.SetBy }},
					{Name: "Pollers", Value: func(s api.Secret) string { return strings.Join(s.Pollers, ", ") }, Long: true},
				})
			})
		},
	}
	cmd.Flags().StringVar(&tenant, "tenant", "", "only of this tenant")
	return cmd
}

func newSecretDelete(sh *shell.Shell) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete TENANT/NAME --yes",
		Short: "Forget a secret",
		Long: `Forgets a secret; pollers forget it too, within two seconds. Checks that need it
are unknown from then on.`,
		Example: "  midplane secret delete acme/snmp-community --yes",
		Args:    shell.Args(1, 1, "TENANT/NAME of the secret"),
		RunE: func(cmd *cobra.Command, given []string) error {
			ref, err := secretRef(given[0])
			if err != nil {
				return err
			}
			if !yes {
				return shell.MustSayYes("checks that need secret %s/%s will not work any more", ref.Tenant, ref.Name)
			}
			return sh.WithClient(func(c *connect.Client) error {
				if err := c.Admin(cmd.Context(), api.SecretDelete, ref, nil); err != nil {
					return err
				}
				return secretDone(sh.Out, ref, "deleted")
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

// secretRef reads TENANT/NAME. An argument that is wrong is not repeated in the
// error: it may be the secret itself, given in the wrong place.
func secretRef(s string) (api.SecretRef, error) {
	tenant, name, ok := strings.Cut(s, "/")
	if !ok || event.CheckName("tenant", tenant) != nil {
		return api.SecretRef{}, fault.WithHint(fault.New(fault.Invalid, "that is not TENANT/NAME"), "like: midplane secret set acme/snmp-community")
	}
	return api.SecretRef{Tenant: tenant, Name: name}, api.CheckSecretName(name)
}

func secretDone(out *output.Output, ref api.SecretRef, status string) error {
	if out.Machine() {
		return out.Print(struct {
			Tenant string `json:"tenant"`
			Name   string `json:"name"`
			Status string `json:"status"`
		}{ref.Tenant, ref.Name, status})
	}
	fmt.Fprintf(out.Stdout, "secret %s/%s %s\n", ref.Tenant, ref.Name, status)
	return nil
}

// warnMissing warns of secrets that a tenant's file refers to and that are not
// set. When that cannot be found out, the command goes on.
func warnMissing(ctx context.Context, out *output.Output, c *connect.Client, spec *tenants.Spec) {
	if len(spec.Secrets()) == 0 {
		return
	}
	rows, err := api.All[api.Secret](ctx, c.Admin, api.SecretList, api.ListRequest{Tenant: string(spec.ID)})
	if err != nil {
		fmt.Fprintf(out.Stderr, "tenant %s: whether its secrets are set is not known: %v\n", spec.ID, err)
		return
	}
	for _, s := range rows {
		if s.Status == api.SecretMissing {
			fmt.Fprintf(out.Stderr, "warning: tenant %s refers to secret:%s, which is not set; set it with: midplane secret set %s/%s\n", spec.ID, s.Name, spec.ID, s.Name)
		}
	}
}
