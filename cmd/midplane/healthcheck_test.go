package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"midplane/fault"
)

func TestHealthcheck(t *testing.T) {
	serve := func(status int, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/readyz" {
				status = http.StatusTeapot
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}))
		t.Cleanup(s.Close)
		return strings.TrimPrefix(s.URL, "http://")
	}
	ready := serve(http.StatusOK, `{"status":"ready"}`)
	not := serve(http.StatusServiceUnavailable, `{"status":"not-ready","checks":[{"name":"node","error":"no meta leader"},{"name":"x","ok":true}]}`)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := free.Addr().String()
	_ = free.Close()

	a := &app{stdout: io.Discard, stderr: io.Discard}
	for _, c := range []struct {
		addrs []string
		want  string // of the error
	}{
		{[]string{ready}, ""},
		{[]string{nobody, ready}, ""},
		{[]string{nobody}, "nothing answers"},
		{[]string{ready, not}, "no meta leader"},
		{[]string{not, ready}, "no meta leader"},
	} {
		err := a.healthcheck(context.Background(), c.addrs)
		if c.want == "" {
			if err != nil {
				t.Errorf("%v: %v", c.addrs, err)
			}
			continue
		}
		if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want Unavailable with %q", c.addrs, err, c.want)
		}
	}
}

// A server that accepts and says nothing is not ready.
func TestHealthcheckDoesNotHang(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var out, errs strings.Builder
	if code := execute([]string{"healthcheck", "--timeout", "50ms", "http://" + l.Addr().String() + "/readyz"}, strings.NewReader(""), &out, &errs); code != 6 {
		t.Errorf("exit %d: %s", code, errs.String())
	}
	if code := execute([]string{"healthcheck", "not a url"}, strings.NewReader(""), &out, &errs); code != 2 {
		t.Errorf("exit %d for what is no URL", code)
	}
}
