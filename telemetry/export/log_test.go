package export

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func line(t *testing.T, out *bytes.Buffer) map[string]any {
	t.Helper()
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	out.Reset()
	delete(got, "time")
	return got
}

func TestLogCarriesTheTrace(t *testing.T) {
	var out bytes.Buffer
	e := start(t, Config{Service: "midplane-node", Version: "1.2.3", Instance: "n1", LogFormat: "json", LogOutput: &out})
	tele := e.Telemetry("ingress")
	ctx, span := tele.Tracer.Start(context.Background(), "one")
	sc := span.SpanContext()
	want := map[string]any{
		"level": "INFO", "msg": "hello", "service": "midplane-node", "version": "1.2.3", "instance": "n1", "component": "ingress",
		"trace_id": sc.TraceID().String(), "span_id": sc.SpanID().String(),
	}
	tele.Log.InfoContext(ctx, "hello")
	if diff := cmp.Diff(want, line(t, &out)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	// The ids stay at the top level when groups are open.
	want["a"] = map[string]any{"x": 1.0, "b": map[string]any{"y": 2.0}}
	tele.Log.WithGroup("a").With("x", 1).WithGroup("b").InfoContext(ctx, "hello", "y", 2)
	if diff := cmp.Diff(want, line(t, &out)); diff != "" {
		t.Errorf("grouped (-want +got):\n%s", diff)
	}

	tele.Log.InfoContext(context.Background(), "hello")
	if got := line(t, &out); got["trace_id"] != nil {
		t.Errorf("a trace id without a trace: %v", got)
	}
}

func TestLogLevelAndText(t *testing.T) {
	var out bytes.Buffer
	log := start(t, Config{LogLevel: "warn", LogOutput: &out}).Telemetry("x").Log
	log.Info("not shown")
	log.Warn("shown", "injected", "a\nlevel=ERROR msg=forged")
	if got := out.String(); strings.Contains(got, "not shown") || strings.Count(got, "\n") != 1 {
		t.Fatalf("%q", got)
	}
}

const (
	seed = "SUAIBDPBAUTWCWBKIO6XHQNINK5FWJW4OHLXC3HQ2KFE4PEJUA44CNHTC4"
	jwt  = "eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.eyJqdGkiOiJURVNUIn0.c2lnbmF0dXJl"
)

func TestSecretsAreRedacted(t *testing.T) {
	type answer struct{ JWT, Name string }
	pem := "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIhunter2\n-----END PRIVATE KEY-----"
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		log := start(t, Config{LogFormat: format, LogOutput: &out}).Telemetry("x").Log
		log.Info("by key", "password", "hunter2", "snmpCommunity", "hunter2", "auth_secret", "hunter2",
			"token", "hunter2", "userJWT", "hunter2", "creds", "hunter2", "seed", []byte("hunter2"), "apiKey", "hunter2",
			"Authorization", "Bearer hunter2", slog.Group("secrets", "a", "hunter2"), "tokens", []string{"hunter2"})
		log.With("jwt", "hunter2").WithGroup("password").Info("in a group", "value", "hunter2")
		log.Info("by look: "+seed, "err", errors.New("bad "+jwt), "answer", answer{JWT: jwt, Name: "syd-01"},
			"pem", pem, "url", "nats://me:hunter2@127.0.0.1:4222", "creds content", seed)
		got := out.String()
		for _, secret := range []string{"hunter2", seed, jwt} {
			if strings.Contains(got, secret) {
				t.Errorf("%s: %q is in the log:\n%s", format, secret, got)
			}
		}
		if !strings.Contains(got, Redacted) || !strings.Contains(got, "syd-01") || !strings.Contains(got, "127.0.0.1:4222") {
			t.Errorf("%s: too much was taken:\n%s", format, got)
		}
		if format == "json" {
			for l := range strings.Lines(got) {
				if !json.Valid([]byte(l)) {
					t.Errorf("not JSON any more: %s", l)
				}
			}
		}
	}
}

func TestWhatOnlySpeaksOfASecretStays(t *testing.T) {
	var out bytes.Buffer
	log := start(t, Config{LogFormat: "json", LogOutput: &out}).Telemetry("x").Log
	log.Info("m", "token_id", "t-1", "credsFile", "/etc/a.creds", "hasPassword", true, "publicKey", "UABC", "tenant", "acme", "key", "k")
	got := line(t, &out)
	for key, want := range map[string]any{
		"token_id": "t-1", "credsFile": "/etc/a.creds", "hasPassword": true, "publicKey": "UABC", "tenant": "acme", "key": "k",
	} {
		if got[key] != want {
			t.Errorf("%s = %v, want %v", key, got[key], want)
		}
	}
}

func TestWordsOf(t *testing.T) {
	want := []string{"snmp", "auth", "secret"}
	for _, key := range []string{"snmpAuthSecret", "snmp.auth_secret", "SNMP-Auth-Secret", "SNMPAuthSecret", " snmp  auth secret "} {
		if diff := cmp.Diff(want, wordsOf(key)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", key, diff)
		}
	}
}
