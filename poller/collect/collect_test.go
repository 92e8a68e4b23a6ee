package collect

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"midplane/event"
	"midplane/fault"
)

func TestSecret(t *testing.T) {
	const value = "s3cret-value"
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return "file:" + path
	}
	t.Setenv("T_SECRET", value)
	t.Setenv("T_EMPTY", "")
	for name, tt := range map[string]struct {
		ref, want string
		kind      fault.Kind
	}{
		"a variable":               {"env:T_SECRET", value, ""},
		"a file":                   {file("plain", value), value, ""},
		"a file with a newline":    {file("unix", value+"\n"), value, ""},
		"a file of Windows":        {file("windows", value+"\r\n"), value, ""},
		"spaces belong to it":      {file("spaces", " "+value+" \n"), " " + value + " ", ""},
		"no such variable":         {"env:T_NOT_THERE", "", fault.NotFound},
		"an empty variable":        {"env:T_EMPTY", "", fault.Invalid},
		"no such file":             {"file:" + filepath.Join(dir, "none"), "", fault.NotFound},
		"an empty file":            {file("empty", "\n"), "", fault.Invalid},
		"a folder":                 {"file:" + dir, "", fault.Invalid},
		"a file that is no secret": {file("long", strings.Repeat(value, 1000)), "", fault.Invalid},
		"a secret in clear":        {value, "", fault.Invalid},
		"clear with a colon":       {"pass:" + value, "", fault.Invalid},
		"a prefix alone":           {"env:", "", fault.Invalid},
		"nothing":                  {"", "", fault.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Secret(tt.ref)
			if got != tt.want || fault.KindOf(err) != tt.kind {
				t.Errorf("%q, %v", got, err)
			}
			if err != nil && strings.Contains(err.Error()+fault.HintOf(err), value) {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}

func TestParams(t *testing.T) {
	target := Target{Device: "r1", Check: "c", Collector: "tcp",
		Params: map[string]string{"port": "22", "on": "true", "word": "x", "reachability": "false"}}
	p := ReadParams(target, "port", "on", "word", "count")
	if p.Port("port", 0) != 22 || !p.Bool("on", false) || p.String("word", "") != "x" || p.Int("count", 3, 1, 9) != 3 || p.Reachability(true) || p.Err() != nil {
		t.Errorf("%+v", p)
	}
	if p := ReadParams(target, "port", "on"); !fault.Is(p.Err(), fault.Invalid) || !strings.Contains(p.Err().Error(), "word") ||
		!strings.Contains(fault.HintOf(p.Err()), "on, port, reachability") {
		t.Errorf("%v (%s)", p.Err(), fault.HintOf(p.Err()))
	}
	p = ReadParams(target, "port", "on", "word")
	if p.Int("word", 7, 0, 9) != 7 || p.Err() == nil || !strings.Contains(p.Err().Error(), "r1/check/c: parameter word is not a number from 0 to 9") && !strings.Contains(p.Err().Error(), "parameter word: is not a number") {
		t.Errorf("%v", p.Err())
	}
	if p := ReadParams(Target{}, "port"); p.Port("port", 0) != 0 || p.Err() == nil {
		t.Error("a missing port is no mistake")
	}
}

func TestMessages(t *testing.T) {
	s := State("r1", event.TypePing, event.Ping{RTT: 1.5})
	if s.Kind != event.KindState || s.Entity != "r1" || string(s.Data) != `{"rttMs":1.5,"lossPercent":0}` || s.Time.Location() != time.UTC {
		t.Errorf("%+v", s)
	}
	if m := Metric("r1", event.TypePing, event.Ping{}); m.Kind != event.KindMetric || m.Severity != "" {
		t.Errorf("%+v", m)
	}
	if e := Happened(event.Error, "r1", event.TypeRestarted, event.Changed{}); e.Kind != event.KindEvent || e.Severity != event.Error {
		t.Errorf("%+v", e)
	}
	defer func() {
		if recover() == nil {
			t.Error("a payload that has no JSON form went through")
		}
	}()
	Metric("r1", event.TypePing, event.Ping{RTT: math.NaN()})
}

func TestResultKeepsTheWorst(t *testing.T) {
	r := NewResult(Target{Device: "r1", Check: "c"}, "x", false)
	r.Set(event.CheckOK, "HTTP 200")
	r.Set(event.CheckCritical, "text is missing")
	r.Set(event.CheckWarning, "expires soon")
	if r.Check.Status != event.CheckCritical || r.Check.Message != "HTTP 200; text is missing; expires soon" {
		t.Errorf("%+v", r.Check)
	}
	if n := len([]rune(Clip(strings.Repeat("ö", 1000)))); n != maxMessage {
		t.Errorf("clipped to %d runes", n)
	}
}

func TestResolve(t *testing.T) {
	ctx := context.Background()
	for address, want := range map[string]string{"127.0.0.1": "127.0.0.1", "::1": "::1", "::ffff:192.0.2.1": "192.0.2.1"} {
		if ip, err := Resolve(ctx, address); err != nil || ip.String() != want {
			t.Errorf("%s: %v, %v", address, ip, err)
		}
	}
	if _, err := Resolve(ctx, ""); !fault.Is(err, fault.Invalid) {
		t.Errorf("no address: %v", err)
	}
	if _, err := Resolve(ctx, "nowhere.invalid"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("no such name: %v", err)
	}
}

func TestEnded(t *testing.T) {
	past, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	defer cancel()
	if Ended(past) == nil || Ended(context.Background()) != nil {
		t.Error("wrong")
	}
}
