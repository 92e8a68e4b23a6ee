package channel

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/nats-io/nkeys"

	"midplane/fault"
	"midplane/internal/wait"
)

const (
	// credsLook is how often a missing credentials file is looked for,
	// credsLog how often that is logged.
	credsLook = 250 * time.Millisecond
	credsLog  = 30 * time.Second
)

// AwaitCredentials waits until the credentials file is there, and whole: it may be
// written by another container at this moment. The error is that of ctx.
func AwaitCredentials(ctx context.Context, file string, log *slog.Logger) error {
	var logged time.Time
	for {
		key, err := keyOf(file)
		if err == nil {
			key.Wipe()
			if !logged.IsZero() {
				log.Info("the credentials are there", "file", file)
			}
			return nil
		}
		if time.Since(logged) >= credsLog {
			logged = time.Now()
			log.Warn("waiting for the credentials file; make it with: midplane user create --role poller",
				"file", file, "problem", err)
		}
		_ = wait.For(ctx, credsLook)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// signer returns a function that signs with the key in a credentials file. The
// key is read for each signature and wiped: it may be renewed, and it is
// nowhere to be logged from.
func signer(credsFile string) func([]byte) ([]byte, error) {
	return func(data []byte) ([]byte, error) {
		key, err := keyOf(credsFile)
		if err != nil {
			return nil, err
		}
		defer key.Wipe()
		sig, err := key.Sign(data)
		return sig, fault.Wrap(fault.Other, err, "sign")
	}
}

// keyOf reads the key of a credentials file. The error never shows its content.
func keyOf(credsFile string) (nkeys.KeyPair, error) {
	data, err := os.ReadFile(credsFile)
	if err != nil {
		return nil, fault.Wrap(fault.NotFound, err, "credentials")
	}
	defer clear(data)
	if jwt, err := nkeys.ParseDecoratedJWT(data); err != nil || jwt == "" {
		return nil, fault.New(fault.Invalid, "%s holds no user JWT", credsFile)
	}
	key, err := nkeys.ParseDecoratedUserNKey(data)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s holds no user key", credsFile)
	}
	return key, nil
}
