package node

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// logger passes the server's log on. A Fatalf ends the node, not the process.
type logger struct {
	log   *slog.Logger
	fatal chan error
}

// Noticef is debug here: what an operator should see is said by us.
func (l *logger) Noticef(format string, v ...any) {
	l.log.Debug("server: " + fmt.Sprintf(format, v...))
}
func (l *logger) Debugf(format string, v ...any) { l.log.Debug("server: " + fmt.Sprintf(format, v...)) }
func (l *logger) Tracef(format string, v ...any) {}

// Warnf leaves what every start says to the debug log.
func (l *logger) Warnf(format string, v ...any) {
	s := fmt.Sprintf(format, v...)
	if strings.Contains(s, "has not established contact with a meta leader") || strings.Contains(s, "Waiting for routing to be established") {
		l.log.Debug("server: " + s)
		return
	}
	l.log.Warn("server: " + s)
}

// Lines of the server at its error level that come before lost data, and those
// that only say that a peer is away or that a client did what it may not: the
// status names the one, the client hears of the other.
var (
	urgent  = []string{"orphaned stream", "Resetting WAL", "ritical write error", "out of resources"}
	nothing = []string{"Error trying to connect to route", "TLS handshake error", "Violation", "uthorization"}
)

// Errorf raises what must wake somebody.
func (l *logger) Errorf(format string, v ...any) {
	s := fmt.Sprintf(format, v...)
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
