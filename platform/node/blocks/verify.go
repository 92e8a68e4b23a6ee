package blocks

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Mark is what a block was when it was found whole.
type Mark struct {
	Size    int64  `json:"size"`
	ModTime int64  `json:"modTime"`
	First   uint64 `json:"first"` // sequences of its records; 0: it has none
	Last    uint64 `json:"last"`
	Known   uint64 `json:"known"` // highest sequence that it knows of
}

// Marks are the blocks of a replica that were found whole, by number.
type Marks map[int]Mark

// Verified is what was found of a replica.
type Verified struct {
	Report
	Read int64 // bytes that were read; the rest is as it was when it was marked
	// Behind says that the server's own note knows of later messages than the
	// blocks hold: a server that starts with this note takes them for deleted.
	Behind bool
	Marks  Marks // of the blocks that are whole now
	Ended  error // what Pause returned
}

// Scope is what of a replica is read.
type Scope struct {
	Known  Marks // blocks that are passed over while they are as they were
	Sealed bool  // not the newest block, to which a running server appends
	// Pause is called after each block with the bytes that were read; an error ends
	// the reading.
	Pause func(int64) error
	// Running is how long is waited before damage is looked at again, because a
	// server writes the files. 0: none does.
	Running time.Duration
}

// lookings is how often damage is looked at until it is the same twice.
const lookings = 5

// Verify checks the records of a replica. Messages, Bytes and Deleted are not
// counted. What cannot be read is damage. A running server appends to blocks, replaces
// and removes them while they are read, also between two blocks of one reading, and on
// a busy machine it may stand still in the middle of that: so damage counts when it is
// found in the same place again some time later.
func Verify(s Stream, of Scope) Verified {
	v := verify(s, of)
	for range lookings {
		if v.Whole() || v.Ended != nil || of.Running == 0 {
			return v
		}
		time.Sleep(of.Running)
		was := v.Damage
		if v = verify(s, of); v.Ended != nil {
			return v
		}
		lasting := slices.DeleteFunc(slices.Clone(v.Damage), func(d Damage) bool { return !slices.Contains(was, d) })
		if len(lasting) > 0 {
			v.Damage = lasting
			return v
		}
	}
	v.Damage = nil // never the same: the server is at work, and the next reading tells
	return v
}

func verify(s Stream, of Scope) Verified {
	v := Verified{Marks: Marks{}}
	unreadable := func(err error) Verified {
		v.Damage = append(v.Damage, Damage{What: err.Error(), From: 1})
		return v
	}
	noted := uint64(0)
	if !of.Sealed {
		noted = s.indexed()
	}
	cfg, ok, err := s.config()
	if !ok && err == nil {
		v.Encrypted = true
		return v
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return unreadable(err)
	}
	numbers, err := s.list()
	if err != nil {
		return unreadable(err)
	}
	var last uint64
	for i, number := range numbers {
		b, marked := marked(s, number, of.Known)
		if of.Sealed && i == len(numbers)-1 {
			if marked {
				v.Marks[number] = of.Known[number]
			}
			break
		}
		if !marked {
			b, err = s.readBlock(number, last, cfg.gapless(), func(record) {})
		}
		switch {
		case err == nil:
		case errors.Is(err, fs.ErrNotExist):
			err = nil
			continue // trimmed meanwhile
		case errors.Is(err, errKeyNeeded):
			v.Encrypted = true
			return v
		default:
			return unreadable(err)
		}
		if marked && cfg.gapless() && last > 0 && b.First > last+1 {
			b.Damage = []Damage{{What: "a block, or the end of one, is missing", From: last + 1, To: b.First - 1}}
		}
		if !marked {
			v.Read += b.Size
			if of.Pause != nil {
				if v.Ended = of.Pause(b.Size); v.Ended != nil {
					return v
				}
			}
		}
		if len(b.Damage) == 0 && !b.Torn {
			v.Marks[number] = Mark{Size: b.Size, ModTime: b.ModTime, First: b.First, Last: b.Last, Known: b.Known}
		}
		last = v.add(b, last, i == len(numbers)-1, cfg.gapless())
	}
	v.Behind = noted > v.Last
	return v
}

// marked returns a block that is as it was when it was marked.
func marked(s Stream, number int, known Marks) (Block, bool) {
	m, ok := known[number]
	if !ok {
		return Block{}, false
	}
	info, err := os.Stat(s.block(number))
	if err != nil || info.Size() != m.Size || info.ModTime().UnixNano() != m.ModTime {
		return Block{}, false
	}
	return Block{Number: number, Size: m.Size, ModTime: m.ModTime, First: m.First, Last: m.Last, Known: m.Known}, true
}

// Forget removes the server's own note of what the replica holds. The server
// reads the blocks instead when it starts.
func (s Stream) Forget() error {
	err := os.Remove(filepath.Join(s.messages(), "index.db"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
