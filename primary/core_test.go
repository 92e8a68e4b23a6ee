package primary

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/event"
	"midplane/subject"
)

// serveCore answers what primaries ask the control plane.
func (w *world) serveCore() {
	creds := w.creds(w.control, "midplane-service", "service.creds", []string{"_INBOX.>"}, []string{"core.>"})
	nc := w.dial(creds, "midplane-service")
	_, err := nc.Subscribe("core.>", func(m *nats.Msg) {
		go func() {
			body, err := json.Marshal(w.answer(m))
			if err == nil {
				_ = m.Respond(body) // the asker may be gone
			}
		}()
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) answer(m *nats.Msg) any {
	_, name, verb, err := subject.ParseRequest(m.Subject)
	if err != nil {
		w.t.Error(err)
	}
	switch verb {
	case api.CoreTenants:
		var req api.CoreTenantsRequest
		w.decode(m.Data, &req)
		return w.tenantsAfter(req.Known)
	case api.CoreCredentials:
		var req api.CoreCredentialsRequest
		w.decode(m.Data, &req)
		w.mu.Lock()
		defer w.mu.Unlock()
		user := "midplane-primary-" + name
		var pub []string
		for _, s := range event.Streams {
			for _, verb := range []string{"CREATE", "INFO", "DELETE", "MSG.NEXT"} {
				pub = append(pub, "$JS.API.CONSUMER."+verb+"."+s+".>")
			}
			pub = append(pub, "$JS.API.STREAM.MSG.GET."+s)
		}
		w.given++
		return api.CoreCredentialsAnswer{User: user, Life: api.Duration(w.life), JWT: w.user(w.tenants[req.Tenant].account, user, req.PublicKey, pub, []string{"_INBOX." + user + ".>"})}
	case api.CoreCursor:
		var req api.CursorReport
		w.decode(m.Data, &req)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.reports[req.Tenant] = req
	case api.CoreResend:
		var req api.ResendRequest
		w.decode(m.Data, &req)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.resent[name] = append(w.resent[name], req)
	case api.CoreFinding:
		var req api.Finding
		w.decode(m.Data, &req)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.findings[string(req.Tenant)+" "+req.ID] = req
	}
	return struct{}{}
}

func (w *world) decode(data []byte, v any) {
	if err := api.Decode(data, v); err != nil {
		w.t.Errorf("%s: %v", data, err)
	}
}

func (w *world) tenantsAfter(known uint64) api.CoreTenantsAnswer {
	for {
		w.mu.Lock()
		changed := w.changed
		if w.revision > known {
			defer w.mu.Unlock()
			out := api.CoreTenantsAnswer{Revision: w.revision}
			for _, t := range w.tenants {
				out.Tenants = append(out.Tenants, t.core)
			}
			return out
		}
		w.mu.Unlock()
		select {
		case <-changed:
		case <-time.After(api.FollowWait):
			return api.CoreTenantsAnswer{Revision: known}
		}
	}
}

// finding reports whether a finding with that key, or one that begins so, has come.
func (w *world) finding(key string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for have := range w.findings {
		if strings.HasPrefix(have, key) {
			return true
		}
	}
	return false
}
