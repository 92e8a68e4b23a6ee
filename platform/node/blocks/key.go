package blocks

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/crypto/chacha20"
	"golang.org/x/crypto/chacha20poly1305"

	"midplane/fault"
)

// The server encrypts with a key per file, which it keeps in a file beside it,
// sealed with a key that it makes from the store's key and the names of account,
// stream and block.

// unseal returns the key and the nonce of a key file.
func unseal(storeKey, account, context string, sealed []byte) (key, nonce []byte, err error) {
	mac := hmac.New(sha256.New, []byte(storeKey))
	_, _ = mac.Write([]byte(account + context)) // a hash does not fail
	aead, err := chacha20poly1305.NewX(mac.Sum(nil))
	if err != nil {
		return nil, nil, err
	}
	if len(sealed) < aead.NonceSize() {
		return nil, nil, fault.New(fault.Invalid, "the file is too short")
	}
	nonce = sealed[:aead.NonceSize()]
	key, err = aead.Open(nil, nonce, sealed[aead.NonceSize():], nil)
	return key, nonce, err
}

// plain returns a block as it was before it was encrypted. ok is false when it is
// encrypted and the store's key is not known.
func (s Stream) plain(block int, buf []byte) (out []byte, ok bool, err error) {
	sealed, err := os.ReadFile(filepath.Join(s.messages(), strconv.Itoa(block)+".key"))
	if errors.Is(err, fs.ErrNotExist) {
		return buf, true, nil
	}
	if err != nil || s.Key == "" {
		return nil, false, err
	}
	key, nonce, err := unseal(s.Key, s.Account, s.Name+":"+strconv.Itoa(block), sealed)
	if err != nil {
		return nil, true, fault.Wrap(fault.Invalid, err, "key of block %d", block)
	}
	stream, err := chacha20.NewUnauthenticatedCipher(key, nonce)
	if err != nil {
		return nil, true, err
	}
	stream.XORKeyStream(buf, buf)
	return buf, true, nil
}

// open returns the content of one of the stream's own files. ok is false when it
// is encrypted and the store's key is not known.
func (s Stream) open(data []byte) (out []byte, ok bool, err error) {
	sealed, err := os.ReadFile(filepath.Join(s.Dir, "meta.key"))
	if errors.Is(err, fs.ErrNotExist) {
		return data, true, nil
	}
	if err != nil || s.Key == "" {
		return nil, false, err
	}
	key, _, err := unseal(s.Key, s.Account, s.Name, sealed)
	if err != nil {
		return nil, true, err
	}
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, true, err
	}
	if len(data) < aead.NonceSize() {
		return nil, true, fault.New(fault.Invalid, "the file is too short")
	}
	out, err = aead.Open(nil, data[:aead.NonceSize()], data[aead.NonceSize():], nil)
	return out, true, err
}
