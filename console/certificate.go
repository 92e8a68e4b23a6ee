package console

import (
	"crypto/tls"
	"log/slog"
	"os"
	"sync"
	"time"

	"midplane/fault"
)

// certificate is the console's own, read again when its files change. When the
// new one cannot be read, the one before stays in use.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu    sync.Mutex
	have  *tls.Certificate
	stamp [2]time.Time // of the files when they were read, or tried
	look  time.Time    // when to look at the files again
}

// lookEvery bounds how often the files are looked at.
const lookEvery = time.Second

func (c *certificate) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current(), nil }}
}

// load reads the files for the first time.
func (c *certificate) load() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stamp = c.stamps()
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fault.WithHint(fault.Wrap(fault.Invalid, err, "console: its certificate"), "--http-cert is a file of certificates, its own first, and --http-key its key, both PEM")
	}
	c.have = &pair
	return nil
}

func (c *certificate) stamps() (out [2]time.Time) {
	for i, name := range []string{c.certFile, c.keyFile} {
		if info, err := os.Stat(name); err == nil {
			out[i] = info.ModTime()
		}
	}
	return out
}

func (c *certificate) current() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Before(c.look) {
		return c.have
	}
	c.look = now.Add(lookEvery)
	stamp := c.stamps()
	if stamp == c.stamp {
		return c.have
	}
	c.stamp = stamp
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil { // perhaps one file is there and the other not yet: it will change again
		c.log.Warn("the console keeps its certificate: the new one cannot be read", "error", err.Error())
		return c.have
	}
	c.log.Info("the console has a new certificate")
	c.have = &pair
	return c.have
}
