package change

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/connect"
	"midplane/event"
	"midplane/fault"
	"midplane/poller/collect/all"
	"midplane/tenants"
)

// NewEdit is the command "edit".
func NewEdit(sh *shell.Shell) *cobra.Command {
	cmd := shell.Group(&cobra.Command{Use: "edit KIND", Short: "Change something in an editor"})
	timeout := time.Minute
	edit := &cobra.Command{
		Use:   "tenant TENANT",
		Short: "Change a tenant in an editor",
		Long: `Opens what the cluster has stored of a tenant in $VISUAL, else $EDITOR, else vi,
and applies it when the editor ends. A text that was not changed changes nothing.
On an error the text is kept in a file, which is named.

A tenant whose file is kept elsewhere is changed there too, or the next apply of
that file takes the change back.`,
		Example: "  midplane edit tenant acme\n  EDITOR='code --wait' midplane edit tenant acme",
		Args:    shell.Args(1, 1, "TENANT"),
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := event.CheckName("tenant", given[0]); err != nil {
				return err
			}
			if timeout <= 0 {
				return shell.Usage(cmd, "--timeout %s is not positive", timeout)
			}
			return editTenant(cmd.Context(), sh, given[0], timeout)
		},
	}
	edit.Flags().DurationVar(&timeout, "timeout", timeout, "how long to wait until it is ready")
	cmd.AddCommand(edit)
	return cmd
}

// editTenant has no connection open while a person types: the change is made
// against the revision that was shown.
func editTenant(ctx context.Context, sh *shell.Shell, id string, timeout time.Duration) error {
	var text []byte
	var shown uint64
	if err := sh.WithClient(func(c *connect.Client) (err error) {
		text, shown, err = c.StoredTenant(ctx, id)
		return err
	}); err != nil {
		return err
	}
	file, err := editFile(id, text)
	if err != nil {
		return err
	}
	kept := func(err error) error {
		return fault.WithHint(fault.Wrap(fault.Other, err, "tenant %s", id), "%s",
			strings.TrimPrefix(fault.HintOf(err)+"; the text is kept: midplane apply -f "+file, "; "))
	}
	if err := openEditor(ctx, sh, file); err != nil {
		return kept(err)
	}
	after, err := os.ReadFile(file)
	if err != nil {
		return fault.Wrap(fault.Other, err, "edit")
	}
	if bytes.Equal(text, after) {
		fmt.Fprintf(sh.Out.Stderr, "tenant %s: nothing was changed\n", id)
		return fault.Wrap(fault.Other, os.Remove(file), "edit")
	}
	loaded, err := tenants.LoadFile(file, tenants.Options{Collectors: slices.Sorted(maps.Keys(all.Collectors()))})
	if err == nil && string(loaded.Spec.ID) != id {
		err = fault.New(fault.Invalid, "the text is about tenant %q: an id never changes", loaded.Spec.ID)
	}
	if err != nil {
		return kept(err)
	}
	err = sh.WithClient(func(c *connect.Client) error {
		ch, err := plan(ctx, c, loaded.Spec)
		if err != nil {
			return err
		}
		if ch.was.Revision != shown {
			return fault.New(fault.Conflict, "it was changed while you typed: look with midplane diff -f %s", file)
		}
		fmt.Fprint(sh.Out.Stderr, planText([]change{ch}))
		return applyAll(ctx, sh.Out, c, []change{ch}, timeout)
	})
	if err != nil {
		return kept(err)
	}
	return fault.Wrap(fault.Other, os.Remove(file), "edit")
}

// editFile writes the text to a file that only this user may read.
func editFile(id string, text []byte) (string, error) {
	f, err := os.CreateTemp("", "midplane-"+id+"-*.yaml")
	if err != nil {
		return "", fault.Wrap(fault.Other, err, "edit")
	}
	_, err = f.Write(text)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return f.Name(), fault.Wrap(fault.Other, err, "edit")
}

// openEditor runs the editor and returns when it ends.
func openEditor(ctx context.Context, sh *shell.Shell, file string) error {
	editor := cmp.Or(os.Getenv("VISUAL"), os.Getenv("EDITOR"), "vi")
	words := strings.Fields(editor)
	if len(words) == 0 {
		return fault.New(fault.Invalid, "VISUAL or EDITOR is empty")
	}
	cmd := exec.CommandContext(ctx, words[0], append(words[1:], file)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = sh.Stdin, sh.Out.Stdout, sh.Out.Stderr
	if err := cmd.Run(); err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "editor %q: %v", editor, err), "set VISUAL or EDITOR to a program that edits a file")
	}
	return nil
}
