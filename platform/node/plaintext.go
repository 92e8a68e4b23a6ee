package node

import (
	"log/slog"
	"strings"
	"sync"
	"time"
)

// plainEvery bounds how often a node says that somebody speaks plain text.
const plainEvery = time.Minute

// plainText tells of connections that do not begin with TLS where TLS is
// spoken. The server says so at its debug level only, once per connection: a
// client that was set up wrongly comes again every second, and a scanner more
// often than that.
type plainText struct {
	mu   sync.Mutex
	said time.Time
	more int // since then
}

// plainSign is what Go's TLS says of a first record that is none.
const plainSign = "first record does not look like a TLS handshake"

// heard takes one line of the server and reports whether it was about plain text.
func (p *plainText) heard(log *slog.Logger, line string, now time.Time) bool {
	if !strings.Contains(line, plainSign) {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.said.IsZero() && now.Sub(p.said) < plainEvery {
		p.more++
		return true
	}
	from, _, _ := strings.Cut(line, " - ")
	port := "clients"
	if strings.Contains(line, "TLS route") {
		port = "routes"
	}
	args := []any{"from", from, "port", port, "hint", "write its URL as tls://… and give it the CA's certificate"}
	if p.more > 0 {
		args = append(args, "others", p.more)
	}
	log.Warn("refused a connection in plain text: this port speaks TLS only", args...)
	p.said, p.more = now, 0
	return true
}
