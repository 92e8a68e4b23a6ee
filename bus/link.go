package bus

import (
	"crypto/x509"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"syscall"

	"github.com/nats-io/nats.go"
)

// mostSaid bounds how many different reasons are told while there is no connection.
const mostSaid = 16

// link tells how a connection comes and goes: each reason why there is none
// once, however often it is tried, and when it is over.
type link struct {
	log  *slog.Logger
	name string

	mu   sync.Mutex
	away bool            // and that was said
	said map[string]bool // while it is away
}

// lost is told that there was a connection.
func (l *link) lost(_ *nats.Conn, err error) {
	if err == nil {
		return // closed on purpose
	}
	l.mu.Lock()
	l.away = true
	l.mu.Unlock()
	l.log.Info("disconnected, reconnecting", "error", err, "connection", l.name)
}

// failed is told that one try made none.
func (l *link) failed(_ *nats.Conn, err error) {
	if err == nil {
		return
	}
	l.mu.Lock()
	if l.said == nil {
		l.said = map[string]bool{}
	}
	news := !l.said[err.Error()] && len(l.said) < mostSaid
	if news {
		l.said[err.Error()], l.away = true, true
	}
	l.mu.Unlock()
	if news {
		l.log.Warn("cannot connect, trying on", "error", err, "connection", l.name, "hint", connectHint(err))
	}
}

// trouble is told what the server or the client complains of. A refused
// login comes here as well, at every try: that is the reason why there is no
// connection, and is told like one.
func (l *link) trouble(nc *nats.Conn, sub *nats.Subscription, err error) {
	if sub == nil && isAuth(err) {
		l.failed(nc, err)
		return
	}
	args := []any{"error", secretSubject.ReplaceAllString(err.Error(), "$1.[redacted]"), "connection", l.name}
	if sub != nil {
		args = append(args, "subject", sub.Subject)
	}
	l.log.Warn("nats", args...)
}

// made is told that there is one.
func (l *link) made(nc *nats.Conn) {
	l.mu.Lock()
	was := l.away
	l.away, l.said = false, nil
	l.mu.Unlock()
	if was {
		l.log.Info("connected", "server", nc.ConnectedUrlRedacted(), "connection", l.name)
	}
}

// connectHint is what to do when a connection cannot be made.
func connectHint(err error) string {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	switch {
	case damaged(err):
		return "the credentials file is damaged: restore it, or make another user"
	case isAuth(err):
		return "the nodes do not accept these credentials: are they of this deployment, and not revoked?"
	case errors.Is(err, nats.ErrSecureConnRequired):
		return "the nodes speak TLS only: give the CA that the deployment has in tls/ca.crt"
	case errors.Is(err, nats.ErrSecureConnWanted):
		return "these nodes do not speak TLS"
	case errors.As(err, &unknown):
		return "another CA signed the nodes' certificates: give the one that their deployment has in tls/ca.crt"
	case errors.As(err, &host):
		return "the nodes' certificates are for other names: connect by a name that they hold"
	case strings.Contains(err.Error(), "remote error: tls: internal error"):
		return "the node is starting: it lets nobody in before it knows from the others who was revoked"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "is the node running, and is the port right?"
	}
	return "is the address right, and can this machine reach it?"
}
