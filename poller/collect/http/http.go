// Package http checks a web address: does it answer, with the right status
// and words, how fast, and for how long its certificate is still good. It may
// import collect, event and fault.
package http

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"time"

	"midplane/event"
	"midplane/poller/collect"
)

const (
	maxRedirects = 5
	maxBody      = 1 << 20 // bytes that are read, and searched for "contains"
)

// Collector is the http collector.
type Collector struct{}

// New returns the collector.
func New() Collector { return Collector{} }

// Collect makes one request, following redirects.
func (Collector) Collect(ctx context.Context, t collect.Target, emit collect.Emit) error {
	o, err := read(t)
	if err != nil {
		return err
	}
	r := collect.NewResult(t, o.shown, o.owns)
	ask(ctx, o, t.Timeout, r)
	if err := collect.Ended(ctx); err != nil {
		return err
	}
	return emit(ctx, r.Events(t)...)
}

// ask makes the request and judges the answer.
func ask(ctx context.Context, o order, timeout time.Duration, r *collect.Result) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	w := newWatch()
	client := o.client()
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, w.trace()), o.method, o.url.String(), nil)
	if err != nil { // read has parsed the URL and knows the method
		r.Set(event.CheckCritical, "the request cannot be made")
		return
	}
	req.Header.Set("User-Agent", "midplane")
	resp, err := client.Do(req)
	var body []byte
	if err == nil {
		body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody))
		resp.Body.Close()
	}
	r.Timing, r.Answered = w.result()
	r.RTT = r.Timing.Connect
	if err != nil {
		r.Unasked = collect.Unresolved(err) && !r.Answered
		w.blame(err)
		r.Set(event.CheckCritical, o.redact(why(err, timeout)))
	} else {
		o.judge(resp, body, r)
	}
	if notAfter := w.notAfter(); !notAfter.IsZero() {
		judgeCertificate(notAfter, time.Now(), o.warnDays, r)
	}
}

// judge compares the answer with what is expected.
func (o order) judge(resp *http.Response, body []byte, r *collect.Result) {
	r.Set(event.CheckOK, "HTTP "+resp.Status)
	if !o.expect.has(resp.StatusCode) {
		r.Set(event.CheckCritical, "expected "+o.expect.text)
	}
	if o.contains != "" && !strings.Contains(string(body), o.contains) {
		r.Set(event.CheckCritical, "the expected text is not in the body")
	}
}

// why is the reason of a failed request. The error of package http repeats the
// URL with its query, so only what is inside counts.
func why(err error, timeout time.Duration) string {
	var verify *tls.CertificateVerificationError
	if errors.As(err, &verify) {
		return verify.Err.Error()
	}
	if errors.Is(err, errRedirects) {
		return errRedirects.Error()
	}
	return collect.Reason(inner(err), timeout)
}

var errRedirects = errors.New("more than 5 redirects")

func (o order) client() *http.Client {
	return &http.Client{
		// A connection of its own for every run: the handshake is part of what
		// is measured. No proxy: the poller stands where it is to look from.
		Transport: &http.Transport{
			DisableKeepAlives: true,
			ForceAttemptHTTP2: true,
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: o.insecure},
		},
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return errRedirects
			}
			req.Header.Del("Referer") // it would carry our query to another host
			return nil
		},
	}
}
