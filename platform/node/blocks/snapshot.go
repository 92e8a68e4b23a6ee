package blocks

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/minio/highwayhash"

	"midplane/fault"
)

// Snapshots checks the snapshots of a group. With one that does not fit its checksum
// the server does not start the replica, and never tries again.
func (g Group) Snapshots() ([]Damage, error) {
	dir := filepath.Join(g.Dir, "snapshots")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []Damage
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "snap.") {
			continue // the server removes it
		}
		whole, err := wholeSnapshot(filepath.Join(dir, e.Name()), filepath.Base(g.Dir))
		if err != nil {
			return nil, err
		}
		if !whole {
			out = append(out, Damage{Block: e.Name(), What: "the snapshot of the Raft group does not fit its checksum", From: 1})
		}
	}
	return out, nil
}

// wholeSnapshot reports whether a snapshot fits the checksum at its end.
func wholeSnapshot(path, group string) (bool, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	const least = 28 // term, index, the length of the peers, checksum
	if len(data) < least {
		return false, nil
	}
	key := sha256.Sum256([]byte(group))
	h, err := highwayhash.New64(key[:])
	if err != nil {
		return false, fault.Wrap(fault.Other, err, "checksum")
	}
	end := len(data) - checksumSize
	_, _ = h.Write(data[:end]) // a hash does not fail
	return bytes.Equal(h.Sum(nil), data[end:]), nil
}
