package channel

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/nats-io/nkeys"

	"midplane/api"
	"midplane/fault"
	"midplane/internal/atomicfile"
)

// secretsFile keeps what the control plane has delivered, sealed.
const secretsFile = "secrets.sealed"

// secretStore holds the secrets that the configuration refers to: in memory, and on
// disk sealed with a key that is derived from the poller's own, so that a
// poller that starts without the control plane can do its work.
type secretStore struct {
	path string
	key  func() (nkeys.KeyPair, error) // the poller's own

	mu      sync.Mutex
	values  map[string]string
	version string   // of values, as the control plane names it
	wanted  []string // names that the configuration refers to
}

// kept is what is sealed on disk.
type kept struct {
	Version string            `json:"version"`
	Values  map[string]string `json:"values"`
}

func newSecretStore(dir string, key func() (nkeys.KeyPair, error)) *secretStore {
	return &secretStore{path: filepath.Join(dir, secretsFile), key: key}
}

// secret returns a value. No error holds one.
func (s *secretStore) secret(name string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if value, ok := s.values[name]; ok {
		return value, nil
	}
	return "", fault.WithHint(fault.New(fault.NotFound, "secret:%s is not set, or has not been delivered yet", name),
		"set it with: midplane secret set TENANT/%s", name)
}

// want notes what the configuration refers to and lets go of the rest.
func (s *secretStore) want(names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted = names
	if len(names) == 0 && (s.version != "" || s.values != nil) {
		s.values, s.version = nil, ""
		_ = os.Remove(s.path) // what is left there is sealed
	}
}

// have is the version held.
func (s *secretStore) have() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version
}

// problem names what is referred to and not there.
func (s *secretStore) problem() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var missing []string
	for _, name := range s.wanted {
		if _, ok := s.values[name]; !ok {
			missing = append(missing, api.SecretPrefix+name)
		}
	}
	if len(missing) == 0 {
		return ""
	}
	if len(missing) > 5 {
		missing = append(missing[:5], "and others")
	}
	return "not set: " + strings.Join(missing, ", ")
}

// take replaces what is held and keeps it on disk. An error says that the
// latter failed.
func (s *secretStore) take(version string, values map[string]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values, s.version = maps.Clone(values), version
	plain, err := json.Marshal(kept{Version: version, Values: values})
	if err != nil {
		return fault.Wrap(fault.Other, err, "encode secrets")
	}
	defer clear(plain)
	gcm, err := s.cipher()
	if err != nil {
		return err
	}
	nonce := make([]byte, gcm.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	return atomicfile.Write(s.path, gcm.Seal(nonce, nonce, plain, []byte(secretsFile)))
}

// restore reads what was kept. What cannot be opened is as good as nothing:
// the control plane has it.
func (s *secretStore) restore() error {
	data, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault.Wrap(fault.Other, err, "secrets")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	gcm, err := s.cipher()
	if err != nil {
		return err
	}
	n := gcm.NonceSize()
	if len(data) < n {
		return fault.New(fault.Invalid, "%s is cut", s.path)
	}
	plain, err := gcm.Open(nil, data[:n], data[n:], []byte(secretsFile))
	if err != nil {
		return fault.New(fault.Denied, "%s was not sealed with this poller's key, or is damaged", s.path)
	}
	defer clear(plain)
	var k kept
	if json.Unmarshal(plain, &k) != nil { // its error could quote the content
		return fault.New(fault.Invalid, "%s holds something else", s.path)
	}
	s.values, s.version = k.Values, k.Version
	return nil
}

// cipher derives the key of the file from the poller's own.
func (s *secretStore) cipher() (cipher.AEAD, error) {
	own, err := s.key()
	if err != nil {
		return nil, err
	}
	defer own.Wipe()
	seed, err := own.Seed()
	if err != nil {
		return nil, fault.New(fault.Other, "the poller's key has no seed")
	}
	defer clear(seed)
	key, err := hkdf.Key(sha256.New, seed, nil, "midplane poller secrets", 32)
	if err != nil {
		return nil, fault.Wrap(fault.Other, err, "derive a key")
	}
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fault.Wrap(fault.Other, err, "cipher")
	}
	return cipher.NewGCM(block)
}

// envelope makes the curve key of one request: its public part is sent, and
// open reads the answer.
func envelope() (public string, open func(sender string, sealed []byte, into any) error, err error) {
	key, err := nkeys.CreateCurveKeys()
	if err == nil {
		public, err = key.PublicKey()
	}
	if err != nil {
		return "", nil, fault.Wrap(fault.Other, err, "make a curve key")
	}
	return public, func(sender string, sealed []byte, into any) error {
		defer key.Wipe()
		plain, err := key.Open(sealed, sender)
		if err != nil {
			return fault.New(fault.Invalid, "the answer is not sealed for this request")
		}
		defer clear(plain)
		if json.Unmarshal(plain, into) != nil { // its error could quote the content
			return fault.New(fault.Invalid, "the answer holds something else")
		}
		return nil
	}, nil
}
