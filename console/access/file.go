package access

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/atomicfile"
)

// User is a person. Its password is kept as a hash, beside.
type User struct {
	Name    string    `json:"name"`
	Role    Role      `json:"role"`
	Tenant  string    `json:"tenant,omitempty"`
	Created time.Time `json:"created"`
	Changed time.Time `json:"changed"`
	MFA     bool      `json:"mfa"` // has a second factor
}

type storedUser struct {
	User
	Hash       string `json:"hash"`             // argon2id
	Generation string `json:"generation"`       // sessions of another one are dead
	Factor     string `json:"factor,omitempty"` // secret of the second factor
}

// Token is a machine.
type Token struct {
	Name    string    `json:"name"`
	Role    Role      `json:"role"`
	Tenant  string    `json:"tenant,omitempty"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

type storedToken struct {
	Token
	Hash string `json:"hash"`
}

type storedLink struct {
	Hash    string    `json:"hash"`
	Role    Role      `json:"role"`
	Tenant  string    `json:"tenant,omitempty"`
	Expires time.Time `json:"expires"`
}

// book is the content of the file.
type book struct {
	Version int           `json:"version"`
	Users   []storedUser  `json:"users"`
	Tokens  []storedToken `json:"tokens"`
	Links   []storedLink  `json:"links"`
	Journal []Change      `json:"journal,omitempty"` // not recorded yet
	Key     []byte        `json:"key,omitempty"`     // of the console, for what it keeps from who sees one tenant
}

const (
	bookVersion = 1
	bookFile    = "access.json"
)

// Folder is the folder of a console, of the data folder that belongs to its
// server.
func Folder(data string) string { return filepath.Join(data, "console") }

// Store is the file.
type Store struct {
	dir  string
	now  func() time.Time
	cost cost // of the hashes that are made

	mu   sync.Mutex
	seen os.FileInfo // of what book was read from
	book book
}

// Open makes the folder of a console when it is not there.
func Open(dir string) (*Store, error) {
	if err := atomicfile.MakeDir(dir); err != nil {
		return nil, fault.WithHint(fault.Wrap(fault.Other, err, "the console's folder"), "the data folder belongs to the user that the server runs as")
	}
	return &Store{dir: dir, now: time.Now, cost: standard}, nil
}

// current returns what is in the file now. A file that cannot be read lets no
// one in.
func (s *Store) current() (book, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := os.Stat(filepath.Join(s.dir, bookFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.seen, s.book = nil, book{}
		return book{}, nil
	case err != nil:
		return book{}, fault.Wrap(fault.Other, err, "users and tokens")
	case s.seen != nil && os.SameFile(info, s.seen) && info.ModTime().Equal(s.seen.ModTime()) && info.Size() == s.seen.Size():
		return s.book, nil
	}
	b, info, err := s.read()
	if err != nil {
		return book{}, err
	}
	s.seen, s.book = info, b
	return b, nil
}

func (s *Store) read() (book, os.FileInfo, error) {
	path := filepath.Join(s.dir, bookFile)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return book{Version: bookVersion}, nil, nil
	}
	if err != nil {
		return book{}, nil, fault.WithHint(fault.Wrap(fault.Other, err, "users and tokens"), "it belongs to the user that the server runs as")
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return book{}, nil, fault.Wrap(fault.Other, err, "users and tokens")
	}
	if info.Mode().Perm()&0o077 != 0 {
		return book{}, nil, fault.WithHint(fault.New(fault.Invalid, "%s can be read by others", path), "chmod 600 it, and change the passwords and tokens in it")
	}
	var b book
	if err := json.NewDecoder(f).Decode(&b); err != nil {
		return book{}, nil, fault.WithHint(fault.Wrap(fault.Other, err, "%s", path), "bring it back from a backup, or remove it and add users and tokens again")
	}
	if b.Version != bookVersion {
		return book{}, nil, fault.New(fault.Invalid, "%s has version %d, and this program knows %d", path, b.Version, bookVersion)
	}
	return b, info, nil
}

// change rewrites the file under a lock that server and command line share.
// What do returns as an error changes nothing.
func (s *Store) change(do func(b *book) error) error {
	lock, err := os.OpenFile(filepath.Join(s.dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fault.WithHint(fault.Wrap(fault.Other, err, "users and tokens"), "run this as the user that the server runs as")
	}
	defer lock.Close() // and with it the lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fault.Wrap(fault.Other, err, "lock %s", s.dir)
	}
	b, _, err := s.read()
	if err != nil {
		return err
	}
	b.prune(s.now())
	if err := do(&b); err != nil {
		return err
	}
	data, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return fault.Wrap(fault.Other, err, "users and tokens")
	}
	return s.replace(bookFile, append(data, '\n'))
}

// replace writes a file whole or not at all, 0600, for the folder's owner: root
// may call, and the server must still be able to read it.
func (s *Store) replace(name string, data []byte) error {
	path := filepath.Join(s.dir, name)
	var opts []atomicfile.Option
	if os.Geteuid() == 0 {
		opts = append(opts, atomicfile.Finish(s.giveToOwner))
	}
	return fault.Wrap(fault.Other, atomicfile.Write(path, data, opts...), "write %s", path)
}

func (s *Store) giveToOwner(f *os.File) error {
	info, err := os.Stat(filepath.Dir(s.dir))
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return nil
	}
	return errors.Join(f.Chown(int(owner.Uid), int(owner.Gid)), os.Chown(s.dir, int(owner.Uid), int(owner.Gid)),
		os.Chown(filepath.Join(s.dir, "lock"), int(owner.Uid), int(owner.Gid)))
}

// prune forgets links that are over.
func (b *book) prune(now time.Time) {
	b.Version = bookVersion
	kept := b.Links[:0]
	for _, l := range b.Links {
		if now.Before(l.Expires) {
			kept = append(kept, l)
		}
	}
	b.Links = kept
}

// checkLife says whether something may live for d.
func checkLife(d, most time.Duration) error {
	if d <= 0 || d > most {
		return fault.New(fault.Invalid, "a life of %s is not between 0 and %s", api.Duration(d).Std(), most)
	}
	return nil
}

// urlFile says where the console of this folder was opened last.
const urlFile = "url"

// Announce remembers where the console is open, for the command line.
func (s *Store) Announce(url string) error { return s.replace(urlFile, []byte(url+"\n")) }

// URL returns the address that Announce kept last.
func (s *Store) URL() (string, error) {
	data, err := os.ReadFile(filepath.Join(s.dir, urlFile))
	if err != nil {
		return "", fault.WithHint(fault.Wrap(fault.NotFound, err, "where the console is"), "start the server once, or say it with --url")
	}
	return strings.TrimSpace(string(data)), nil
}

// LinkURL is the address that logs in with code. The code is the fragment,
// which a browser sends to no server; the page's script sends it as a body.
func LinkURL(base, code string) string { return strings.TrimRight(base, "/") + "/#login=" + code }
