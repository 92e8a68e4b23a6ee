package api

import (
	"cmp"
	"fmt"
	"slices"

	"midplane/event"
)

// Problem is something wrong, and what to do about it. Programs should use Code;
// Message and Hint are for people. An older node leaves out Code, Scope and
// Subject.
type Problem struct {
	Code     Code   `json:"code,omitempty"`
	Scope    Scope  `json:"scope,omitempty"`
	Severity string `json:"severity"`
	Tenant   string `json:"tenant,omitempty"`
	Subject  string `json:"subject,omitempty"` // name of the node, poller, stream, secret, site… that has the problem
	Message  string `json:"message"`
	Hint     string `json:"hint"`
	// Cause is the problem that this one follows from; nil: from none that is known.
	Cause *ProblemRef `json:"cause,omitempty"`
}

// Scope is the part that has the problem.
type Scope string

// The scopes.
const (
	ScopeSystem  Scope = "system"  // Midplane itself: nodes, streams, primaries, pollers
	ScopeNetwork Scope = "network" // what Midplane watches: devices and checks
)

// Code names a kind of problem. It never changes its meaning.
type Code string

// CodeRow is what is the same for every problem of one code.
type CodeRow struct {
	Code     Code
	Scope    Scope
	Severity event.Severity
	Meaning  string
	Do       string // what to do in general; a problem's own hint may be more exact
}

// row returns the row of a code; a code without one is CodeUnspecified.
func (c Code) row() CodeRow {
	for _, r := range Codes {
		if r.Code == c {
			return r
		}
	}
	return CodeRow{Code: CodeUnspecified, Scope: ScopeSystem, Severity: event.Warning}
}

// wrong makes a problem of a code, with the scope and severity that it always has.
func wrong(c Code, tenant, subject, hint, format string, args ...any) Problem {
	r := c.row()
	return Problem{Code: r.Code, Scope: r.Scope, Severity: string(r.Severity), Tenant: tenant, Subject: subject,
		Message: fmt.Sprintf(format, args...), Hint: cmp.Or(hint, r.Do)}
}

// named gives a problem from an older node the code and scope that it lacks.
func (p Problem) named() Problem {
	if p.Code == "" {
		p.Code = CodeUnspecified
	}
	if p.Scope == "" {
		p.Scope = p.Code.row().Scope
	}
	return p
}

// Urgent reports whether a problem is a warning or more urgent.
func (p Problem) Urgent() bool {
	return event.Severity(p.Severity).Level() <= event.Warning.Level()
}

// Failing reports whether a list has an urgent problem in one of the scopes.
func Failing(list []Problem, scopes ...Scope) bool {
	return slices.ContainsFunc(list, func(p Problem) bool { return p.Urgent() && slices.Contains(scopes, p.Scope) })
}

// SortProblems orders a list: what follows from another problem after all others, most
// urgent first, the scope system before network, then by tenant, code and subject.
func SortProblems(list []Problem) {
	follows := func(p Problem) int {
		if p.Cause == nil {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(follows(a), follows(b)), cmp.Compare(event.Severity(a.Severity).Level(), event.Severity(b.Severity).Level()),
			-cmp.Compare(a.Scope, b.Scope), // "system" follows "network"
			cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Message, b.Message))
	})
}

// has reports whether a list has a problem of a code about subject.
func has(list []Problem, c Code, subject string) bool {
	return slices.ContainsFunc(list, func(p Problem) bool { return p.Code == c && p.Subject == subject })
}
