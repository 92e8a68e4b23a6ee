package console

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"midplane/console/access"
	"midplane/telemetry"
)

func request(t *testing.T, method, path, body string, change ...func(*http.Request)) *http.Request {
	t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1:8480"+path, strings.NewReader(body))
	if body == "" {
		r = httptest.NewRequest(method, "http://127.0.0.1:8480"+path, nil)
	}
	r.RemoteAddr = "192.0.2.1:5555"
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for _, f := range change {
		f(r)
	}
	return r
}

func record(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// browser is a client that keeps its cookie.
type browser struct {
	t      *testing.T
	p      *people
	c      *Console
	cookie *http.Cookie
	info   SessionInfo
	change []func(*http.Request)
}

func (b *browser) do(method, path, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	b.t.Helper()
	r := request(b.t, method, path, body, b.change...)
	if b.cookie != nil {
		r.AddCookie(b.cookie)
	}
	if method != http.MethodGet {
		r.Header.Set(csrfHeader, b.info.CSRF)
	}
	for _, f := range change {
		f(r)
	}
	w := record(b.c.Handler(), r)
	for _, c := range w.Result().Cookies() {
		b.cookie = c
	}
	return w
}

func (b *browser) login(name string) *httptest.ResponseRecorder {
	b.t.Helper()
	b.p.user(b.t, name)
	w := b.do("POST", "/api/v1/session", `{"user":"`+name+`","password":"`+password+`"}`)
	if w.Code != http.StatusOK {
		b.t.Fatalf("login of %s: %d %s", name, w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &b.info); err != nil {
		b.t.Fatal(err)
	}
	return w
}

func TestLoginAndLogout(t *testing.T) {
	p := newPeople(t)
	b := &browser{t: t, p: p, c: newConsole(t, p, newFake())}
	if w := b.do("GET", "/api/v1/session", ""); w.Code != 401 {
		t.Fatalf("%d", w.Code)
	}
	w := b.login("viewer-acme")
	if b.info.Name != "viewer-acme" || b.info.Tenant != "acme" || b.info.CSRF == "" || b.info.IdleSeconds != 1800 || strings.Contains(w.Body.String(), b.cookie.Value) {
		t.Errorf("%s", w.Body)
	}
	if w := b.do("GET", "/api/v1/devices", ""); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	kept := b.cookie
	w = b.do("DELETE", "/api/v1/session", "")
	if w.Code != 200 || b.cookie.MaxAge >= 0 || b.cookie.Value != "" || w.Header().Get("Clear-Site-Data") == "" {
		t.Errorf("%d %+v", w.Code, b.cookie)
	}
	b.cookie = kept // a copy of it is worth nothing any more
	if w := b.do("GET", "/api/v1/devices", ""); w.Code != 401 {
		t.Errorf("after logout: %d", w.Code)
	}
}

func TestCookies(t *testing.T) {
	p := newPeople(t)
	tls := func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https") }
	b := &browser{t: t, p: p, c: newConsole(t, p, newFake()), change: []func(*http.Request){tls}}
	w := b.login("admin")
	if c := b.cookie; c.Name != "__Host-midplane" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 12*3600 {
		t.Errorf("over TLS: %+v", c)
	}
	if w.Header().Get("Strict-Transport-Security") != "max-age=31536000" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%v", w.Header())
	}
	b = &browser{t: t, p: p, c: b.c}
	w = b.login("admin")
	if c := b.cookie; c.Name != "midplane-8480" || c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" {
		t.Errorf("on loopback: %+v", c)
	}
	if w.Header().Get("Strict-Transport-Security") != "" {
		t.Error("HSTS without TLS")
	}
	p.user(t, "admin")
	// Elsewhere than on loopback a password is not taken without TLS.
	open := newConsole(t, p, newFake(), func(c *Config) { c.Addr, c.Open = "0.0.0.0:8480", true })
	body := `{"user":"admin","password":"` + password + `"}`
	for _, path := range []string{"/api/v1/session", "/api/v1/session/link"} {
		plain := request(t, "POST", path, body, func(r *http.Request) { r.Host = "10.1.2.3:8480" })
		if w := record(open.Handler(), plain); w.Code != http.StatusForbidden || len(w.Result().Cookies()) > 0 {
			t.Errorf("%s without TLS: %d %s", path, w.Code, w.Body)
		}
	}
	if w := record(open.Handler(), request(t, "POST", "/api/v1/session", body, tls, func(r *http.Request) { r.Host = "10.1.2.3:8480" })); w.Code != 200 {
		t.Errorf("behind a proxy with TLS: %d %s", w.Code, w.Body)
	}
}

// A session id that was there before a login is worth nothing after it.
func TestSessionFixation(t *testing.T) {
	p := newPeople(t)
	b := &browser{t: t, p: p, c: newConsole(t, p, newFake())}
	planted := &http.Cookie{Name: "midplane-8480", Value: "planted-by-another"}
	b.cookie = planted
	b.login("admin")
	if b.cookie.Value == planted.Value {
		t.Fatal("the planted id became the session")
	}
	first := b.cookie
	b.login("admin")
	if b.cookie.Value == first.Value {
		t.Fatal("the second login has the id of the first")
	}
	for _, old := range []*http.Cookie{planted, first} {
		other := &browser{t: t, p: p, c: b.c, cookie: old}
		if w := other.do("GET", "/api/v1/session", ""); w.Code != 401 {
			t.Errorf("an old id: %d", w.Code)
		}
	}
}

func TestCSRF(t *testing.T) {
	p := newPeople(t)
	b := &browser{t: t, p: p, c: newConsole(t, p, newFake())}
	b.login("viewer")
	other := &browser{t: t, p: p, c: b.c}
	other.login("viewer")
	for name, change := range map[string]func(*http.Request){
		"no token":               func(r *http.Request) { r.Header.Del(csrfHeader) },
		"empty token":            func(r *http.Request) { r.Header.Set(csrfHeader, "") },
		"another session's":      func(r *http.Request) { r.Header.Set(csrfHeader, other.info.CSRF) },
		"cross-site":             func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"same-site, other host":  func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
		"typed":                  func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "none") },
		"old browser, elsewhere": func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "https://evil.example") },
		"old browser, null":      func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "null") },
		"old browser, http":      func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "http://127.0.0.1:9") },
	} {
		for _, path := range []string{"/api/v1/session", "/api/v1/sessions/" + b.info.Session} {
			if w := b.do("DELETE", path, "", change); w.Code != http.StatusForbidden {
				t.Errorf("%s, DELETE %s: %d %s", name, path, w.Code, w.Body)
			}
		}
		if strings.Contains(name, "token") || strings.Contains(name, "session") {
			continue // a login has none yet
		}
		if w := b.do("POST", "/api/v1/session", `{"user":"viewer","password":"`+password+`"}`, change); w.Code != http.StatusForbidden {
			t.Errorf("%s, login: %d %s", name, w.Code, w.Body)
		}
	}
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"} {
		if w := b.do("POST", "/api/v1/session", `{"user":"viewer","password":"`+password+`"}`, func(r *http.Request) { r.Header.Set("Content-Type", kind) }); w.Code != http.StatusBadRequest {
			t.Errorf("a form of type %q: %d", kind, w.Code)
		}
	}
	if w := b.do("DELETE", "/api/v1/session", "", func(r *http.Request) {
		r.Header.Del("Sec-Fetch-Site")
		r.Header.Set("Origin", "http://127.0.0.1:8480")
	}); w.Code != http.StatusOK {
		t.Errorf("an old browser at home: %d %s", w.Code, w.Body)
	}
}

func TestWrongLogins(t *testing.T) {
	p := newPeople(t)
	p.user(t, "admin")
	b := &browser{t: t, p: p, c: newConsole(t, p, newFake())}
	try := func(body string) *httptest.ResponseRecorder {
		t.Helper()
		return record(b.c.Handler(), request(t, "POST", "/api/v1/session", body))
	}
	known, unknown := try(`{"user":"admin","password":"not this one, sorry"}`), try(`{"user":"nobody-here","password":"not this one, sorry"}`)
	if known.Code != 401 || known.Code != unknown.Code || known.Body.String() != unknown.Body.String() || len(known.Result().Cookies()) > 0 {
		t.Errorf("known %d %s, unknown %d %s", known.Code, known.Body, unknown.Code, unknown.Body)
	}
	for _, bad := range []string{``, `{}x`, `[]`, `{"user":"admin"`, `{"user":1}`, `{"user":"admin","password":"x","role":"admin"}`, `{"User":"a"} {}`, `"` + strings.Repeat("x", 5000) + `"`} {
		if w := try(bad); w.Code != 400 && w.Code != 413 && (bad != `{}`) {
			t.Errorf("%.40q: %d %s", bad, w.Code, w.Body)
		}
	}
	if w := record(b.c.Handler(), request(t, "POST", "/api/v1/session?user=admin", `{}`)); w.Code != 400 {
		t.Errorf("a secret in the address: %d", w.Code)
	}
	chunked := request(t, "POST", "/api/v1/session", `{"user":"`+strings.Repeat("x", 5000)+`"}`, func(r *http.Request) { r.ContentLength = -1 })
	if w := record(b.c.Handler(), chunked); w.Code != 400 {
		t.Errorf("a long body without a length: %d", w.Code)
	}
	for range 10 {
		try(`{"user":"admin","password":"not this one, sorry"}`)
	}
	w := try(`{"user":"admin","password":"` + password + `"}`)
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" || w.Header().Get("Retry-After") == "0" {
		t.Errorf("guessing: %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	p.forward(time.Hour)
	b.login("admin")
}

func TestSessionsOverHTTP(t *testing.T) {
	p := newPeople(t)
	c := newConsole(t, p, newFake())
	ann, vic := &browser{t: t, p: p, c: c}, &browser{t: t, p: p, c: c}
	ann.login("admin")
	vic.login("viewer-acme")
	list := func(b *browser) (out []access.Session) {
		t.Helper()
		if err := json.Unmarshal(b.do("GET", "/api/v1/sessions", "").Body.Bytes(), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	if all := list(ann); len(all) != 2 {
		t.Errorf("admin sees %+v", all)
	}
	if own := list(vic); len(own) != 1 || own[0].Name != "viewer-acme" || !own[0].Current {
		t.Errorf("viewer sees %+v", own)
	}
	if w := vic.do("DELETE", "/api/v1/sessions/"+ann.info.Session, ""); w.Code != 404 {
		t.Errorf("a viewer ends an admin's session: %d", w.Code)
	}
	if w := ann.do("DELETE", "/api/v1/sessions/"+vic.info.Session, ""); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := vic.do("GET", "/api/v1/devices", ""); w.Code != 401 {
		t.Errorf("a killed session: %d", w.Code)
	}
	// Idle, with a page that goes on asking by itself; then the absolute bound.
	idle := func(r *http.Request) { r.Header.Set(idleHeader, "1") }
	p.forward(29 * time.Minute)
	if w := ann.do("GET", "/api/v1/devices", "", idle); w.Code != 200 {
		t.Errorf("after 29 minutes: %d", w.Code)
	}
	p.forward(2 * time.Minute)
	if w := ann.do("GET", "/api/v1/devices", "", idle); w.Code != 401 {
		t.Errorf("idle for 31 minutes: %d", w.Code)
	}
	ann.login("admin")
	for range 26 {
		p.forward(29 * time.Minute)
		ann.do("GET", "/api/v1/devices", "")
	}
	if w := ann.do("GET", "/api/v1/devices", ""); w.Code != 401 {
		t.Errorf("after more than twelve hours: %d", w.Code)
	}
}

func TestChangePassword(t *testing.T) {
	p := newPeople(t)
	c := newConsole(t, p, newFake())
	b, elsewhere := &browser{t: t, p: p, c: c}, &browser{t: t, p: p, c: c}
	b.login("viewer")
	elsewhere.login("viewer")
	for body, want := range map[string]int{
		`{"old":"wrong wrong wrong","new":"nine wet boats sing"}`: 403,
		`{"old":"` + password + `","new":"short"}`:                400,
		`{"old":"` + password + `","new":"` + password + `"}`:     400,
	} {
		if w := b.do("POST", "/api/v1/session/password", body); w.Code != want {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
	w := b.do("POST", "/api/v1/session/password", `{"old":"`+password+`","new":"nine wet boats sing"}`)
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if w := b.do("GET", "/api/v1/session", ""); w.Code != 200 {
		t.Errorf("the new session: %d", w.Code)
	}
	if w := elsewhere.do("GET", "/api/v1/session", ""); w.Code != 401 {
		t.Errorf("a session with the old password: %d", w.Code)
	}
}

func TestLoginLink(t *testing.T) {
	p := newPeople(t)
	c := newConsole(t, p, newFake())
	code, err := p.store.CreateLink(access.Admin, "")
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, p: p, c: c}
	if w := b.do("GET", "/api/v1/session/link?code="+code, ""); w.Code != 405 {
		t.Errorf("by address: %d", w.Code)
	}
	if w := b.do("POST", "/api/v1/session/link", `{"code":"`+code+`"}`); w.Code != 200 || b.cookie == nil {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if w := b.do("GET", "/api/v1/devices", ""); w.Code != 200 {
		t.Errorf("%d", w.Code)
	}
	again := &browser{t: t, p: p, c: c}
	if w := again.do("POST", "/api/v1/session/link", `{"code":"`+code+`"}`); w.Code != 401 || again.cookie != nil {
		t.Errorf("used twice: %d %s", w.Code, w.Body)
	}
}

// A stream ends when its session does, soon after.
func TestStreamEndsWithItsSession(t *testing.T) {
	p := newPeople(t)
	text, _, err := p.store.CreateToken("short", access.Viewer, "", access.TokenLife)
	if err != nil {
		t.Fatal(err)
	}
	url := open(t, Config{Access: p.keeper}, newFake(), quick)
	resp, err := http.DefaultClient.Do(func() *http.Request {
		r, err := http.NewRequestWithContext(within(t), http.MethodGet, url+"/api/v1/events/stream", nil)
		if err != nil {
			t.Fatal(err)
		}
		withToken(text)(r)
		return r
	}())
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v %v", resp, err)
	}
	defer resp.Body.Close()
	if err := p.store.RevokeToken("short"); err != nil {
		t.Fatal(err)
	}
	var rest bytes.Buffer
	if _, err := rest.ReadFrom(resp.Body); err != nil { // until it ends
		t.Fatal(err)
	}
	if status, _, _ := ask(t, url+"/api/v1/devices", withToken(text)); status != 401 {
		t.Errorf("a revoked token: %d", status)
	}
}

// The log tells who came and who was refused, and nothing that a client chose.
func TestWhatIsRecorded(t *testing.T) {
	p := newPeople(t)
	var log bytes.Buffer
	var mu sync.Mutex
	var acts []string
	tele := telemetry.Nop()
	tele.Log = slog.New(slog.NewTextHandler(&log, nil))
	c, err := New(Config{Access: p.keeper, Audit: func(a Act) {
		mu.Lock()
		defer mu.Unlock()
		acts = append(acts, strings.Join([]string{a.Verb, a.Kind, a.Who, a.From, a.Result}, " "))
	}}, newFake(), tele)
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, p: p, c: c}
	b.login("admin")
	b.do("DELETE", "/api/v1/session", "", func(r *http.Request) { r.Header.Del(csrfHeader) })
	b.do("DELETE", "/api/v1/session", "")
	const evil = `evil\nlevel=INFO msg=access who=user:admin result=ok`
	b.do("POST", "/api/v1/session", `{"user":"`+evil+`","password":"hunter2-hunter2"}`)
	b.do("POST", "/api/v1/session", `{"user":"admin","password":"hunter2-hunter2"}`)
	b.do("GET", "/api/v1/devices?tenant=globex", "", withToken(p.tokens["viewer-acme"]))
	for range 30 {
		b.do("GET", "/api/v1/devices", "", withToken("mpc_wrong-hunter2"), func(r *http.Request) { r.Header.Set("X-Forwarded-For", "evil") })
	}
	want := []string{
		"console.session.login user admin 192.0.2.1 ok", "console.route.deny user admin 192.0.2.1 refused", "console.session.logout user admin 192.0.2.1 ok",
		"console.session.login user  192.0.2.1 refused", "console.session.login user admin 192.0.2.1 refused", "console.route.deny token viewer-acme 192.0.2.1 refused",
	}
	mu.Lock()
	defer mu.Unlock()
	for i, w := range want {
		if i >= len(acts) || acts[i] != w {
			t.Fatalf("recorded %q\nwant %q", acts, want)
		}
	}
	if n := len(acts); n > len(want)+11 {
		t.Errorf("30 wrong tokens are %d records", n-len(want))
	}
	for _, no := range []string{"evil", "hunter2", password, b.info.CSRF, p.tokens["viewer-acme"]} {
		if strings.Contains(log.String(), no) {
			t.Errorf("the log has %q:\n%s", no, log.String())
		}
	}
}

// What the command line changes while the console runs is recorded.
func TestChangesOfTheListAreRecorded(t *testing.T) {
	p := newPeople(t)
	acts := make(chan string, 100)
	open(t, Config{Access: p.keeper, Audit: func(a Act) { acts <- a.Verb + " " + a.Target + " " + strings.Fields(a.Detail)[0] + " from " + a.From }}, newFake())
	p.user(t, "viewer")
	for {
		select {
		case got := <-acts: // the tokens of newPeople come first
			if got == "console.user.create viewer role=viewer from data folder" {
				return
			}
		case <-within(t).Done():
			t.Fatal("not recorded")
		}
	}
}

// A proxy on this machine names its client; the word of others does not count.
func TestFrom(t *testing.T) {
	p := newPeople(t)
	for _, tc := range []struct {
		peer, forwarded, want string
		open                  bool
	}{
		{"192.0.2.1:1", "", "192.0.2.1", false},
		{"192.0.2.1:1", "203.0.113.9", "192.0.2.1", false},
		{"192.0.2.1:1", "203.0.113.9", "203.0.113.9 via 192.0.2.1", true},
		{"127.0.0.1:1", "6.6.6.6, 203.0.113.9", "203.0.113.9 via 127.0.0.1", false},
		{"127.0.0.1:1", "evil\nline", "127.0.0.1", false},
		{"nonsense", "", "unknown", false},
	} {
		c := newConsole(t, p, newFake(), func(c *Config) { c.Open = tc.open })
		r := request(t, "GET", "/", "")
		r.RemoteAddr = tc.peer
		if tc.forwarded != "" {
			r.Header.Set("X-Forwarded-For", tc.forwarded)
		}
		if got := c.gate.from(r); got != tc.want {
			t.Errorf("%+v: %q", tc, got)
		}
	}
}
