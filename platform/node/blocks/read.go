package blocks

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/s2"
)

// Damage is a place at which a block is not what the server wrote.
type Damage struct {
	Block  string // "3.blk"; "" when a whole range is missing between records
	Offset int64
	What   string
	// From and To are the sequences of which messages may be lost here; To is 0
	// when everything from From on may be.
	From, To uint64
}

func (d Damage) String() string {
	where := "between the blocks"
	if d.Block != "" {
		where = fmt.Sprintf("%s at %d", d.Block, d.Offset)
	}
	if d.To == 0 {
		return fmt.Sprintf("%s: %s, sequences from %d on", where, d.What, d.From)
	}
	return fmt.Sprintf("%s: %s, sequences %d to %d", where, d.What, d.From, d.To)
}

// Block is what one block holds.
type Block struct {
	Number  int
	Size    int64
	ModTime int64  // nanoseconds
	First   uint64 // of its records, erased ones too; 0: it has none
	Last    uint64
	Known   uint64 // highest sequence that it knows of, of a removed message too
	Damage  []Damage
	Torn    bool // it ends inside a record: normal for the newest block
}

// errKeyNeeded says that a block is encrypted and cannot be verified without the
// store's key.
var errKeyNeeded = errors.New("the block is encrypted, and the store's key is not known")

// readBlock reads one block and gives each good record to take. last is the
// highest sequence of the blocks before. fs.ErrNotExist when the server has
// removed the block.
func (s Stream) readBlock(number int, last uint64, gapless bool, take func(record)) (Block, error) {
	b := Block{Number: number}
	path := s.block(number)
	file, err := os.Open(path)
	if err != nil {
		return b, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return b, err
	}
	b.Size, b.ModTime = info.Size(), info.ModTime().UnixNano()
	buf := make([]byte, b.Size)
	n, err := io.ReadFull(file, buf)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		// The disk does not give it: that is damage, too.
		b.Damage = append(b.Damage, Damage{Block: filepath.Base(path), Offset: int64(n), What: err.Error(), From: last + 1})
	}
	buf = buf[:n]
	buf, ok, err := s.plain(number, buf)
	switch {
	case !ok && err == nil:
		return b, errKeyNeeded
	case err != nil && errors.Is(err, fs.ErrNotExist):
		return b, err
	case err != nil:
		b.Damage = append(b.Damage, Damage{Block: filepath.Base(path), What: err.Error(), From: last + 1})
		return b, nil
	}
	if buf, err = decompress(buf); err != nil {
		b.Damage = append(b.Damage, Damage{Block: filepath.Base(path), What: "it cannot be decompressed: " + err.Error(), From: last + 1})
		return b, nil
	}
	check, err := newChecker(s.Name, number)
	if err != nil {
		return b, err
	}
	b.parse(filepath.Base(path), buf, check, last, gapless, take)
	return b, nil
}

// parse walks over the records of a block.
func (b *Block) parse(name string, buf []byte, check checker, last uint64, gapless bool, take func(record)) {
	var open *Damage // a damaged place whose end is not known yet
	for at := 0; at < len(buf); {
		r, why, short := check.record(buf[at:])
		if why != "" {
			next := check.next(buf, at, last)
			if short && next == len(buf) {
				b.Torn = true
				return
			}
			if open == nil {
				b.Damage = append(b.Damage, Damage{Block: name, Offset: int64(at), What: why, From: last + 1})
				open = &b.Damage[len(b.Damage)-1]
			}
			at = next
			continue
		}
		at += r.size
		b.Known = max(b.Known, r.seq)
		if r.tomb {
			take(r)
			continue
		}
		if r.seq == 0 || r.seq <= last {
			continue // the server passes over it as well
		}
		switch {
		case open != nil:
			open.To, open = r.seq-1, nil
		case gapless && last > 0 && r.seq > last+1:
			d := Damage{Offset: int64(at - r.size), Block: name, What: "messages are missing before this record", From: last + 1, To: r.seq - 1}
			b.Damage = append(b.Damage, d)
		}
		if b.First == 0 {
			b.First = r.seq
		}
		last, b.Last = r.seq, r.seq
		take(r)
	}
}

// decompress returns a block as it was before the server compressed it.
func decompress(buf []byte) ([]byte, error) {
	const s2Algorithm = 1
	if len(buf) < 5+checksumSize || !bytes.HasPrefix(buf, []byte{'c', 'm', 'p', s2Algorithm}) {
		return buf, nil
	}
	_, n := binary.Uvarint(buf[4:]) // its size before
	if n <= 0 {
		return nil, io.ErrUnexpectedEOF
	}
	body := buf[4+n:]
	if len(body) < checksumSize {
		return nil, io.ErrUnexpectedEOF
	}
	out, err := io.ReadAll(s2.NewReader(bytes.NewReader(body[:len(body)-checksumSize])))
	return append(out, body[len(body)-checksumSize:]...), err
}
