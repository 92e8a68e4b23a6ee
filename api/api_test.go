package api

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"midplane/fault"
)

// What people write is read strictly; what a newer program sends has fields that
// are passed over.
func TestDecode(t *testing.T) {
	for name, decode := range map[string]func([]byte, any) error{"lenient": Decode, "strict": DecodeStrict} {
		var req ListRequest
		if err := decode([]byte(`{"tenant":"acme","limit":3}`), &req); err != nil || req.Tenant != "acme" || req.Limit != 3 {
			t.Fatalf("%s: %+v, %v", name, req, err)
		}
		for _, bad := range []string{``, `{"tenant":1}`, `{} {}`, `{}x`, `[`} {
			if err := decode([]byte(bad), &ListRequest{}); !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %q: %v", name, bad, err)
			}
		}
	}
	misspelt := []byte(`{"tenat":"acme"}`)
	if err := DecodeStrict(misspelt, &ListRequest{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("strict: %v", err)
	}
	if err := Decode(misspelt, &ListRequest{}); err != nil {
		t.Errorf("lenient: %v", err)
	}
}

func TestAnswerKeepsTheClass(t *testing.T) {
	var p problem
	p.Error.Kind, p.Error.Message, p.Error.Hint = fault.NotFound, "tenant \"x\" does not exist", "look"
	body, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	err = Answer(&nats.Msg{Header: nats.Header{micro.ErrorHeader: {"x"}}, Data: body}, nil)
	if !fault.Is(err, fault.NotFound) || fault.HintOf(err) != "look" {
		t.Fatalf("%v, hint %q", err, fault.HintOf(err))
	}
	if err := Answer(&nats.Msg{Header: nats.Header{micro.ErrorHeader: {"x"}}}, nil); fault.KindOf(err) != fault.Other {
		t.Fatalf("an error without a body is %s", fault.KindOf(err))
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{"30s": 30 * time.Second, "7d": 7 * 24 * time.Hour, "1h30m": 90 * time.Minute} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || d.Std() != want {
			t.Errorf("%s: %v, %v", text, d.Std(), err)
		}
	}
	for _, bad := range []string{"", "7", "d", "1 h", "xd"} {
		var d Duration
		if err := d.UnmarshalText([]byte(bad)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// What is signed names user and verb, so that a signature for one request is
// none for another.
func TestSignedBytes(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("x", 3600))
	a := string(SignedBytes("syd-01", "config", at, []byte(`{}`)))
	if a != "syd-01\nconfig\n2026-01-02T02:04:05.000000006Z\n{}" {
		t.Fatalf("%q", a)
	}
}
