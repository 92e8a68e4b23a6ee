package account

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"midplane/fault"
)

func sealer(t testing.TB) *Sealer { return must(NewSealer(NewMasterKey()))(t) }

func TestSealRoundTrip(t *testing.T) {
	s := sealer(t)
	rapid.Check(t, func(rt *rapid.T) {
		context := rapid.String().Draw(rt, "context")
		want := rapid.MapOf(rapid.StringMatching(`[a-z]*`), rapid.StringMatching(`[ -~]*`)).Draw(rt, "value")
		sealed, err := s.Seal(context, want)
		if err != nil {
			rt.Fatal(err)
		}
		got := map[string]string{}
		if err := s.Open(context, sealed, &got); err != nil {
			rt.Fatal(err)
		}
		if len(got) != len(want) {
			rt.Fatalf("%v, want %v", got, want)
		}
		for k, v := range want {
			if got[k] != v {
				rt.Fatalf("%q = %q, want %q", k, got[k], v)
			}
		}
	})
}

// A sealed value opens with its own key, in its own place, as it is.
func TestSealedValueCannotBeMovedOrChanged(t *testing.T) {
	s := sealer(t)
	sealed, err := s.Seal("tenant/acme", "the seed")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("seed")) {
		t.Fatal("it can be read")
	}
	var got string
	if err := s.Open("tenant/acme", sealed, &got); err != nil || got != "the seed" {
		t.Fatal(got, err)
	}
	if err := sealer(t).Open("tenant/acme", sealed, &got); fault.KindOf(err) != fault.Denied || !strings.Contains(fault.HintOf(err), "master key") {
		t.Errorf("another master key: %v", err)
	}
	for _, context := range []string{"tenant/globex", "", "tenant/acme ", "Tenant/acme"} {
		if err := s.Open(context, sealed, &got); fault.KindOf(err) != fault.Denied {
			t.Errorf("moved to %q: %v", context, err)
		}
	}
	for i := range sealed {
		for bit := range 8 {
			flipped := bytes.Clone(sealed)
			flipped[i] ^= 1 << bit
			if err := s.Open("tenant/acme", flipped, &got); err == nil {
				t.Fatalf("bit %d of byte %d was flipped, and it opened", bit, i)
			}
		}
	}
	for n := range sealed {
		if err := s.Open("tenant/acme", sealed[:n], &got); err == nil {
			t.Fatalf("cut to %d bytes it opened", n)
		}
	}
	again, err := s.Seal("tenant/acme", "the seed")
	if err != nil || bytes.Equal(again, sealed) {
		t.Error("sealed twice it is the same")
	}
}

func TestNewSealerRefuses(t *testing.T) {
	for _, text := range []string{"", "short", base64.StdEncoding.EncodeToString(make([]byte, 31)), base64.StdEncoding.EncodeToString(make([]byte, 33)), strings.Repeat("!", 44)} {
		_, err := NewSealer(text)
		if fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: %v", text, err)
		}
		if text != "" && strings.Contains(err.Error()+fault.HintOf(err), text) {
			t.Errorf("the error shows the key")
		}
	}
	if _, err := NewSealer(" " + NewMasterKey() + "\n"); err != nil {
		t.Errorf("a key from a file that ends in a line feed: %v", err)
	}
}
