package subject

import "testing"

func TestAudit(t *testing.T) {
	for want, x := range map[string][2]string{
		"audit.ann.tenant.put":              {"ann", "tenant.put"},
		"audit._.enrol.redeem":              {"", "enrol.redeem"},
		"audit.%2A.user.create":             {"*", "user.create"},
		"audit.a%2Eb.x":                     {"a.b", "x"},
		"audit.midplane-control.x.%3E":      {"midplane-control", "x.>"},
		"audit.Ann%0A.x":                    {"Ann\n", "x"},
		"audit.core-1.console.user.login":   {"core-1", "console.user.login"},
		"audit.acme%2Fapp.token.redeem.%2A": {"acme/app", "token.redeem.*"},
	} {
		if got := Audit(x[0], x[1]); got != want {
			t.Errorf("%q: %s, want %s", x, got, want)
		}
	}
}
