package http

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http/httptrace"
	"sync"
	"time"

	"midplane/event"
	"midplane/poller/collect"
)

// watch takes the time of a request's parts and looks at the certificates of
// all its hops. Hooks may be called from other goroutines, even late ones.
type watch struct {
	began time.Time

	mu        sync.Mutex
	timing    event.Timing
	connected bool
	dial      time.Time
	shake     time.Time
	leaf      *x509.Certificate // the one that expires first
}

func newWatch() *watch { return &watch{began: time.Now()} }

// trace returns the hooks. Connect and TLS are those of the last hop.
func (w *watch) trace() *httptrace.ClientTrace {
	locked := func(f func()) {
		w.mu.Lock()
		defer w.mu.Unlock()
		f()
	}
	return &httptrace.ClientTrace{
		ConnectStart: func(string, string) { locked(func() { w.dial = time.Now() }) },
		ConnectDone: func(_, _ string, err error) {
			locked(func() {
				if err == nil {
					w.connected = true
					w.timing.Connect = collect.Milliseconds(time.Since(w.dial))
				}
			})
		},
		TLSHandshakeStart: func() { locked(func() { w.shake = time.Now() }) },
		TLSHandshakeDone: func(state tls.ConnectionState, err error) {
			locked(func() {
				w.timing.TLS = collect.Milliseconds(time.Since(w.shake))
				if err == nil && len(state.PeerCertificates) > 0 {
					w.saw(state.PeerCertificates[0])
				}
			})
		},
		GotFirstResponseByte: func() {
			locked(func() { w.timing.FirstByte = collect.Milliseconds(time.Since(w.began)) })
		},
	}
}

// saw keeps the certificate that expires first; the mutex is held.
func (w *watch) saw(leaf *x509.Certificate) {
	if w.leaf == nil || leaf.NotAfter.Before(w.leaf.NotAfter) {
		w.leaf = leaf
	}
}

// blame looks at the certificate that a handshake failed for: an expired one
// is known by its date too.
func (w *watch) blame(err error) {
	var verify *tls.CertificateVerificationError
	if errors.As(err, &verify) && len(verify.UnverifiedCertificates) > 0 {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.saw(verify.UnverifiedCertificates[0])
	}
}

// result returns the times and whether anybody answered.
func (w *watch) result() (event.Timing, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timing.Total = collect.Milliseconds(time.Since(w.began))
	return w.timing, w.connected
}

// notAfter is when the first of the certificates expires, zero without TLS.
func (w *watch) notAfter() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.leaf == nil {
		return time.Time{}
	}
	return carried(w.leaf.NotAfter)
}

// carried brings a time into the years that a message can carry: a certificate
// may end in the year 9999 of another time zone, which is 10000 in UTC.
func carried(t time.Time) time.Time {
	first, last := time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	switch {
	case t.Before(first):
		return first
	case t.After(last):
		return last
	}
	return t.UTC()
}

// judgeCertificate is "warning" from warnDays before the end, "critical" after it.
func judgeCertificate(notAfter, now time.Time, warnDays int, r *collect.Result) {
	r.Check.NotAfter = &notAfter
	left := notAfter.Sub(now)
	switch {
	case left <= 0:
		r.Set(event.CheckCritical, "the certificate expired on "+notAfter.Format(time.DateOnly))
	case left < time.Duration(warnDays)*24*time.Hour:
		r.Set(event.CheckWarning, fmt.Sprintf("the certificate expires on %s", notAfter.Format(time.DateOnly)))
	}
}
