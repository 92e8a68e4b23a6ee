package blocks

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/minio/highwayhash"

	"midplane/fault"
)

// Stream is a replica of a stream on this machine.
type Stream struct {
	Dir     string // the folder of the stream
	Account string // public key
	Name    string
	Key     string // with which the store is encrypted; "": not known, or it is not
}

func (s Stream) messages() string { return filepath.Join(s.Dir, "msgs") }

func (s Stream) block(number int) string {
	return filepath.Join(s.messages(), strconv.Itoa(number)+".blk")
}

// Find returns all replicas of streams in a store: <store>/<account>/streams/<name>.
func Find(store, key string) ([]Stream, error) {
	dirs, err := filepath.Glob(filepath.Join(store, "*", "streams", "*"))
	if err != nil {
		return nil, err
	}
	var out []Stream
	for _, dir := range dirs {
		account := filepath.Base(filepath.Dir(filepath.Dir(dir)))
		if info, err := os.Stat(dir); err != nil || !info.IsDir() || strings.HasPrefix(account, "$") {
			continue // the server's own folders are named $…
		}
		out = append(out, Stream{Dir: dir, Account: account, Name: filepath.Base(dir), Key: key})
	}
	return out, nil
}

// config is what of a stream's configuration says which messages may be gone
// without a trace.
type config struct {
	Name       string `json:"name"`
	PerSubject int64  `json:"max_msgs_per_subject"`
	MaxAge     int64  `json:"max_age"`
	TTL        bool   `json:"allow_msg_ttl"`
	DenyDelete bool   `json:"deny_delete"`
}

// config reads the stream's configuration. ok is false when it is encrypted and
// the store's key is not known.
func (s Stream) config() (c config, ok bool, err error) {
	data, err := os.ReadFile(filepath.Join(s.Dir, "meta.inf"))
	if err != nil {
		return c, true, err
	}
	if data, ok, err = s.open(data); err != nil || !ok {
		return c, ok, err
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, true, fault.Wrap(fault.Invalid, err, "meta.inf of stream %s", s.Name)
	}
	return c, true, nil
}

// indexed returns the last sequence of which the server wrote a note (index.db)
// when it last looked; 0 when there is no such note, or none that can be read.
func (s Stream) indexed() uint64 {
	data, err := os.ReadFile(filepath.Join(s.messages(), "index.db"))
	if err != nil || len(data) < 32 {
		return 0
	}
	body, sum := data[:len(data)-checksumSize], data[len(data)-checksumSize:]
	key := sha256.Sum256([]byte(s.Name))
	h, err := highwayhash.New64(key[:])
	if err != nil {
		return 0
	}
	_, _ = h.Write(body) // a hash does not fail
	if !bytes.Equal(h.Sum(nil), sum) {
		return 0
	}
	if opened, ok, err := s.open(body); err == nil && ok {
		body = opened
	} else {
		return 0
	}
	const magic = 11
	if len(body) < 2 || body[0] != magic {
		return 0
	}
	// magic, version, then messages, bytes, first sequence, its time, last sequence
	rest := body[2:]
	var last uint64
	for range 5 { // a signed number is as long as an unsigned one
		v, n := binary.Uvarint(rest)
		if n <= 0 {
			return 0
		}
		last, rest = v, rest[n:]
	}
	return last
}

// list returns the numbers of the stream's blocks in their order.
func (s Stream) list() ([]int, error) {
	entries, err := os.ReadDir(s.messages())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []int
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".blk"); ok {
			if n, err := strconv.Atoi(name); err == nil {
				out = append(out, n)
			}
		}
	}
	slices.Sort(out)
	return out, nil
}
