package blocks

import (
	"errors"
	"io/fs"
	"strconv"
	"time"
)

// Message is one message of a replica. Its slices are valid during the call only.
type Message struct {
	Seq     uint64
	Time    time.Time
	Subject string
	Header  []byte
	Data    []byte
}

// Report is what a replica's blocks hold.
type Report struct {
	Messages uint64
	Bytes    uint64
	First    uint64 // 0: there is no message
	Last     uint64 // highest sequence that the blocks know, of a removed message too
	Deleted  uint64 // sequences between First and Last without a message
	Blocks   int
	Size     int64 // of all blocks' files
	Damage   []Damage
	// Torn says that the newest block ends inside a record: the server was
	// stopped, or is writing. It replays such messages from its Raft log.
	Torn bool
	// Encrypted says that nothing could be verified: the store's key is not known.
	Encrypted bool
}

// Whole reports whether no damage was found.
func (r Report) Whole() bool { return len(r.Damage) == 0 }

// Read reads a whole replica. take, if it is not nil, gets each message that the
// replica holds, in order of sequence.
func Read(s Stream, take func(Message)) (Report, error) {
	var out Report
	cfg, ok, err := s.config()
	if err != nil || !ok {
		out.Encrypted = !ok
		return out, err
	}
	// What is removed has its record in an earlier block, and one that is newer
	// on the same subject may come much later: so twice.
	gone := map[uint64]bool{}
	newest := map[string][]uint64{}
	err = s.walk(cfg, &out, func(r record) {
		switch {
		case r.tomb:
			gone[r.seq] = true
		case !r.erased && cfg.PerSubject > 0:
			subject := string(r.subj)
			held := append(newest[subject], r.seq)
			if int64(len(held)) > cfg.PerSubject {
				gone[held[0]] = true
				held = held[1:]
			}
			newest[subject] = held
		}
	})
	if err != nil || out.Encrypted {
		return out, err
	}
	count := func(r record) {
		if r.tomb || r.erased || gone[r.seq] {
			return
		}
		if out.First == 0 {
			out.First = r.seq
		}
		out.Messages++
		out.Bytes += uint64(r.size)
		if take != nil {
			take(Message{Seq: r.seq, Time: time.Unix(0, r.time), Subject: string(r.subj), Header: r.header, Data: r.data})
		}
	}
	if err := s.walk(cfg, &Report{}, count); err != nil {
		return out, err
	}
	if out.First > 0 && out.Last >= out.First {
		out.Deleted = out.Last - out.First + 1 - out.Messages
	}
	return out, nil
}

// gapless reports whether the messages of a stream leave it from the front only:
// then a missing sequence is damage.
func (c config) gapless() bool {
	return c.DenyDelete && c.PerSubject <= 0 && !c.TTL
}

// walk reads all blocks in order and notes in out what they are.
func (s Stream) walk(cfg config, out *Report, take func(record)) error {
	numbers, err := s.list()
	if err != nil {
		return err
	}
	var last uint64
	for i, number := range numbers {
		b, err := s.readBlock(number, last, cfg.gapless(), take)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // trimmed meanwhile
		case errors.Is(err, errKeyNeeded):
			out.Encrypted = true
			return nil
		case err != nil:
			return err
		}
		last = out.add(b, last, i == len(numbers)-1, cfg.gapless())
	}
	return nil
}

// add adds one block and returns the highest sequence so far.
func (r *Report) add(b Block, last uint64, newest, gapless bool) uint64 {
	r.Blocks++
	r.Size += b.Size
	r.close(b.First)
	r.Damage = append(r.Damage, b.Damage...)
	switch {
	case b.Torn && newest:
		r.Torn = true
	case b.Size == 0 && !newest && gapless: // of others one may be left that was compacted
		r.Damage = append(r.Damage, Damage{Block: strconv.Itoa(b.Number) + ".blk", What: "the block is empty", From: last + 1})
	case b.Torn:
		r.Damage = append(r.Damage, Damage{Block: strconv.Itoa(b.Number) + ".blk", Offset: b.Size, What: "the block ends inside a record", From: max(last, b.Last) + 1})
	}
	r.Last = max(r.Last, b.Known)
	return max(last, b.Last)
}

// close says of a damaged end of the block before where it ends: before first.
func (r *Report) close(first uint64) {
	if n := len(r.Damage); n > 0 && r.Damage[n-1].To == 0 && first > 0 {
		r.Damage[n-1].To = first - 1
	}
}
