package shell

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"midplane/cmd/midplane/shell/output"
	"midplane/fault"
	"midplane/tenants"
)

// ExitCode is one row of the table of exit codes.
type ExitCode struct {
	Kind    fault.Kind // "" when all went well
	Code    int
	Meaning string
}

// exitCodes is THE table from what went wrong to the exit code. Scripts rely
// on it; it changes only by a numbered decision.
var exitCodes = []ExitCode{
	{"", 0, "done"},
	{fault.Other, 1, "failed; none of the classes below"},
	{fault.Invalid, 2, "the command line, a file or the environment is wrong; nothing was changed"},
	{fault.Denied, 3, "not allowed with these credentials"},
	{fault.NotFound, 4, "what is named does not exist"},
	{fault.Conflict, 5, "it exists already, or another change came first"},
	{fault.Unavailable, 6, "no answer, or not in time; trying again can help"},
	{fault.Exhausted, 6, "a limit is reached or a disk is full; trying again later can help"},
}

// ExitCodes returns the table of exit codes.
func ExitCodes() []ExitCode { return slices.Clone(exitCodes) }

// Exit ends a command with a code that is not an error's: its output has been
// printed.
type Exit int

func (e Exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// Stopped is why a context ended: a person or a supervisor sent a signal.
type Stopped struct{ Signal syscall.Signal }

func (s Stopped) Error() string { return "stopped by " + s.Signal.String() }

// exitCode returns the code of err.
func exitCode(err error) int {
	var own Exit
	if errors.As(err, &own) {
		return int(own)
	}
	kind := fault.KindOf(err)
	for _, row := range exitCodes {
		if row.Kind == kind {
			return row.Code
		}
	}
	return 1
}

// Finish prints what went wrong, once, and returns the exit code.
func (s *Shell) Finish(ctx context.Context, cmd *cobra.Command, err error) int {
	var own Exit
	if err == nil || errors.As(err, &own) {
		return exitCode(err)
	}
	var by Stopped
	if errors.Is(err, context.Canceled) && errors.As(context.Cause(ctx), &by) {
		return 128 + int(by.Signal)
	}
	if !s.started && fault.KindOf(err) == fault.Other {
		// cobra's own complaints about flags and arguments carry no class
		err = FlagError(cmd, err)
	}
	s.report(err)
	code := exitCode(err)
	if code == 1 && cmd.Name() == "diff" {
		code = 2 // 1 means "there are differences"
	}
	return code
}

// report prints err for a person and, with -o json, for a program too: the
// last line of standard error is then one JSON object.
func (s *Shell) report(err error) {
	fmt.Fprintf(s.Out.Stderr, "error: %s\n", strings.TrimSpace(err.Error()))
	hint := fault.HintOf(err)
	if hint != "" {
		fmt.Fprintf(s.Out.Stderr, "hint: %s\n", hint)
	}
	if s.Out.Format != output.JSON {
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
	_ = (&output.Output{Stdout: s.Out.Stderr}).PrintLine(machine) // nothing that could fail
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

// FlagError is the error of a command line whose flags cannot be read.
func FlagError(cmd *cobra.Command, err error) error {
	return Usage(cmd, "%s", firstLine(err.Error()))
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
