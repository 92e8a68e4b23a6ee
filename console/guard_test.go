package console

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"midplane/event"
)

func TestHostHeader(t *testing.T) {
	port := regexp.MustCompile(`:\d+$`)
	for _, tc := range []struct {
		cfg  Config
		host string
		ok   bool
	}{
		{Config{}, "", true}, // what the client sends by itself
		{Config{}, "localhost", true},
		{Config{}, "LocalHost:8480", true},
		{Config{}, "localhost.", true},
		{Config{}, "[::1]:8480", true},
		{Config{}, "evil.example", false},
		{Config{}, "evil.example:8480", false},
		{Config{}, "127.0.0.1.evil.example", false},
		{Config{}, "localhost.evil.example", false},
		{Config{}, "10.1.2.3", false},
		{Config{Hosts: []string{"Console.Example"}}, "console.example:443", true},
		{Config{Hosts: []string{"console.example"}}, "other.example", false},
		{Config{Addr: "0.0.0.0:0", Open: true}, "10.1.2.3:8480", true}, // an address cannot be rebound
		{Config{Addr: "0.0.0.0:0", Open: true}, "[fd00::1]", true},
		{Config{Addr: "0.0.0.0:0", Open: true}, "evil.example", false},
	} {
		url := open(t, tc.cfg, newFake())
		url = "http://127.0.0.1" + port.FindString(url)
		status, _, body := ask(t, url+"/api/v1/devices", func(r *http.Request) { r.Host = tc.host })
		if tc.ok && status != http.StatusOK {
			t.Errorf("%q with %+v: %d %s", tc.host, tc.cfg, status, body)
		}
		if !tc.ok && (status != http.StatusForbidden || !strings.Contains(body, `"code":"denied"`) || !strings.Contains(body, "hint")) {
			t.Errorf("%q with %+v: %d %s", tc.host, tc.cfg, status, body)
		}
	}
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	url := open(t, Config{}, newFake())
	for _, path := range []string{"/", "/static/main.js", "/api/v1/devices", "/api/v1/devices?x=1", "/nowhere"} {
		_, h, _ := ask(t, url+path)
		policy := h.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: policy %q lacks %s", path, policy, want)
			}
		}
		if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
			t.Errorf("%s: policy %q", path, policy)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %s %q", path, name, got)
			}
		}
		if h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: open to other origins", path)
		}
	}
}

func TestOnlyQuestions(t *testing.T) {
	src := newFake()
	url := open(t, Config{}, src)
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"} {
		status, h, body := ask(t, url+"/api/v1/devices", func(r *http.Request) { r.Method = method })
		if status != http.StatusMethodNotAllowed || h.Get("Allow") != "GET, HEAD" || !strings.Contains(body, `"error"`) {
			t.Errorf("%s: %d %s", method, status, body)
		}
	}
	status, _, _ := ask(t, url+"/api/v1/devices", func(r *http.Request) {
		r.Body, r.ContentLength = http.NoBody, -1
		r.Body = struct {
			*strings.Reader
			nopClose
		}{strings.NewReader("{}"), nopClose{}}
	})
	if status != http.StatusBadRequest {
		t.Errorf("a body: %d", status)
	}
	for _, site := range []string{"cross-site", "same-site"} {
		if status, _, _ := ask(t, url+"/api/v1/devices", func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", site)
			r.Header.Set("Sec-Fetch-Mode", "no-cors")
		}); status != http.StatusForbidden {
			t.Errorf("asked by a %s page: %d", site, status)
		}
	}
	if asked := src.requests(); len(asked) > 0 {
		t.Errorf("refused, but the source was asked: %v", asked)
	}
	if status, _, _ := ask(t, url+"/", func(r *http.Request) {
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		r.Header.Set("Sec-Fetch-Dest", "document")
	}); status != http.StatusOK {
		t.Errorf("following a link: %d", status)
	}
	if status, _, body := ask(t, url+"/api/v1/devices", func(r *http.Request) { r.Method = http.MethodHead }); status != http.StatusOK || body != "" {
		t.Errorf("HEAD: %d %q", status, body)
	}
}

type nopClose struct{}

func (nopClose) Close() error { return nil }

func TestPageAndItsFiles(t *testing.T) {
	url := open(t, Config{Version: "1.2.3-secret"}, newFake())
	status, h, body := ask(t, url+"/", anonymous)
	if status != http.StatusOK || h.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%d %v", status, h)
	}
	if strings.Contains(body, "<script>") || strings.Contains(body, "1.2.3") {
		t.Error("the page gives the version away, or has a script in it")
	}
	// What the policy would block must not be there: the page would be broken.
	if bad := regexp.MustCompile(`(?i)\son\w+=|\sstyle=|javascript:|<style|https?://`).FindString(body); bad != "" {
		t.Errorf("the page has %q", bad)
	}
	refs := regexp.MustCompile(`"(/static/[^"]+)"`).FindAllStringSubmatch(body, -1)
	seen := map[string]bool{}
	for len(refs) > 0 {
		ref := refs[0][1]
		refs = refs[1:]
		if seen[ref] {
			continue
		}
		seen[ref] = true
		status, h, body := ask(t, url+ref, anonymous)
		want := contentTypes[ref[strings.LastIndex(ref, "."):]]
		if status != http.StatusOK || h.Get("Content-Type") != want || body == "" {
			t.Errorf("%s: %d %q", ref, status, h.Get("Content-Type"))
		}
		for _, m := range regexp.MustCompile(`from '\./([^']+)'`).FindAllStringSubmatch(body, -1) {
			refs = append(refs, []string{"", "/static/" + m[1]})
		}
	}
	files, err := os.ReadDir("static")
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) != len(files)-1 { // all but the page itself
		t.Errorf("the page uses %v of %v", seen, files)
	}
}

// What is urgent the API says and the style sheet colours: no script knows the
// severities.
func TestScriptsDoNotJudge(t *testing.T) {
	files, err := static.ReadDir("static")
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, len(event.Severities))
	for _, s := range event.Severities {
		if s != event.Critical && s != event.Warning && s != event.Error { // words of checks and of the browser too
			names = append(names, string(s))
		}
	}
	severity := regexp.MustCompile(`['"](` + strings.Join(names, "|") + `)['"]|severity\s*[=!<>]==?`)
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".js") {
			continue
		}
		body, err := static.ReadFile("static/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if m := severity.Find(body); m != nil {
			t.Errorf("%s judges: %s", f.Name(), m)
		}
	}
}

// Values reach the page as text only: no file of it uses a way to markup.
func TestScriptsNeverMakeMarkup(t *testing.T) {
	files, err := os.ReadDir("static")
	if err != nil {
		t.Fatal(err)
	}
	sink := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|srcdoc|createContextualFragment|DOMParser|javascript:`)
	for _, f := range files {
		body, err := os.ReadFile("static/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if m := sink.Find(body); m != nil {
			t.Errorf("%s uses %s", f.Name(), m)
		}
	}
}
