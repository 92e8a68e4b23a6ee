package output

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
)

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
	o := &Output{Stdout: &b, Format: YAML}
	row := api.Interface{ID: "r1/if/1", Tenant: "acme", Name: "yes", Index: "007", Speed: 18446744073709551615}
	if err := o.Print([]api.Interface{row}); err != nil {
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
		if got := Printable(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestUnits(t *testing.T) {
	for got, want := range map[string]string{
		Bytes(0): "0 B", Bytes(1023): "1023 B", Bytes(1536): "1.5 KiB", Bytes(1 << 40): "1.0 TiB",
		Speed(0): "-", Speed(999): "999 b/s", Speed(64_000): "64 kb/s", Speed(100_000_000): "100 Mb/s", Speed(2_500_000_000): "2.5 Gb/s",
		Short(-time.Second): "0s", Short(59 * time.Second): "59s", Short(61 * time.Second): "1m1s",
		Short(25 * time.Hour): "1d1h", Short(90 * time.Minute): "1h30m",
		Number(1): "1", Number(12.34567): "12.346", Number(0.5): "0.5", Number(100): "100",
		Plural("devices", 1): "device", Plural("devices", 2): "devices",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
