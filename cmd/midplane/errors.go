package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"midplane/fault"
	"midplane/tenants"
)

// exitCodes is THE table from what went wrong to the exit code. Scripts rely
// on it; it changes only by a numbered decision.
var exitCodes = []struct {
	kind    fault.Kind
	code    int
	meaning string
}{
	{"", 0, "done"},
	{fault.Other, 1, "failed; none of the classes below"},
	{fault.Invalid, 2, "the command line, a file or the environment is wrong; nothing was changed"},
	{fault.Denied, 3, "not allowed with these credentials"},
	{fault.NotFound, 4, "what is named does not exist"},
	{fault.Conflict, 5, "it exists already, or somebody else changed it meanwhile"},
	{fault.Unavailable, 6, "nobody answered, or not in time; trying again can help"},
	{fault.Exhausted, 6, "a limit is reached or a disk is full; trying again later can help"},
}

// exitError ends a command with a code that is not an error's: what it had to
// say has been printed.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// exitCode returns the code of err.
func exitCode(err error) int {
	var own exitError
	if errors.As(err, &own) {
		return int(own)
	}
	kind := fault.KindOf(err)
	for _, row := range exitCodes {
		if row.kind == kind {
			return row.code
		}
	}
	return 1
}

// finish prints what went wrong, once, and returns the exit code.
func (a *app) finish(ctx context.Context, cmd *cobra.Command, err error) int {
	var own exitError
	if err == nil || errors.As(err, &own) {
		return exitCode(err)
	}
	var by stopped
	if errors.Is(err, context.Canceled) && errors.As(context.Cause(ctx), &by) {
		return 128 + int(by.signal)
	}
	if !a.started && fault.KindOf(err) == fault.Other {
		// cobra's own complaints about flags and arguments carry no class
		err = usage(cmd, "%s", firstLine(err.Error()))
	}
	a.report(err)
	code := exitCode(err)
	if code == 1 && cmd.Name() == "diff" {
		code = 2 // 1 means "there are differences"
	}
	return code
}

// report prints err for a person and, with -o json, for a program too: the
// last line of standard error is then one JSON object.
func (a *app) report(err error) {
	fmt.Fprintf(a.stderr, "error: %s\n", strings.TrimSpace(err.Error()))
	hint := fault.HintOf(err)
	if hint != "" {
		fmt.Fprintf(a.stderr, "hint: %s\n", hint)
	}
	if a.format != formatJSON {
		return
	}
	var machine struct {
		Error struct {
			Code    fault.Kind `json:"code"`
			Message string     `json:"message"`
			Hint    string     `json:"hint"`
			Details []mistake  `json:"details,omitempty"` // of tenants' files
		} `json:"error"`
	}
	machine.Error.Code, machine.Error.Message, machine.Error.Hint = fault.KindOf(err), err.Error(), hint
	for _, m := range tenants.Mistakes(err) {
		machine.Error.Details = append(machine.Error.Details, mistake{m.File, m.Line, m.Column, m.Path, m.Message, m.Hint})
	}
	line, _ := json.Marshal(machine) // nothing that could fail
	fmt.Fprintf(a.stderr, "%s\n", line)
}

// mistake is one thing wrong in a tenant's file, for a program.
type mistake struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Path    string `json:"path"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

// usage is an error about the command line itself.
func usage(cmd *cobra.Command, format string, args ...any) error {
	return fault.WithHint(fault.New(fault.Invalid, format, args...), "see: %s --help", cmd.CommandPath())
}

// args checks the number of arguments; what names them, for the message.
func args(minimum, maximum int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		switch {
		case len(given) < minimum:
			return usage(cmd, "%s is missing", what)
		case len(given) > maximum && maximum == 0:
			return usage(cmd, "%q is one argument too many", given[0])
		case len(given) > maximum:
			return usage(cmd, "%q is one argument too many: want %s", given[maximum], what)
		}
		return nil
	}
}

// group makes cmd a mere parent of others: alone it prints its help, and what
// is none of its children is an error.
func group(cmd *cobra.Command) *cobra.Command {
	cmd.SuggestionsMinimumDistance = 2
	cmd.Args = func(cmd *cobra.Command, given []string) error {
		if len(given) == 0 {
			return nil
		}
		err := fault.New(fault.Invalid, "unknown command %q", cmd.CommandPath()+" "+given[0])
		if near := cmd.SuggestionsFor(given[0]); len(near) > 0 {
			return fault.WithHint(err, "did you mean %s?", strings.Join(near, " or "))
		}
		return fault.WithHint(err, "see: %s --help", cmd.CommandPath())
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	return cmd
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
