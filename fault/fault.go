// Package fault classifies every error of Midplane once.
//
// What to do about an error (acknowledge, retry, exit code, HTTP status)
// follows from its Kind and from nothing else, so that the tables in bus,
// cmd/midplane and console cannot disagree. It imports only the standard
// library.
package fault

import (
	"context"
	"errors"
	"fmt"
)

// Kind is the class of an error. The list is closed; it grows only by a
// numbered decision in docs/adr.
type Kind string

// The classes.
const (
	Invalid     Kind = "invalid"     // the input can never be right: do not retry
	Denied      Kind = "denied"      // the user may not do this
	NotFound    Kind = "not-found"   // what is named does not exist
	Conflict    Kind = "conflict"    // it exists already, or has changed since it was read
	Unavailable Kind = "unavailable" // no answer, or no leader: retry
	Exhausted   Kind = "exhausted"   // a limit or a disk is full: retry later
	Other       Kind = "other"       // everything not classified
)

// Error is a classified error. Message says what happened and where; Hint says
// what a person can do about it.
type Error struct {
	Kind    Kind
	Message string
	Hint    string
	Err     error // cause, may be nil
}

// Error returns the message, followed by the cause when there is one.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	cause := e.Err.Error()
	switch {
	case e.Message == "":
		return cause
	case cause == "":
		return e.Message
	}
	return e.Message + ": " + cause
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// New returns a classified error with a formatted message; %w works as in
// fmt.Errorf.
func New(k Kind, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	e := &Error{Kind: k, Message: err.Error(), Hint: HintOf(err)}
	if errors.Unwrap(err) != nil {
		e.Err = printed{err}
	}
	return e
}

// printed keeps a cause reachable for errors.Is and errors.As although the
// message already contains its text.
type printed struct{ err error }

func (p printed) Error() string { return "" }
func (p printed) Unwrap() error { return p.err }

// Wrap gives err a class and says where it happened. A nil err stays nil. An
// error that is already classified keeps its class when k is Other.
func Wrap(k Kind, err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	if k == Other {
		k = KindOf(err)
	}
	return &Error{Kind: k, Message: fmt.Sprintf(format, args...), Hint: HintOf(err), Err: err}
}

// WithHint attaches what a person can do. A nil err stays nil.
func WithHint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &Error{Kind: KindOf(err), Hint: fmt.Sprintf(format, args...), Err: err}
}

// KindOf returns the class of err: that of the outermost classified error in
// its chain, Unavailable for a deadline, Other otherwise. It returns "" for nil.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return Unavailable
	}
	return Other
}

// Is reports whether err is of class k.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }

// HintOf returns the first hint in the chain of err, or "".
func HintOf(err error) string {
	for err != nil {
		if e, ok := err.(*Error); ok && e.Hint != "" {
			return e.Hint
		}
		if many, ok := err.(interface{ Unwrap() []error }); ok {
			for _, sub := range many.Unwrap() {
				if h := HintOf(sub); h != "" {
					return h
				}
			}
			return ""
		}
		err = errors.Unwrap(err)
	}
	return ""
}

// Retryable reports whether trying the same again later can succeed.
func Retryable(err error) bool {
	switch KindOf(err) {
	case Unavailable, Exhausted, Other:
		return true
	}
	return false
}
