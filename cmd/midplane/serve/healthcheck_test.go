package serve

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"midplane/cmd/midplane/shell"
	"midplane/cmd/midplane/shell/output"
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
	closed := free.Addr().String()
	_ = free.Close()

	out := &output.Output{Stdout: io.Discard, Stderr: io.Discard}
	for _, c := range []struct {
		addrs []string
		want  string // of the error
	}{
		{[]string{ready}, ""},
		{[]string{closed, ready}, ""},
		{[]string{closed}, "nothing answers"},
		{[]string{ready, not}, "no meta leader"},
		{[]string{not, ready}, "no meta leader"},
	} {
		err := askServers(context.Background(), out, c.addrs)
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
	run := func(args ...string) error {
		cmd := NewHealthcheck(shell.New("", strings.NewReader(""), io.Discard, io.Discard))
		cmd.SetArgs(args)
		cmd.SetOut(io.Discard)
		cmd.SetErr(io.Discard)
		return cmd.Execute()
	}
	if err := run("--timeout", "50ms", "http://"+l.Addr().String()+"/readyz"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v, want Unavailable", err)
	}
	if err := run("not a url"); !fault.Is(err, fault.Invalid) {
		t.Errorf("%v for what is no URL", err)
	}
}
