package node

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// logger passes the server's log on. A Fatalf ends the node, not the process.
type logger struct {
	log   *slog.Logger
	fatal chan error
	plain plainText
}

// Noticef is debug here: what an operator should see Midplane logs itself.
func (l *logger) Noticef(format string, v ...any) {
	l.log.Debug("server: " + fmt.Sprintf(format, v...))
}

// Debugf takes every line, at any level of our own log: that a client speaks
// plain text to a TLS port is logged here only.
func (l *logger) Debugf(format string, v ...any) {
	handshake := strings.Contains(format, "handshake error")
	if !handshake && !l.log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	s := fmt.Sprintf(format, v...)
	if handshake {
		l.plain.take(l.log, s, time.Now())
	}
	l.log.Debug("server: " + s)
}
func (l *logger) Tracef(format string, v ...any) {}

// usual is what every start warns of. The last is about a TLS setting that the
// server takes for no verification at all: routes are verified by a function of
// ours, which knows a CA that was added after the start.
var usual = []string{"has not established contact with a meta leader", "Waiting for routing to be established",
	"hostname of solicited routes will not be verified"}

// Warnf leaves what every start warns of to the debug log.
func (l *logger) Warnf(format string, v ...any) {
	s := fmt.Sprintf(format, v...)
	if contains(usual, s) {
		l.log.Debug("server: " + s)
		return
	}
	l.log.Warn("server: " + s)
}

// Lines of the server at its error level that come before lost data, and those
// that only report that a peer is away or that a client did what it may not: the
// status names the one, the client gets an error for the other.
var (
	urgent  = []string{"orphaned stream", "Resetting WAL", "ritical write error", "out of resources"}
	nothing = []string{"Error trying to connect to route", "handshake error", "Violation", "uthorization"}
)

// Errorf raises what must wake an operator.
func (l *logger) Errorf(format string, v ...any) {
	s := fmt.Sprintf(format, v...)
	l.plain.take(l.log, s, time.Now()) // routes
	switch {
	case contains(urgent, s):
		l.log.Error("server: "+s, "page", true)
	case contains(nothing, s):
		l.log.Debug("server: " + s)
	default:
		l.log.Error("server: " + s)
	}
}

func contains(signs []string, s string) bool {
	return slices.ContainsFunc(signs, func(sign string) bool { return strings.Contains(s, sign) })
}

func (l *logger) Fatalf(format string, v ...any) {
	err := fatalError(fmt.Sprintf(format, v...))
	l.log.Error("server: fatal", "error", err)
	select {
	case l.fatal <- err:
	default:
	}
}
