package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"midplane/fault"
	"midplane/internal/testwait"
	"midplane/telemetry"
	"midplane/tenants/account"
)

// alone returns the configuration of a cluster of one.
func alone(t *testing.T) Config {
	t.Helper()
	sys, err := account.NewKeys(account.SystemRoles)
	if err != nil {
		t.Fatal(err)
	}
	op, err := account.NewOperator("test", sys.Public)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := account.NewSigner(op.Signing)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signer.System(sys)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "operator.jwt")
	if err := os.WriteFile(path, []byte(op.JWT), 0o600); err != nil {
		t.Fatal(err)
	}
	return Config{Name: "n1", Cluster: "test", Dir: t.TempDir(), Client: "127.0.0.1:0", OperatorJWT: path, System: sys.Public,
		Accounts: map[string]string{sys.Public: token}, MaxPayload: 1 << 20}
}

// TestNodeWithoutJetStreamEnds: a server that gave JetStream up (its disk was
// full) looks alive, has no stream and never gets one again.
func TestNodeWithoutJetStreamEnds(t *testing.T) {
	n, err := New(alone(t), telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	if err := n.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	if n.Meta().Disabled {
		t.Error("it is called disabled before it is")
	}
	if err := n.srv.Load().DisableJetStream(); err != nil { // as the server itself does
		t.Fatal(err)
	}
	testwait.True(t, "it is seen before the node ends", func() bool { return n.Meta().Disabled && len(ended) == 0 })
	if err := <-ended; !fault.Is(err, fault.Exhausted) || fault.HintOf(err) == "" {
		t.Fatalf("%v (%s)", err, fault.KindOf(err))
	}
}

// TestTakenPort: what the server says when it cannot listen is a Conflict with a hint.
func TestTakenPort(t *testing.T) {
	first, err := New(alone(t), telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	ended := make(chan error, 1)
	go func() { ended <- first.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	if err := first.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	cfg := alone(t)
	cfg.Client = first.srv.Load().Addr().String()
	second, err := New(cfg, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(ctx); !fault.Is(err, fault.Conflict) || fault.HintOf(err) == "" {
		t.Fatalf("%v (%s)", err, fault.KindOf(err))
	}
}

// TestFatalError: every cause that an operator can do something about has its class.
func TestFatalError(t *testing.T) {
	for text, want := range map[string]fault.Kind{
		"listen tcp 127.0.0.1:4222: bind: address already in use":          fault.Conflict,
		"listen tcp 192.0.2.1:4222: bind: cannot assign requested address": fault.Invalid,
		"write x.blk: no space left on device":                             fault.Exhausted,
		"mkdir jetstream: permission denied":                               fault.Denied,
		"something else":                                                   fault.Other,
	} {
		err := fatalError(text)
		if fault.KindOf(err) != want || (fault.HintOf(err) == "") != (want == fault.Other) {
			t.Errorf("%s: %s, hint %q", text, fault.KindOf(err), fault.HintOf(err))
		}
		if errors.Unwrap(err) == nil && err.Error() != text {
			t.Errorf("%s: says %s", text, err)
		}
	}
}
