package outbox

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"midplane/fault"
	"midplane/telemetry"
)

func TestOpenRefuses(t *testing.T) {
	ctx, tel := context.Background(), telemetry.Nop()
	path := filepath.Join(t.TempDir(), "o.db")
	for _, cfg := range []Config{{}, {Path: path, Producer: "*"}, {Path: path, Producer: "a", MaxBytes: 1000}} {
		if _, err := Open(ctx, cfg, tel); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
	_, stop := opened(t, Config{Path: path})
	stop()
	if _, err := Open(ctx, Config{Path: path, Producer: "other"}, tel); !fault.Is(err, fault.Invalid) {
		t.Errorf("another's outbox: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("permissions %v, %v", info.Mode(), err)
	}
	bad := filepath.Join(t.TempDir(), "bad.db")
	if err := os.WriteFile(bad, []byte(strings.Repeat("not a database. ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(ctx, Config{Path: bad, Producer: "a"}, tel); err == nil || fault.HintOf(err) == "" {
		t.Errorf("a damaged file: %v", err)
	}
}

// TestOneProcess: a second opening of the same outbox is refused.
func TestOneProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "o.db")
	_, stop := opened(t, Config{Path: path})
	cfg := Config{Path: path, Producer: producer}
	if o, err := Open(context.Background(), cfg, telemetry.Nop()); !fault.Is(err, fault.Conflict) {
		if o != nil {
			_ = o.Close()
		}
		t.Fatalf("opened twice: %v", err)
	}
	stop()
	o, err := Open(context.Background(), cfg, telemetry.Nop())
	if err != nil {
		t.Fatal(err)
	}
	_ = o.Close()
}
