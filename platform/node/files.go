package node

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"midplane/fault"
	"midplane/internal/atomicfile"
	"midplane/tenants/account"
)

// accountFiles are the files with the accounts' JWTs: the resolver's, which the
// server writes and does not sync, and beside them this node's own synced
// copies. After a power cut a file of the resolver may be empty, and streams of
// an account without a JWT are not recovered.
type accountFiles struct {
	resolver string // folder
	copies   string // folder
	log      *slog.Logger

	mu    sync.Mutex
	known map[string]*accountFile
}

// accountFile is what is certain about the files of one account.
type accountFile struct {
	mu     sync.Mutex
	copied string      // the JWT that the copy holds
	synced string      // the JWT that was in the resolver's file when it was synced
	as     os.FileInfo // of the resolver's file at that moment
}

const (
	resolverFolder = "accounts"
	copiesFolder   = "account-copies"
	jwtSuffix      = ".jwt"
)

func newAccountFiles(dir string, log *slog.Logger) *accountFiles {
	return &accountFiles{resolver: filepath.Join(dir, resolverFolder), copies: filepath.Join(dir, copiesFolder), log: log, known: map[string]*accountFile{}}
}

func (f *accountFiles) makeDirs() error {
	return errors.Join(atomicfile.MakeDir(f.resolver), atomicfile.MakeDir(f.copies))
}

func (f *accountFiles) of(key string) *accountFile {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.known[key]
	if a == nil {
		a = &accountFile{}
		f.known[key] = a
	}
	return a
}

// check returns when a JWT was issued. It is Invalid unless it is the signed JWT
// of this account.
func check(key, token string) (time.Time, error) {
	issued, subject, err := account.IssuedAt(token)
	if err == nil && subject != key {
		err = fault.New(fault.Invalid, "it is the JWT of account %s", subject)
	}
	return issued, err
}

// read returns the JWT in a file of a folder and when it was issued. NotFound
// when there is no file, Invalid when it is not the account's JWT.
func read(dir, key string) (token string, issued time.Time, err error) {
	data, err := os.ReadFile(filepath.Join(dir, key+jwtSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return "", time.Time{}, fault.Wrap(fault.NotFound, err, "account %s", key)
	}
	if err != nil {
		return "", time.Time{}, fault.Wrap(fault.Invalid, err, "account %s", key)
	}
	if issued, err = check(key, string(data)); err != nil {
		return "", time.Time{}, fault.Wrap(fault.Invalid, err, "account %s, %d bytes", key, len(data))
	}
	return string(data), issued, nil
}

// keep writes the copy of an account's JWT, unless the copy is newer.
func (f *accountFiles) keep(key, token string) error {
	issued, err := check(key, token)
	if err != nil {
		return err
	}
	a := f.of(key)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.copied == token {
		return nil
	}
	// A damaged copy is replaced by any good JWT.
	if have, at, err := read(f.copies, key); err == nil && (have == token || at.After(issued)) {
		a.copied = have
		return nil
	}
	if err := atomicfile.Write(filepath.Join(f.copies, key+jwtSuffix), []byte(token)); err != nil {
		return err
	}
	a.copied = token
	return nil
}

// sync makes the resolver's file of an account durable, unless nothing has
// written it since it was, and returns the JWT in it.
func (f *accountFiles) sync(key string) (string, error) {
	return f.syncWith(key, func() error { return atomicfile.SyncDir(f.resolver) })
}

// syncWith is sync with another way to make the file's name durable.
func (f *accountFiles) syncWith(key string, syncDir func() error) (string, error) {
	a := f.of(key)
	a.mu.Lock()
	defer a.mu.Unlock()
	path := filepath.Join(f.resolver, key+jwtSuffix)
	if now, err := os.Stat(path); err == nil && a.as != nil && now.Size() == a.as.Size() && now.ModTime().Equal(a.as.ModTime()) {
		return a.synced, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	// Looked at before it is synced: what is written from here on has another time.
	as, err := file.Stat()
	if err != nil {
		return "", err
	}
	token, _, err := read(f.resolver, key)
	if err != nil {
		return "", err
	}
	if err := errors.Join(file.Sync(), syncDir()); err != nil {
		return "", err
	}
	a.synced, a.as = token, as
	return token, nil
}

// restore puts the copy in the place of the resolver's file, and returns the JWT
// in it.
func (f *accountFiles) restore(key string) (string, error) {
	token, _, err := read(f.copies, key)
	if err != nil {
		return "", err
	}
	return token, atomicfile.Write(filepath.Join(f.resolver, key+jwtSuffix), []byte(token))
}

// accountsIn returns the accounts that have a file in a folder.
func accountsIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if key, ok := strings.CutSuffix(e.Name(), jwtSuffix); ok && !strings.HasPrefix(key, ".") && !e.IsDir() {
			out = append(out, key)
		}
	}
	return out, nil
}
