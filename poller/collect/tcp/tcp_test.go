package tcp

import (
	"bufio"
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"midplane/event"
	"midplane/fault"
	"midplane/poller/collect"
	"midplane/poller/collect/collecttest"
)

// server listens on a free loopback port and gives each connection to handle;
// it returns the port.
func server(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	collecttest.Accept(t, l, handle)
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// closedPort returns a port that was free a moment ago.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	return port
}

// mail greets and answers "HELO x" as a mail server would.
func mail(c net.Conn) {
	defer c.Close()
	c.Write([]byte("220 mail ready\r\n"))
	line, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && strings.HasPrefix(line, "HELO ") {
		c.Write([]byte("250 hello\r\n"))
	}
}

func quiet(net.Conn) {}

func target(params map[string]string) collect.Target {
	return collect.Target{Device: "r1", Address: "127.0.0.1", Check: "mail", Collector: "tcp",
		Timeout: 5 * time.Second, Params: params}
}

const planted = "open-sesame-4711"

func TestExam(t *testing.T) {
	collecttest.Run(t, collecttest.Exam{
		Collector: New(),
		Working: func(t *testing.T) collect.Target {
			return target(map[string]string{"port": server(t, mail), "send": "HELO " + planted + "\r\n", "expect": "250 ", "reachability": "true"})
		},
		Broken: func(t *testing.T) collect.Target {
			return target(map[string]string{"port": closedPort(t), "send": planted})
		},
		Silent: func(t *testing.T) collect.Target {
			return target(map[string]string{"port": server(t, quiet), "send": planted, "expect": "250 "})
		},
		Types:   []event.Type{event.TypeCheck, event.TypeTiming, event.TypeReachability},
		Secrets: []string{planted},
	})
}

func say(t *testing.T, target collect.Target) (event.Check, *event.Reachability, *event.Timing) {
	t.Helper()
	return collecttest.Look(t, New(), target)
}

func TestFindings(t *testing.T) {
	flood := func(c net.Conn) {
		for {
			if _, err := c.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	}
	for name, tt := range map[string]struct {
		handle          func(net.Conn)
		expect, send    string
		status, message string
	}{
		"accepts":               {quiet, "", "", event.CheckOK, ""},
		"greets as expected":    {mail, "220", "", event.CheckOK, ""},
		"answers as expected":   {mail, "250", "HELO x\n", event.CheckOK, ""},
		"answers another thing": {mail, "354", "HELO x\n", event.CheckCritical, "the expected answer did not come before the connection was closed"},
		"says far too much":     {flood, "220", "", event.CheckCritical, "the expected answer is not in the first 64 KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			c, up, timing := say(t, target(map[string]string{"port": server(t, tt.handle), "expect": tt.expect, "send": tt.send}))
			if c.Status != tt.status || c.Message != tt.message || up != nil || timing == nil || timing.Connect <= 0 || c.Latency != timing.Total {
				t.Errorf("%+v %+v %+v", c, up, timing)
			}
		})
	}
}

func TestRefusedIsDownOnlyWhenAsked(t *testing.T) {
	port := closedPort(t)
	c, up, timing := say(t, target(map[string]string{"port": port}))
	if c.Status != event.CheckCritical || c.Message != "connection refused" || c.Target != "127.0.0.1:"+port || up != nil || timing != nil {
		t.Errorf("%+v %+v %+v", c, up, timing)
	}
	if _, up, _ = say(t, target(map[string]string{"port": port, "reachability": "true"})); up == nil ||
		up.Status != event.StatusDown || up.Method != "tcp" || up.Message != "connection refused" {
		t.Errorf("%+v", up)
	}
}

// A site's resolver that fails must not take all its devices down.
func TestUnknownNameIsNotDown(t *testing.T) {
	tg := target(map[string]string{"port": "25", "reachability": "true"})
	tg.Address = "nowhere.invalid"
	c, up, _ := say(t, tg)
	if c.Status != event.CheckCritical || !strings.Contains(c.Message, "does not resolve") || up != nil {
		t.Errorf("%+v %+v", c, up)
	}
}

func TestBadParameters(t *testing.T) {
	for _, params := range []map[string]string{{}, {"port": "0"}, {"port": "70000"}, {"port": "ssh"}} {
		if err := New().Collect(context.Background(), target(params), nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("%v: %v", params, err)
		}
	}
}
