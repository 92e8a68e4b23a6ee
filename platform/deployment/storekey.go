package deployment

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"midplane/fault"
	"midplane/tenants/account"
)

const (
	fileStore = "store.key"

	// EnvStore overrides the file of the key that a node's store is encrypted with.
	EnvStore = "MIDPLANE_STORE_KEY"
)

// StoreKey returns the key that a store is encrypted with: from the
// environment, or from a file that only its owner can read. NotFound when
// there is none.
func StoreKey(dir string) (string, error) {
	return ownKey(dir, fileStore, EnvStore, "key of the store")
}

// MakeStoreKey returns the key and makes one when there is none.
func MakeStoreKey(dir string) (string, error) {
	key, err := StoreKey(dir)
	if !fault.Is(err, fault.NotFound) {
		return key, err
	}
	w := &writer{dir: dir}
	w.secret(fileStore, []byte(account.NewMasterKey()+"\n"))
	if w.err != nil {
		return "", w.err
	}
	return StoreKey(dir)
}

// ownKey reads a key that comes from the environment or from a file that only
// its owner can read.
func ownKey(dir, name, env, what string) (string, error) {
	if text := os.Getenv(env); text != "" {
		return text, nil
	}
	path := filepath.Join(dir, name)
	info, err := os.Stat(path)
	if err != nil {
		kind := fault.NotFound
		if !errors.Is(err, fs.ErrNotExist) {
			kind = fault.Other
		}
		return "", fault.WithHint(fault.Wrap(kind, err, "%s", what), "put it there, readable by its owner only, or into %s", env)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fault.WithHint(fault.New(fault.Denied, "%s can be read by others than its owner", path), "chmod 600 %s", path)
	}
	data, err := os.ReadFile(path)
	return string(data), fault.Wrap(fault.Other, err, "%s", what)
}
