package tenants_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"midplane/tenants"
)

func loadText(text string) (*tenants.Spec, error) {
	l, err := tenants.LoadFS(fstest.MapFS{"a.yaml": {Data: []byte(text)}}, "", options)
	if err != nil {
		return nil, err
	}
	return l[0].Spec, nil
}

// Files that would keep the library busy for minutes, or exhaust its stack,
// are refused before it sees them.
func TestHostileFiles(t *testing.T) {
	var keys, deep strings.Builder
	for i := range 90_000 {
		fmt.Fprintf(&keys, "k%d: 1\n", i)
	}
	deep.WriteString("schemas:\n  - example:\n")
	for i := range 1300 {
		deep.WriteString(strings.Repeat(" ", i+6) + "a:\n")
	}
	for name, tc := range map[string]struct{ text, want string }{
		"empty items":      {strings.Repeat("-\n", 500_000), "nothing behind them"},
		"empty fields":     {strings.Repeat("a:\n", 300_000), "more than 1000 fields"},
		"fields":           {keys.String(), "more than 1000 fields"},
		"nested fields":    {"a:\n" + strings.Repeat("  b: 1\n", 100_000), "more than 1000 fields"},
		"flow fields":      {"a: {" + strings.Repeat("b,", 500_000) + "}", "more than 1000 fields"},
		"documents":        {strings.Repeat("---\na: 1\n", 100_000), "several documents"},
		"brackets":         {strings.Repeat("[", 1_000_000), "nested more than"},
		"braces over many": {strings.Repeat("{a:\n", 200_000), "nested more than"},
		"dashes":           {strings.Repeat("- ", 500_000), "nested more than"},
		"indentation":      {deep.String(), "nested more than"},
		"aliases": {"a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]\n",
			"unknown field"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := loadText(tc.text); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

// What a large customer writes is not taken for an attack, in any style.
func TestLargeFiles(t *testing.T) {
	const n = 3000
	begin := head + "id: acme\nsites:\n  - id: syd\n    pollers: [{id: p1}, {id: p2}]\n    devices:\n"
	for name, device := range map[string]string{
		"flow":        "      - {id: r%d, address: 192.0.2.1}\n",
		"block":       "      # ------------------------------------------------------------\n      - id: r%d\n        address: 192.0.2.1\n        checks:\n        - name: web\n          collector: tcp\n          params:\n            port: 80\n",
		"dash alone":  "      -\n        id: r%d\n        address: 192.0.2.1\n",
		"like JSON":   "      - {\n        \"id\": \"r%d\",\n        \"address\": \"192.0.2.1\"\n        }\n",
		"empty parts": "      - id: r%d\n        address: 192.0.2.1\n        name: \"\"\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			b.WriteString(begin)
			for i := range n {
				fmt.Fprintf(&b, device, i)
			}
			spec, err := loadText(b.String())
			if err != nil {
				t.Fatal(tenants.Mistakes(err)[0])
			}
			if got := len(spec.Declared()); got != n {
				t.Errorf("%d devices, want %d", got, n)
			}
		})
	}
	var b strings.Builder
	b.WriteString(begin)
	for i := range tenants.MaxDevices + 1 {
		fmt.Fprintf(&b, "      - {id: router-number-%05d, name: a rather long name, address: 192.0.2.1}\n", i)
	}
	if _, err := loadText(b.String()); err == nil || !strings.Contains(err.Error(), "20001 devices, at most 20000") {
		t.Errorf("%.200v", err)
	}
}
