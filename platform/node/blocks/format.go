// Package blocks reads the files in which a server keeps its replica of a
// stream, without a server: which messages they hold, and where they are damaged.
// It only reads, so it may look at the files of a running server: what the server
// is just writing shows as an unfinished end of the newest block.
package blocks

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"strconv"

	"github.com/minio/highwayhash"
)

// A block is a sequence of records (little endian):
//
//	length(4) sequence(8) time(8) length of subject(2) subject [length of header(4) header] data checksum(8)
//
// The checksum does not cover the lengths of subject and header: a flipped bit
// there can move the end of a subject in a record without header, unseen. Only a
// comparison with another replica finds that.
//
// The highest bit of the length says that there is a header. The highest bit of
// the sequence marks a record whose message was erased, the next one a tombstone:
// it says that the message of an earlier record was removed. The checksum is over
// sequence, time, subject, header and data, with a key made from the names of the
// stream and the block.
const (
	headSize     = 22
	checksumSize = 8
	maxRecord    = 32 << 20

	headerBit = 1 << 31
	erasedBit = 1 << 63
	tombBit   = 1 << 62
)

// record is one record; its slices point into the block.
type record struct {
	seq    uint64 // without its bits
	time   int64  // nanoseconds
	erased bool
	tomb   bool
	size   int
	subj   []byte
	header []byte
	data   []byte
}

// checker checks the records of one block.
type checker struct{ h hash.Hash }

func newChecker(stream string, block int) (checker, error) {
	key := sha256.Sum256([]byte(stream + "-" + strconv.Itoa(block)))
	h, err := highwayhash.New64(key[:])
	return checker{h: h}, err
}

// record reads the record at the beginning of buf. why is what is wrong with it;
// short means that buf ends before the record does.
func (c checker) record(buf []byte) (r record, why string, short bool) {
	if len(buf) < headSize {
		return r, "the block ends inside a record", true
	}
	le := binary.LittleEndian
	length := le.Uint32(buf)
	withHeader := length&headerBit != 0
	size := int(length &^ headerBit)
	subject := int(le.Uint16(buf[20:]))
	fixed := headSize + subject
	if withHeader {
		fixed += 4
	}
	if size > maxRecord || size < fixed+checksumSize {
		return r, "the length of a record is impossible", false
	}
	if size > len(buf) {
		return r, "the block ends inside a record", true
	}
	body, sum := buf[fixed:size-checksumSize], buf[size-checksumSize:size]
	c.h.Reset()
	_, _ = c.h.Write(buf[4:20]) // a hash does not fail
	_, _ = c.h.Write(buf[headSize : headSize+subject])
	_, _ = c.h.Write(body)
	var have [checksumSize]byte
	if !bytes.Equal(c.h.Sum(have[:0]), sum) {
		return r, "the checksum of a record is wrong", false
	}
	r = record{seq: le.Uint64(buf[4:]), time: int64(le.Uint64(buf[12:])), size: size, subj: buf[headSize : headSize+subject], data: body}
	r.erased, r.tomb = r.seq&erasedBit != 0, r.seq&tombBit != 0
	r.seq &^= erasedBit | tombBit
	// Nor does the checksum know where the subject ends when there is no header.
	if bytes.ContainsFunc(r.subj, func(c rune) bool { return c <= ' ' || c == 0x7f }) && !r.erased {
		return r, "a subject is impossible", false
	}
	if withHeader {
		// The checksum does not cover this length, so what it says is held against
		// how a header begins and ends.
		n := int(le.Uint32(buf[fixed-4:]))
		if n > len(body) || !bytes.HasPrefix(body[:n], []byte("NATS/1.0")) || !bytes.HasSuffix(body[:n], []byte("\r\n\r\n")) {
			return r, "the length of a header is wrong", false
		}
		r.header, r.data = body[:n], body[n:]
	}
	return r, "", false
}

// next returns the offset of the first whole record behind offset, or the end of buf.
func (c checker) next(buf []byte, offset int, after uint64) int {
	for at := offset + 1; at+headSize+checksumSize <= len(buf); at++ {
		seq := binary.LittleEndian.Uint64(buf[at+4:]) &^ (erasedBit | tombBit)
		// Cheap first: a sequence that can follow here.
		if seq <= after || seq > after+plausible {
			continue
		}
		if _, why, _ := c.record(buf[at:]); why == "" {
			return at
		}
	}
	return len(buf)
}

// plausible is how far the sequence behind a damaged place may be from the one
// before it.
const plausible = 1 << 24
