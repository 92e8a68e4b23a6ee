package http

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"midplane/event"
	"midplane/fault"
	"midplane/poller/collect"
	"midplane/poller/collect/collecttest"
)

const day = 24 * time.Hour

// page answers "all is well", redirects and fails by path; /slow never answers.
func page(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/slow":
		<-r.Context().Done()
	case "/broken":
		http.Error(w, "no", http.StatusServiceUnavailable)
	case "/loop":
		http.Redirect(w, r, "/loop?"+r.URL.RawQuery, http.StatusFound)
	case "/once":
		if r.Header.Get("Referer") != "" {
			http.Error(w, "a referer was sent", http.StatusTeapot)
			return
		}
		http.Redirect(w, r, "/", http.StatusFound)
	case "/private":
		if user, password, _ := r.BasicAuth(); user != "watch" || password != password1 {
			http.Error(w, "who?", http.StatusUnauthorized)
		}
	case "/bad-location":
		w.Header().Set("Location", "http://[::1/?"+r.URL.RawQuery)
		w.WriteHeader(http.StatusFound)
	default:
		w.Write([]byte("all is well"))
	}
}

const (
	password1 = "pa55-word-0815"
	token1    = "t0ken-4711-xyz"
)

func serve(t *testing.T) *url.URL {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(page))
	t.Cleanup(s.CloseClientConnections)
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// secret returns the address of path with credentials and a query, all planted.
func secret(u *url.URL, path string) string {
	return "http://watch:" + password1 + "@" + u.Host + path + "?token=" + token1
}

func target(params map[string]string) collect.Target {
	return collect.Target{Device: "w1", Address: "127.0.0.1", Check: "web", Collector: "http",
		Timeout: 5 * time.Second, Params: params}
}

func TestExam(t *testing.T) {
	collecttest.Run(t, collecttest.Exam{
		Collector: New(),
		Working: func(t *testing.T) collect.Target {
			return target(map[string]string{"url": secret(serve(t), "/private"), "reachability": "true"})
		},
		Broken: func(t *testing.T) collect.Target {
			return target(map[string]string{"url": secret(serve(t), "/bad-location")})
		},
		Silent: func(t *testing.T) collect.Target {
			return target(map[string]string{"url": secret(serve(t), "/slow")})
		},
		Types:   []event.Type{event.TypeCheck, event.TypeTiming, event.TypeReachability},
		Secrets: []string{password1, token1},
	})
}

func say(t *testing.T, target collect.Target) (event.Check, *event.Reachability, *event.Timing) {
	t.Helper()
	return collecttest.Look(t, New(), target)
}

func TestAnswers(t *testing.T) {
	u := serve(t)
	for name, tt := range map[string]struct {
		path   string
		params map[string]string
		status string
		says   string
	}{
		"a page":                       {"/", nil, event.CheckOK, "HTTP 200 OK"},
		"with the right words":         {"/", map[string]string{"contains": "is well"}, event.CheckOK, "HTTP 200 OK"},
		"without the words":            {"/", map[string]string{"contains": "is burning"}, event.CheckCritical, "HTTP 200 OK; the expected text is not in the body"},
		"only its head":                {"/", map[string]string{"method": "HEAD"}, event.CheckOK, "HTTP 200 OK"},
		"an error":                     {"/broken", nil, event.CheckCritical, "HTTP 503 Service Unavailable; expected 200-399"},
		"an error that is expected":    {"/broken", map[string]string{"expectStatus": "401,500-599"}, event.CheckOK, "HTTP 503 Service Unavailable"},
		"a redirect without a referer": {"/once", nil, event.CheckOK, "HTTP 200 OK"},
		"redirects without end":        {"/loop", nil, event.CheckCritical, "more than 5 redirects"},
		"credentials that are missing": {"/private", nil, event.CheckCritical, "HTTP 401 Unauthorized; expected 200-399"},
	} {
		t.Run(name, func(t *testing.T) {
			params := map[string]string{"port": u.Port(), "path": tt.path}
			for k, v := range tt.params {
				params[k] = v
			}
			c, up, timing := say(t, target(params))
			if c.Status != tt.status || c.Message != tt.says || c.Target != "http://"+u.Host+tt.path || up != nil || c.NotAfter != nil {
				t.Errorf("%+v %+v", c, up)
			}
			if timing == nil || timing.Connect <= 0 || timing.FirstByte < timing.Connect || timing.Total < timing.FirstByte || timing.TLS != 0 {
				t.Errorf("%+v", timing)
			}
		})
	}
}

func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	c, up, timing := say(t, target(map[string]string{"port": port, "reachability": "true"}))
	if c.Status != event.CheckCritical || c.Message != "connection refused" || timing != nil ||
		up == nil || up.Status != event.StatusDown || up.Method != "http" {
		t.Errorf("%+v %+v %+v", c, up, timing)
	}
	// A server that answers, even with an error, is up.
	if _, up, _ = say(t, target(map[string]string{"port": serve(t).Port(), "path": "/broken", "reachability": "true"})); up == nil || up.Status != event.StatusUp {
		t.Errorf("%+v", up)
	}
}

func TestSlowIsCritical(t *testing.T) {
	tg := target(map[string]string{"port": serve(t).Port(), "path": "/slow"})
	tg.Timeout = 200 * time.Millisecond
	if c, _, _ := say(t, tg); c.Status != event.CheckCritical || c.Message != "no answer within 200ms" {
		t.Errorf("%+v", c)
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	u := serve(t)
	for _, path := range []string{"/private", "/loop", "/bad-location", "/broken"} {
		c, _, _ := say(t, target(map[string]string{"url": secret(u, path)}))
		if c.Target != "http://"+u.Host+path+"?…" {
			t.Errorf("target is shown as %q", c.Target)
		}
		if text := c.Target + c.Message; strings.Contains(text, token1) || strings.Contains(text, password1) {
			t.Errorf("%s: a secret is in %q", path, text)
		}
	}
}

func TestBadParameters(t *testing.T) {
	for name, params := range map[string]map[string]string{
		"no scheme":            {"url": "example.net"},
		"another scheme":       {"url": "ftp://" + password1 + "@example.net"},
		"url and port":         {"url": "http://example.net", "port": "80"},
		"no such scheme":       {"scheme": "gopher"},
		"status out of range":  {"expectStatus": "600"},
		"statuses turned":      {"expectStatus": "399-200"},
		"statuses of words":    {"expectStatus": "ok"},
		"a method that writes": {"method": "POST"},
		"days":                 {"warnDays": "soon"},
	} {
		err := New().Collect(context.Background(), target(params), nil)
		if !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), password1) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
