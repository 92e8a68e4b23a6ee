package join

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"midplane/fault"
	"midplane/internal/atomicfile"
	"midplane/tenants/account"
)

// What a joined poller's data folder holds, beside its outbox. The identity
// comes last: without it the folder has not joined.
const (
	fileIdentity = "joined.json"
	fileCreds    = "poller.creds"
	fileCA       = "ca.crt"
	filePending  = "join.key" // the key that was sent, until there is an answer
)

// Load returns who the poller of a folder is; false when it has not joined.
func Load(dir string) (Identity, bool, error) {
	var id Identity
	data, err := os.ReadFile(filepath.Join(dir, fileIdentity))
	if errors.Is(err, fs.ErrNotExist) {
		return id, false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &id)
	}
	if err != nil {
		return id, false, fault.WithHint(fault.Wrap(fault.Invalid, err, "%s", filepath.Join(dir, fileIdentity)), "restore the file, or join again with a new token and another --data")
	}
	id.Creds = filepath.Join(dir, fileCreds)
	if _, err := os.Stat(id.Creds); err != nil {
		return id, false, fault.WithHint(fault.Wrap(fault.Invalid, err, "poller %s/%s has joined, but its credentials are gone", id.Tenant, id.Poller),
			"restore the file; or revoke the poller, remove %s and join with a new token", filepath.Join(dir, fileIdentity))
	}
	if _, err := os.Stat(filepath.Join(dir, fileCA)); err == nil {
		id.CA = filepath.Join(dir, fileCA)
	}
	return id, true, nil
}

// pending is a key that is sent and not accepted yet.
type pending struct {
	public string
	seed   []byte
	sign   func([]byte) ([]byte, error)
}

// pendingFile binds a key to the token it is sent with.
type pendingFile struct {
	Token string `json:"token"`
	Seed  []byte `json:"seed"`
}

// pendingKey makes the poller's key, or takes the one of an earlier try with
// the same token. It is on disk before it is sent: a lost answer must not lose
// the poller.
func pendingKey(dir, token string) (pending, error) {
	path := filepath.Join(dir, filePending)
	var f pendingFile
	data, err := os.ReadFile(path)
	if err == nil && json.Unmarshal(data, &f) == nil && f.Token == token {
		if sign, err := account.SignWith(f.Seed); err == nil {
			key, err := account.PublicKey(f.Seed)
			return pending{key, f.Seed, sign}, err
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return pending{}, fault.Wrap(fault.Other, err, "key of the poller")
	}
	key, seed, err := account.NewUserKey()
	if err != nil {
		return pending{}, err
	}
	sign, err := account.SignWith(seed)
	if err != nil {
		return pending{}, err
	}
	if data, err = json.Marshal(pendingFile{Token: token, Seed: seed}); err == nil {
		err = atomicfile.Write(path, data)
	}
	return pending{key, seed, sign}, fault.Wrap(fault.Other, err, "key of the poller")
}

// keep stores what was answered.
func keep(dir string, id Identity, jwt string, key pending, ca []byte) (Identity, error) {
	creds, err := account.FormatCreds(jwt, key.seed)
	if err != nil {
		return id, err
	}
	identity, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return id, fault.Wrap(fault.Other, err, "encode the identity")
	}
	err = atomicfile.Write(filepath.Join(dir, fileCreds), creds)
	if err == nil && ca != nil {
		err = atomicfile.Write(filepath.Join(dir, fileCA), ca, atomicfile.Mode(0o644))
	}
	if err == nil {
		err = atomicfile.Write(filepath.Join(dir, fileIdentity), append(identity, '\n'))
	}
	if err != nil {
		return id, fault.WithHint(fault.Wrap(fault.Other, err, "keep the poller's credentials"), "run the same command again: the token still answers this folder's key")
	}
	_ = os.Remove(filepath.Join(dir, filePending)) // the key is in the credentials now
	id, _, err = Load(dir)
	return id, err
}
