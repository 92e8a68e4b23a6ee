package people

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"midplane/fault"
	"midplane/internal/atomicfile"
	"midplane/tenants/account"
)

// credsFile is a .creds file that is there, or one that is being made. When the
// answer to a key that was sent gets lost, the key must not be lost with it, or
// its name could never be used again. So the key is on disk, in a file beside,
// before it is sent, and repeating the command goes on with it.
type credsFile struct {
	path    string
	creds   *account.Creds // the file is there and holds these
	public  string
	seed    []byte
	pending string // the file beside
}

// openCreds reads path when it exists (a Conflict when it holds no
// credentials), or else makes a key, or takes the one of an earlier attempt for
// the same user, who is named "tenant.name".
func openCreds(path, user string) (*credsFile, error) {
	f := &credsFile{path: path, pending: filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+user+".pending")}
	data, err := os.ReadFile(path)
	switch {
	case err == nil:
		creds, err := account.ReadCreds(data)
		if err != nil {
			return nil, fault.WithHint(fault.New(fault.Conflict, "%s exists and holds no credentials", path),
				"nothing was changed; name another --out FILE")
		}
		f.creds, f.public, f.seed = &creds, creds.PublicKey, creds.Seed
		return f, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fault.Wrap(fault.Invalid, err, "--out")
	}
	if data, err = os.ReadFile(f.pending); err == nil {
		public, seed, ok := bytes.Cut(bytes.TrimSpace(data), []byte("\n"))
		if _, err := account.SignWith(seed); ok && err == nil {
			f.public, f.seed = string(public), seed
			return f, nil
		}
		_ = os.Remove(f.pending) // cut short before the key was sent
	}
	if f.public, f.seed, err = account.NewUserKey(); err != nil {
		return nil, err
	}
	text := append(append([]byte(f.public+"\n"), f.seed...), '\n')
	if err := writeNew(f.pending, text); err != nil {
		return nil, fault.WithHint(fault.Wrap(fault.Invalid, err, "--out"), "name a file in a folder that you may write to")
	}
	return f, nil
}

// abandon removes a key that was not accepted.
func (f *credsFile) abandon() {
	if f.creds == nil {
		_ = os.Remove(f.pending)
	}
}

// write puts the credentials in place, whole or not at all, and never over a
// foreign file. The file of a user that existed stays as it is.
func (f *credsFile) write(jwt string, existed bool) error {
	if f.creds != nil && existed {
		return nil
	}
	data, err := account.FormatCreds(jwt, f.seed)
	if err != nil {
		return err
	}
	if f.creds != nil { // the key is ours, but its user had to be made again
		return fault.Wrap(fault.Other, atomicfile.Write(f.path, data), "write credentials")
	}
	whole := f.pending + ".creds"
	_ = os.Remove(whole)
	if err := writeNew(whole, data); err != nil {
		return fault.Wrap(fault.Other, err, "write credentials")
	}
	defer os.Remove(whole)
	if err := os.Link(whole, f.path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return fault.WithHint(fault.New(fault.Conflict, "%s has appeared since", f.path), "repeat the command with another --out FILE: the key is kept beside it")
		}
		// a file system without hard links
		if err := writeNew(f.path, data); err != nil {
			return fault.Wrap(fault.Other, err, "write credentials")
		}
	}
	if err := atomicfile.SyncDir(filepath.Dir(f.path)); err != nil { // the copy of the key may go only when the file is there for certain
		return fault.Wrap(fault.Other, err, "write credentials")
	}
	_ = os.Remove(f.pending) // the key is in the file now
	return nil
}

// writeNew writes a file that is not there yet, readable by its owner only,
// and does not return before it is on disk.
func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		_ = os.Remove(path)
	}
	return err
}
