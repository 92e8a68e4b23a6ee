package node

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"midplane/fault"
	"midplane/internal/atomicfile"
)

const (
	storeFolder = "jetstream"
	// checkFile shows with which key the store was made, without the key itself. A
	// server with another key, or none, would start, find that it cannot read a
	// stream, and go on without: a new stream in its place is lost data.
	checkFile = "encryption.json"
	cipher    = "ChaCha20-Poly1305"
)

// storeCheck is the content of checkFile.
type storeCheck struct {
	Cipher string `json:"cipher"`
	Salt   []byte `json:"salt"`
	Check  []byte `json:"check"`
}

// guardStore refuses a key that the store was not made with, before anything
// touches the store. An empty one is made ready for the key.
func guardStore(cfg Config) error {
	path := filepath.Join(cfg.Dir, checkFile)
	held, found, err := readCheck(path)
	if err != nil {
		return err
	}
	encrypted, filled, err := look(filepath.Join(cfg.Dir, storeFolder))
	if err != nil {
		return fault.Wrap(fault.Other, err, "look into the store")
	}
	var key []byte
	if cfg.StoreKey != "" {
		if key, err = base64.StdEncoding.DecodeString(cfg.StoreKey); err != nil || len(key) != 32 {
			return fault.WithHint(fault.New(fault.Invalid, "the key of the store is not 32 bytes in base64"), "make one with: openssl rand -base64 32")
		}
	}
	const untouched = "nothing was changed. "
	switch {
	case !filled && key == nil:
		return clearCheck(path, found)
	case !filled:
		return writeCheck(path, key)
	case key == nil && (found || encrypted):
		return fault.WithHint(fault.New(fault.Denied, "the data in %s is encrypted, and no key was given", cfg.Dir), untouched+"Start with --encrypt-at-rest and the key it was made with")
	case key == nil:
		return nil
	case !found && encrypted:
		return fault.WithHint(fault.New(fault.Denied, "the data in %s is encrypted, but %s is missing: whether this is the key cannot be known", cfg.Dir, checkFile),
			untouched+"Bring the file back from a copy of the folder")
	case !found:
		return fault.WithHint(fault.New(fault.Denied, "the data in %s is not encrypted, and encrypting it in place is not possible", cfg.Dir),
			untouched+"Start without --encrypt-at-rest, or encrypt one node after the other: see docs/runbooks/store-key.md")
	}
	sum, err := checkSum(key, held.Salt)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(sum, held.Check) != 1 {
		return fault.WithHint(fault.New(fault.Denied, "the data in %s is encrypted with another key", cfg.Dir), untouched+"Give the key that this node's store was made with: see docs/runbooks/store-key.md")
	}
	return nil
}

// look reports whether the store holds anything, and whether the server has
// encrypted it: then every stream has a file with its own, sealed key.
func look(dir string) (encrypted, filled bool, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case d.IsDir():
			return nil
		}
		filled = true
		if d.Name() == "meta.key" {
			encrypted = true
			return fs.SkipAll
		}
		return nil
	})
	return encrypted, filled, err
}

func readCheck(path string) (c storeCheck, found bool, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return c, false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err == nil && (c.Cipher != cipher || len(c.Salt) == 0 || len(c.Check) == 0) {
		err = errors.New("it holds something else")
	}
	if err != nil {
		return c, false, fault.WithHint(fault.Wrap(fault.Denied, err, "%s, which says with which key the store was made", path), "nothing was changed. Bring the file back from a copy of the folder")
	}
	return c, true, nil
}

// checkSum tells keys apart. They are 32 random bytes, too many to find one by trying.
func checkSum(key, salt []byte) ([]byte, error) {
	sum, err := hkdf.Key(sha256.New, key, salt, "midplane store check", 32)
	return sum, fault.Wrap(fault.Other, err, "derive a check value")
}

// writeCheck is done before the server writes its first file.
func writeCheck(path string, key []byte) error {
	c := storeCheck{Cipher: cipher, Salt: make([]byte, 16)}
	_, _ = rand.Read(c.Salt) // never fails
	var err error
	if c.Check, err = checkSum(key, c.Salt); err != nil {
		return err
	}
	data, err := json.Marshal(c)
	if err != nil {
		return fault.Wrap(fault.Other, err, "encode %s", checkFile)
	}
	return fault.Wrap(fault.Other, durably(path, data), "write %s", checkFile)
}

// durably writes a file so that it is there, whole, after a power cut.
func durably(path string, data []byte) error {
	if err := atomicfile.MakeDir(filepath.Dir(path)); err != nil {
		return err
	}
	return atomicfile.Write(path, data)
}

func clearCheck(path string, found bool) error {
	if !found {
		return nil
	}
	return fault.Wrap(fault.Other, os.Remove(path), "remove %s", checkFile)
}
