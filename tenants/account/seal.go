package account

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"

	"midplane/fault"
)

// Sealer encrypts what must not be readable in the registry: AES-256-GCM under
// a key derived from the master key and bound to a context ("tenant/acme"), so
// that a sealed value cannot be moved to another place.
type Sealer struct{ master []byte }

// sealVersion is the first byte of a sealed value.
const sealVersion = 1

// NewMasterKey returns a new master key in its text form.
func NewMasterKey() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return base64.StdEncoding.EncodeToString(b)
}

// NewSealer reads a master key in its text form. The error never holds it.
func NewSealer(text string) (*Sealer, error) {
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(b) != 32 {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the master key is not 32 bytes in base64"), "make one with: openssl rand -base64 32")
	}
	return &Sealer{master: b}, nil
}

func (s *Sealer) aead(context string, salt []byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, s.master, salt, "midplane seal "+context, 32)
	if err != nil {
		return nil, fault.Wrap(fault.Other, err, "derive a key")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fault.Wrap(fault.Other, err, "cipher")
	}
	return cipher.NewGCM(block)
}

// Seal encrypts v as JSON.
func (s *Sealer) Seal(context string, v any) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "seal %s", context)
	}
	out := make([]byte, 1+16, 1+16+12+len(plain)+16)
	out[0] = sealVersion
	_, _ = rand.Read(out[1:17])
	gcm, err := s.aead(context, out[1:17])
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, gcm.NonceSize())
	_, _ = rand.Read(nonce)
	out = append(out, nonce...)
	return gcm.Seal(out, nonce, plain, []byte(context)), nil
}

// Open decrypts what Seal made for the same context. Another master key, or a
// changed byte, is Denied.
func (s *Sealer) Open(context string, sealed []byte, v any) error {
	if len(sealed) < 1+16+12+16 || sealed[0] != sealVersion {
		return fault.New(fault.Invalid, "sealed value of %s is cut or of an unknown version", context)
	}
	gcm, err := s.aead(context, sealed[1:17])
	if err != nil {
		return err
	}
	plain, err := gcm.Open(nil, sealed[17:29], sealed[29:], []byte(context))
	if err != nil {
		return fault.WithHint(fault.New(fault.Denied, "cannot unseal %s", context), "is this the master key that the deployment was made with?")
	}
	return fault.Wrap(fault.Invalid, json.Unmarshal(plain, v), "unsealed %s", context)
}
