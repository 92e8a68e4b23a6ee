package node

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"midplane/fault"
	"midplane/internal/atomicfile"
)

// repair brings the resolver's folder into order before the server reads it: a
// file that is missing, damaged or older than its copy is written from the
// copy, and a damaged one without a copy is removed. A damaged file would be
// sent to peers that start, and a peer that takes it in has it for the account.
func (f *accountFiles) repair() error {
	if err := f.makeDirs(); err != nil {
		return err
	}
	if err := errors.Join(atomicfile.Clean(f.resolver), atomicfile.Clean(f.copies)); err != nil {
		return err
	}
	all := map[string]bool{}
	for _, dir := range []string{f.resolver, f.copies} {
		found, err := accountsIn(dir)
		if err != nil {
			return err
		}
		for _, key := range found {
			all[key] = true
		}
	}
	for key := range all {
		if err := f.repairOne(key); err != nil {
			return err
		}
	}
	return atomicfile.SyncDir(f.resolver)
}

func (f *accountFiles) repairOne(key string) error {
	_, issued, bad := read(f.resolver, key)
	_, at, badCopy := read(f.copies, key)
	if badCopy != nil && !fault.Is(badCopy, fault.NotFound) {
		f.log.Warn("the copy of an account's JWT is damaged; it is written again when the account's JWT is applied", "account", key, "error", badCopy)
	}
	switch {
	case badCopy == nil && bad != nil:
		f.log.Warn("an account's JWT is damaged or missing; it is repaired from this node's copy", "account", key, "error", bad)
		_, err := f.restore(key)
		return err
	case badCopy == nil && at.After(issued):
		f.log.Info("this node's copy of an account's JWT is newer than the server's; the copy is taken", "account", key)
		_, err := f.restore(key)
		return err
	case bad != nil && !fault.Is(bad, fault.NotFound):
		f.log.Warn("an account's JWT is damaged and there is no copy; the other nodes are asked for it, then the registry", "account", key, "error", bad)
		return os.RemoveAll(filepath.Join(f.resolver, key+jwtSuffix))
	}
	return nil
}

// settleAtOnce is how many accounts are settled at a time: a sync waits for the disk.
const settleAtOnce = 8

// settle syncs and copies every JWT that the resolver has, and returns their
// accounts.
func (f *accountFiles) settle() (map[string]bool, error) {
	found, err := accountsIn(f.resolver)
	if err != nil {
		return nil, err
	}
	// All names at once, first: what is written from here on syncs its own.
	if err := atomicfile.SyncDir(f.resolver); err != nil {
		return nil, err
	}
	var g errgroup.Group
	g.SetLimit(settleAtOnce)
	for _, key := range found {
		g.Go(func() error {
			token, err := f.syncWith(key, func() error { return nil })
			if err == nil {
				err = f.keep(key, token)
			}
			return fault.Wrap(fault.Other, err, "account %s", key)
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	out := make(map[string]bool, len(found))
	for _, key := range found {
		out[key] = true
	}
	return out, nil
}
