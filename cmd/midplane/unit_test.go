package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
)

// The table of exit codes is a contract.
func TestExitCodes(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("anything"), 1},
		{fault.New(fault.Other, "x"), 1},
		{fault.New(fault.Invalid, "x"), 2},
		{fault.New(fault.Denied, "x"), 3},
		{fault.New(fault.NotFound, "x"), 4},
		{fault.New(fault.Conflict, "x"), 5},
		{fault.New(fault.Unavailable, "x"), 6},
		{fault.New(fault.Exhausted, "x"), 6},
		{context.DeadlineExceeded, 6},
		{exitError(1), 1},
		{fmt.Errorf("wrapped: %w", fault.New(fault.Conflict, "x")), 5},
	} {
		if got := exitCode(tt.err); got != tt.want {
			t.Errorf("%v: exit code %d, want %d", tt.err, got, tt.want)
		}
	}
}

func TestOutputIsTidy(t *testing.T) {
	east := time.FixedZone("east", 7200)
	at := time.Date(2026, 3, 1, 10, 0, 0, 0, east)
	rows := []any{
		[]api.Site{{ID: "x"}},
		struct {
			At    time.Time       `json:"at"`
			Ptr   *time.Time      `json:"ptr"`
			None  []string        `json:"none"`
			Raw   json.RawMessage `json:"raw"`
			Deep  []*api.Tenant   `json:"deep"`
			Angle string          `json:"angle"`
		}{at, &at, nil, json.RawMessage(`{"b":1,"a":[]}`), []*api.Tenant{{ID: "acme"}}, "<&>"},
	}
	for _, v := range rows {
		data, err := encode(v)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), "null") || strings.Contains(string(data), "+02:00") || strings.Contains(string(data), `\u00`) {
			t.Errorf("not tidy:\n%s", data)
		}
	}
}

func TestYAMLKeepsOrderAndNumbers(t *testing.T) {
	var b strings.Builder
	a := &app{stdout: &b, format: formatYAML}
	row := api.Interface{ID: "r1/if/1", Tenant: "acme", Name: "yes", Index: "007", Speed: 18446744073709551615}
	if err := a.print([]api.Interface{row}); err != nil {
		t.Fatal(err)
	}
	want := "- id: r1/if/1\n  tenant: acme\n  site: \"\"\n  device: \"\"\n  index: \"007\"\n  name: \"yes\"\n" +
		"  adminStatus: \"\"\n  operStatus: \"\"\n  speed: 18446744073709551615\n  lastSeen: null\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain ä 東":         "plain ä 東",
		"a\x1b[31mb":        "a�[31mb",
		"two\nlines\t":      "two lines",
		"\u202eevil\x07":    "�evil�",
		"\x9b31m c1 escape": "�31m c1 escape",
	} {
		if got := printable(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestSince(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]string{
		"15m":                       "2026-03-02T11:45:00Z",
		"24h":                       "2026-03-01T12:00:00Z",
		"7d":                        "2026-02-23T12:00:00Z",
		"2026-03-01":                "2026-03-01T00:00:00Z",
		"2026-03-01T10:00:00+02:00": "2026-03-01T08:00:00Z",
	} {
		got, err := parseSince(in, now)
		if err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%s: %v, %v, want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"yesterday", "-5m", "2026-03-03", "15", "2026-13-01"} {
		if got, err := parseSince(in, now); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: got %v, %v", in, got, err)
		}
	}
	if got, err := parseSince("", now); got != nil || err != nil {
		t.Errorf("nothing: %v, %v", got, err)
	}
}

func TestUnits(t *testing.T) {
	for got, want := range map[string]string{
		bytesOf(0): "0 B", bytesOf(1023): "1023 B", bytesOf(1536): "1.5 KiB", bytesOf(1 << 40): "1.0 TiB",
		speedOf(0): "-", speedOf(999): "999 b/s", speedOf(64_000): "64 kb/s", speedOf(100_000_000): "100 Mb/s", speedOf(2_500_000_000): "2.5 Gb/s",
		short(-time.Second): "0s", short(59 * time.Second): "59s", short(61 * time.Second): "1m1s",
		short(25 * time.Hour): "1d1h", short(90 * time.Minute): "1h30m",
		number(1): "1", number(12.34567): "12.346", number(0.5): "0.5", number(100): "100",
		plural("devices", 1): "device", plural("devices", 2): "devices",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestKeyIsNamed(t *testing.T) {
	k := key{"acme", "syd", "r1/if/2"}
	for _, s := range []string{"r1/if/2", "syd/r1/if/2", "acme/syd/r1/if/2"} {
		if !k.named(s) {
			t.Errorf("%s is not found", s)
		}
	}
	for _, s := range []string{"", "r1", "if/2", "globex/syd/r1/if/2", "lab/r1/if/2"} {
		if k.named(s) {
			t.Errorf("%s is found", s)
		}
	}
}

func TestNothingIsWrong(t *testing.T) {
	s := statusReport{
		Cluster: api.ClusterStatus{Leader: "n1", Nodes: []api.Node{{ID: "n1", Live: true}}},
		Primary: &api.PrimaryReport{Tenants: []api.TenantReport{{Tenant: "acme", Reading: true, Streams: []api.StreamReport{{Lag: 10}}}}},
	}
	if got := found(s); len(got) > 0 {
		t.Fatalf("found %v", got)
	}
	s.Primary = nil
	if got := found(s); len(got) != 1 || got[0].Severity != string(event.Critical) || got[0].Hint == "" {
		t.Fatalf("no primary: %v", got)
	}
}

// A problem that the control plane names itself is not said twice, and n1 is not n11.
func TestMentioned(t *testing.T) {
	said := []api.Problem{{Message: "node n11 is down"}, {Message: "node n3: gone"}, {Message: "lost node n4"}}
	for what, want := range map[string]bool{"node n11": true, "node n1": false, "node n3": true, "node n4": true} {
		if mentioned(said, what) != want {
			t.Errorf("%s: want %v", what, want)
		}
	}
}

func TestWaitForGivesUp(t *testing.T) {
	err := waitFor(context.Background(), 10*time.Millisecond, func(context.Context) (bool, error) {
		return false, fault.New(fault.Unavailable, "nobody")
	})
	if !errors.Is(err, errTimeout) {
		t.Errorf("got %v", err)
	}
	denied := fault.New(fault.Denied, "no")
	if err := waitFor(context.Background(), time.Minute, func(context.Context) (bool, error) { return false, denied }); !errors.Is(err, denied) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := waitFor(ctx, time.Minute, func(context.Context) (bool, error) { return false, ctx.Err() }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
