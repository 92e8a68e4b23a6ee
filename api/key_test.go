package api

import "testing"

func TestKeyIsNamed(t *testing.T) {
	k := Key{"acme", "syd", "r1/if/2"}
	for _, s := range []string{"r1/if/2", "syd/r1/if/2", "acme/r1/if/2", "acme/syd/r1/if/2"} {
		if !k.Named(s) {
			t.Errorf("%s is not found", s)
		}
	}
	for _, s := range []string{"", "r1", "if/2", "globex/syd/r1/if/2", "lab/r1/if/2"} {
		if k.Named(s) {
			t.Errorf("%s is found", s)
		}
	}
	// Without a site there is one name less.
	if k := (Key{"acme", "", "EVENTS"}); !k.Named("acme/EVENTS") || !k.Named("EVENTS") || k.Named("/EVENTS") {
		t.Error("a stream's names")
	}
}
