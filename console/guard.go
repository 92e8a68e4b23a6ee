package console

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"midplane/fault"
	"midplane/telemetry"
)

// csp lets the page load its own files and ask its own API, and nothing else:
// no inline script or style, no frame around it, no text turned into markup.
const csp = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// guard sets the headers of every answer and refuses what is not meant for this
// console.
func (c *Console) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", csp)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if overTLS(r) {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		switch {
		case !c.hosts.allowed(r.Host):
			writeError(w, fault.WithHint(fault.New(fault.Denied, "host %q is not this console", r.Host),
				"ask for %s, or add the name with --http-host", c.URL()))
		case (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.ContentLength != 0:
			h.Set("Connection", "close") // what follows is not read
			writeError(w, fault.New(fault.Invalid, "a question has no body"))
		case r.ContentLength > maxBody:
			h.Set("Connection", "close")
			writeStatus(w, http.StatusRequestEntityTooLarge, fault.New(fault.Invalid, "the body has more than %d bytes", maxBody))
		case foreign(r):
			writeError(w, fault.WithHint(fault.New(fault.Denied, "another site's page asks for %s", r.URL.Path),
				"open the console itself"))
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// foreign reports whether a page of another origin asks in the background.
// Such a page could not read the answer, but it could open every event stream
// that there may be. Following a link to the console is fine.
func foreign(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return false
	}
	return r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Header.Get("Sec-Fetch-Dest") != "document"
}

// watch gives every request a span and counts it by route and status.
func (c *Console) watch(next http.Handler) (http.Handler, error) {
	took, err := c.tele.Meter.Float64Histogram(telemetry.MetricConsoleRequest,
		metric.WithUnit(telemetry.UnitSeconds), metric.WithDescription("Requests to the console, by route and status."))
	if err != nil {
		return nil, fault.Wrap(fault.Other, err, "console")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		ctx, span := c.tele.Tracer.Start(r.Context(), telemetry.SpanServe, trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		r = r.WithContext(ctx)
		out := &watched{ResponseWriter: w, status: http.StatusOK}
		defer func() { // also when the connection is aborted
			about := []attribute.KeyValue{telemetry.AttrRoute.String(r.Pattern), telemetry.AttrStatus.Int(out.status)}
			span.SetAttributes(about...)
			took.Record(context.WithoutCancel(ctx), time.Since(start).Seconds(), metric.WithAttributes(about...))
			if out.status >= http.StatusInternalServerError && out.failure != "" { // /readyz answers 503 by itself, with the reason
				c.tele.Log.WarnContext(ctx, "the console could not answer", "path", r.URL.Path, "status", out.status, "error", out.failure)
			}
		}()
		next.ServeHTTP(out, r)
	}), nil
}

// watched remembers what was answered.
type watched struct {
	http.ResponseWriter
	status  int
	failure string
}

func (w *watched) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }
