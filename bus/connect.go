// Package bus is the client side of Midplane for Go programs: how to connect,
// how an event becomes a NATS message and back, and what an answer means.
// Pollers, primaries and applications use the same code; nothing here depends
// on which of them it is. It may import schemas and lower packages.
package bus

import (
	"crypto/tls"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/fault"
	"midplane/subject"
	"midplane/telemetry"
)

// Config is how to connect.
type Config struct {
	Servers []string // client URLs of all nodes
	User    string   // name of the user: its inbox prefix
	Name    string   // of the connection, for operators

	// The user's credentials: a .creds file, or a JWT and a function that signs with the user's key.
	CredsFile string
	JWT       string
	Sign      func(nonce []byte) ([]byte, error)

	CAFile  string        // PEM; turns TLS 1.3 on; read again at every connection
	Dial    nats.Option   // nats.InProcessServer, or nil for TCP
	MaxWait time.Duration // for the first connection; 0: keep trying in the background
	Options []nats.Option // applied last
}

// A node that stands still, or is beyond a network that drops everything, keeps the
// connection open and answers nothing. It is left when a third ping is due and none
// was answered: after 12 seconds at most.
const (
	pingEvery = 4 * time.Second
	pingsOut  = 2
)

// Connect opens a connection that reconnects for ever and uses the user's own
// inbox. While the connection is down a publish fails at once, and nothing is
// buffered: a program that must not lose messages has an outbox. With MaxWait
// an error is Denied or Unavailable.
func Connect(cfg Config, tel telemetry.Telemetry) (*nats.Conn, error) {
	if err := checkServers(cfg.Servers); err != nil {
		return nil, err
	}
	l := &link{log: tel.Log, name: cfg.Name}
	opts := []nats.Option{
		nats.Name(cfg.Name),
		nats.CustomInboxPrefix(subject.InboxPrefix(cfg.User)),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(250*time.Millisecond, time.Second),
		nats.ReconnectBufSize(-1),
		nats.PingInterval(pingEvery),
		nats.MaxPingsOutstanding(pingsOut),
		nats.IgnoreAuthErrorAbort(),
		nats.Timeout(5 * time.Second),
		nats.ErrorHandler(l.trouble),
		nats.DisconnectErrHandler(l.lost),
		nats.ReconnectErrHandler(l.failed),
		nats.ConnectHandler(l.made),
		nats.ReconnectHandler(l.made),
	}
	switch {
	case cfg.CredsFile != "":
		if _, err := os.Stat(cfg.CredsFile); err != nil {
			return nil, fault.WithHint(fault.Wrap(fault.NotFound, err, "credentials"), "make them with: midplane user create")
		}
		opts = append(opts, nats.UserCredentials(cfg.CredsFile))
	case cfg.JWT != "":
		jwt := cfg.JWT
		opts = append(opts, nats.UserJWT(func() (string, error) { return jwt, nil }, cfg.Sign))
	}
	if cfg.CAFile != "" {
		trust, err := trustFile(cfg.CAFile)
		if err != nil {
			return nil, err
		}
		opts = append(opts, nats.Secure(&tls.Config{MinVersion: tls.VersionTLS13}), trust)
	}
	if cfg.Dial != nil {
		opts = append(opts, cfg.Dial)
	}
	if cfg.MaxWait == 0 {
		opts = append(opts, nats.RetryOnFailedConnect(true))
	}
	opts = append(opts, cfg.Options...)
	servers := strings.Join(cfg.Servers, ",")
	deadline := time.Now().Add(cfg.MaxWait)
	for {
		nc, err := nats.Connect(servers, opts...)
		if err == nil {
			return nc, nil
		}
		if damaged(err) {
			return nil, fault.WithHint(fault.Wrap(fault.Invalid, err, "credentials %s", cfg.CredsFile), "%s", connectHint(err))
		}
		kind := fault.Unavailable
		if isAuth(err) {
			kind = fault.Denied
		}
		if time.Now().After(deadline) || cfg.MaxWait == 0 {
			return nil, fault.Wrap(kind, err, "connect to %s as %s", servers, cfg.User)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// checkServers refuses URLs that could never be connected to.
func checkServers(servers []string) error {
	for _, s := range servers {
		full := s
		if !strings.Contains(s, "://") {
			full = "nats://" + s
		}
		u, err := url.Parse(full)
		if err != nil || u.Hostname() == "" || u.Scheme != "nats" && u.Scheme != "tls" || u.User != nil {
			return fault.WithHint(fault.New(fault.Invalid, "%q is not the URL of a node", redacted(s)), "write it like tls://node.example:4222")
		}
	}
	return nil
}

// redacted hides a password that a URL contains.
func redacted(s string) string {
	if i := strings.LastIndex(s, "@"); i >= 0 {
		return "…" + s[i:]
	}
	return s
}

// secretSubject matches a capability, which an error about permissions would show.
var secretSubject = regexp.MustCompile(`\b(w|a)\.[0-9a-f]{16,}`)

// damaged reports whether the error is that the credentials file cannot be used.
func damaged(err error) bool { return strings.Contains(err.Error(), "unable to extract") }

func isAuth(err error) bool {
	s := strings.ToLower(err.Error())
	return strings.Contains(s, "authorization") || strings.Contains(s, "authentication")
}
