package embedded

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/atomicfile"
	"midplane/tenants/account"
)

// credentials asks for the poller's credentials with the key of the last time, or
// a new one, and returns their file: asking again with the same key gives them
// again, also after the tenant was deleted and made again.
func (p *Pollers) credentials(ctx context.Context, dir string, row api.Poller) (string, error) {
	file := filepath.Join(dir, "poller.creds")
	if err := atomicfile.MakeDir(dir); err != nil {
		return "", fault.Wrap(fault.Other, err, "folder of poller %s", row.ID)
	}
	key, seed, err := keyOf(file, row)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	var made api.CreatedUser
	req := api.CreateUser{Tenant: row.Tenant, Name: row.ID, Role: string(account.RolePoller), PublicKey: key, Subscriptions: []string{}}
	if err := p.cfg.Ask(ctx, api.UserCreate, req, &made); err != nil {
		return "", err
	}
	data, err := account.FormatCreds(made.JWT, seed)
	if err != nil {
		return "", err
	}
	if err := atomicfile.Write(file, data); err != nil {
		return "", fault.Wrap(fault.Other, err, "credentials of poller %s", row.ID)
	}
	_ = os.Remove(seedOf(file)) // it is in the credentials now
	return file, nil
}

// keyOf returns the key in a credentials file, or the one that credentials were
// asked for with and that had no answer yet, or a new one.
func keyOf(credsFile string, row api.Poller) (public string, seed []byte, err error) {
	data, err := os.ReadFile(credsFile)
	if err == nil {
		old, err := account.ReadCreds(data)
		if err != nil {
			return "", nil, fault.WithHint(fault.Wrap(fault.Invalid, err, "%s", credsFile), "restore the file; without it the poller must be declared under another name")
		}
		return old.PublicKey, old.Seed, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", nil, fault.Wrap(fault.Other, err, "credentials of poller %s", row.ID)
	}
	kept, err := os.ReadFile(seedOf(credsFile))
	if err == nil {
		public, err = account.PublicKey(kept)
		return public, kept, err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", nil, fault.Wrap(fault.Other, err, "key of poller %s", row.ID)
	}
	if public, seed, err = account.NewUserKey(); err != nil {
		return "", nil, err
	}
	// Kept before it is sent, so that a lost answer does not lose the name.
	if err := atomicfile.Write(seedOf(credsFile), seed); err != nil {
		return "", nil, fault.Wrap(fault.Other, err, "key of poller %s", row.ID)
	}
	return public, seed, nil
}

func seedOf(credsFile string) string { return credsFile + ".seed" }
