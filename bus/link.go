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

// maxReasons bounds how many different reasons are logged while there is no
// connection.
const maxReasons = 16

// link logs how a connection comes and goes. While there is none it logs each
// reason once, however many tries fail, and when the connection is there again.
type link struct {
	log  *slog.Logger
	name string

	mu      sync.Mutex
	away    bool            // there is no connection, and that was logged
	reasons map[string]bool // those logged while there is no connection
}

// lost is called when a connection has ended.
func (l *link) lost(_ *nats.Conn, err error) {
	if err == nil {
		return // closed on purpose
	}
	l.mu.Lock()
	l.away = true
	l.mu.Unlock()
	l.log.Info("disconnected, reconnecting", "error", err, "connection", l.name)
}

// failed is called when one try to connect has failed.
func (l *link) failed(_ *nats.Conn, err error) {
	if err == nil {
		return
	}
	l.mu.Lock()
	if l.reasons == nil {
		l.reasons = map[string]bool{}
	}
	isNew := !l.reasons[err.Error()] && len(l.reasons) < maxReasons
	if isNew {
		l.reasons[err.Error()], l.away = true, true
	}
	l.mu.Unlock()
	if isNew {
		l.log.Warn("cannot connect, trying again", "error", err, "connection", l.name, "hint", connectHint(err))
	}
}

// trouble is called with errors of the server and the client library. A refused
// login is among them, at every try: it is a reason why there is no connection,
// and is logged like the others.
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

// made is called when a connection was made.
func (l *link) made(nc *nats.Conn) {
	l.mu.Lock()
	was := l.away
	l.away, l.reasons = false, nil
	l.mu.Unlock()
	if was {
		l.log.Info("connected", "server", nc.ConnectedUrlRedacted(), "connection", l.name)
	}
}

// connectHint says what to do when a connection cannot be made.
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
		return "the node is starting: it accepts no client before it knows from the other nodes which users are revoked"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "is the node running, and is the port right?"
	}
	return "is the address right, and can this machine reach it?"
}
