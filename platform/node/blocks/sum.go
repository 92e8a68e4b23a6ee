package blocks

import (
	"encoding/binary"
	"errors"
	"io/fs"

	"github.com/minio/highwayhash"
)

// Sum is a hash over what a replica holds in a range of sequences: sequence,
// subject, header and data of each message. Two replicas with the same messages
// have the same, however their blocks are cut.
type Sum struct {
	Messages uint64
	Hash     uint64
	Read     int64 // bytes that were read
}

// sumKey is any key: it must be the same on all nodes and in all versions.
var sumKey = []byte("midplane, what a replica holds: ")

// add adds a message. The order does not matter, so that a replica may be read in
// parts.
func (s *Sum) add(seq uint64, subject, header, data []byte) error {
	h, err := highwayhash.New64(sumKey)
	if err != nil {
		return err
	}
	var n [8]byte
	for _, part := range [][]byte{subject, header, data} {
		// The length keeps the end of one part from counting as the start of the next.
		binary.LittleEndian.PutUint64(n[:], uint64(len(part)))
		_, _ = h.Write(n[:]) // a hash does not fail
		_, _ = h.Write(part)
	}
	binary.LittleEndian.PutUint64(n[:], seq)
	_, _ = h.Write(n[:])
	s.Messages++
	s.Hash += h.Sum64()
	return nil
}

// SumRange returns the sum of the messages from to to, of a stream whose messages
// leave it from the front only. Blocks that are known to have none of them are not
// read. ok is false when the range cannot be read whole, or the stream is another.
func SumRange(s Stream, known Marks, from, to uint64) (sum Sum, ok bool, err error) {
	cfg, ok, err := s.config()
	if err != nil || !ok || !cfg.gapless() {
		return sum, false, err
	}
	numbers, err := s.list()
	if err != nil {
		return sum, false, err
	}
	var last uint64
	var failed error
	whole := true
	for _, number := range numbers {
		if b, marked := marked(s, number, known); marked && (b.Last < from || b.First > to) {
			last = max(last, b.Last)
			continue
		}
		b, err := s.readBlock(number, last, true, func(r record) {
			if !r.tomb && !r.erased && r.seq >= from && r.seq <= to {
				failed = errors.Join(failed, sum.add(r.seq, r.subj, r.header, r.data))
			}
		})
		if errors.Is(err, fs.ErrNotExist) {
			continue // trimmed meanwhile
		}
		if err != nil {
			return sum, false, err
		}
		sum.Read += b.Size
		whole = whole && len(b.Damage) == 0
		last = max(last, b.Last)
		if last >= to {
			break
		}
	}
	return sum, whole && last >= to && failed == nil, failed
}

// SumAll returns the sum of all messages of a replica. ok is false when it is
// damaged or cannot be read.
func SumAll(s Stream) (sum Sum, ok bool, err error) {
	var failed error
	r, err := Read(s, func(m Message) {
		failed = errors.Join(failed, sum.add(m.Seq, []byte(m.Subject), m.Header, m.Data))
	})
	sum.Read = r.Size
	return sum, err == nil && failed == nil && r.Whole() && !r.Encrypted, errors.Join(err, failed)
}
