package node

import (
	"log/slog"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"midplane/fault"
)

// accountStore keeps the accounts' JWTs: the server's own resolver, and the files
// that make what it has durable.
type accountStore struct {
	resolver *server.DirAccResolver
	files    *accountFiles
}

// newAccountStore makes the folders of accounts.
func newAccountStore(dir string, log *slog.Logger) (*accountStore, error) {
	s := &accountStore{files: newAccountFiles(dir, log)}
	err := s.files.makeDirs()
	if err != nil {
		return nil, err
	}
	// No deletion by claim: a node that was away would bring the account back.
	s.resolver, err = server.NewDirAccResolver(s.files.resolver, 0, 5*time.Second, server.NoDelete, server.FetchTimeout(time.Second))
	return s, err
}

// load gives the resolver every account's JWT that this node can get before its
// server starts, durably, and returns their accounts: those of its own files,
// those of own, and those that merge gets from the peers.
func (s *accountStore) load(own map[string]string, merge func()) (map[string]bool, error) {
	if err := s.files.repair(); err != nil {
		return nil, fault.Wrap(fault.Other, err, "repair the account folder")
	}
	// The resolver has read the folder when it was made.
	if err := s.resolver.Reload(); err != nil {
		return nil, fault.Wrap(fault.Other, err, "read the account folder")
	}
	for key, token := range own {
		if err := s.keep(key, token); err != nil {
			return nil, fault.Wrap(fault.Other, err, "store the JWT of account %s", key)
		}
	}
	merge()
	known, err := s.files.settle()
	return known, fault.Wrap(fault.Other, err, "sync the account folder")
}

// keep stores a JWT durably: the copy first, so that one of the two files is
// whole at any moment. What the resolver has got from other nodes is newer at
// times; then that is synced and copied.
func (s *accountStore) keep(account, token string) error {
	if err := s.files.keep(account, token); err != nil {
		return err
	}
	if err := s.resolver.Store(account, token); err != nil {
		return err
	}
	now, err := s.files.sync(account)
	if err != nil {
		// The server may be writing it. When it is not, the file was damaged
		// while the server ran, and the server would not write it again.
		time.Sleep(writing)
		now, err = s.files.sync(account)
	}
	if err != nil {
		now, err = s.files.restore(account)
	}
	if err != nil {
		return err
	}
	if now == token {
		return nil
	}
	return s.files.keep(account, now)
}

// writing is longer than the server takes to write one file.
const writing = 50 * time.Millisecond
