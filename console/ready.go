package console

import "net/http"

// serveReady answers /readyz. Whether this server is ready is no secret, and
// load balancers have no token; the checks with their errors are for who may
// see every tenant.
func (c *Console) serveReady(w http.ResponseWriter, r *http.Request) {
	if who, err := c.gate.identify(r, false); err == nil && fleet.grants(who) {
		c.cfg.Telemetry.ServeHTTP(w, r)
		return
	}
	status := quiet{header: http.Header{}, status: http.StatusOK}
	c.cfg.Telemetry.ServeHTTP(&status, r)
	word := "ready"
	if status.status != http.StatusOK {
		word = "not-ready"
	}
	writeJSON(w, status.status, struct {
		Status string `json:"status"`
	}{word})
}

// quiet keeps the status of an answer and drops the rest.
type quiet struct {
	header http.Header
	status int
}

// Header implements http.ResponseWriter.
func (q *quiet) Header() http.Header { return q.header }

// Write implements http.ResponseWriter.
func (q *quiet) Write(p []byte) (int, error) { return len(p), nil }

// WriteHeader implements http.ResponseWriter.
func (q *quiet) WriteHeader(status int) { q.status = status }
