package lab

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Damage changes a file of nodes behind their back, running or not.
type Damage struct {
	Who  Who
	File File
	How  How
}

// File is a kind of file below a node's data folder: patterns of which one match
// is chosen, the largest.
type File string

// What a node's server keeps. EVENTS and STATE are the tenant's.
const (
	EventsBlock  File = "jetstream/jetstream/*/streams/EVENTS/msgs/*.blk"
	EventsIndex  File = "jetstream/jetstream/*/streams/EVENTS/msgs/index.db"
	BulkBlock    File = "jetstream/jetstream/*/streams/METRICS/msgs/*.blk" // see Fill
	StateBlock   File = "jetstream/jetstream/*/streams/STATE/msgs/*.blk"
	Registry     File = "jetstream/jetstream/*/streams/KV_*/msgs/*.blk"
	RaftLog      File = "jetstream/jetstream/*/_js_/S-R3F-*/msgs/*.blk"
	RaftSnapshot File = "jetstream/jetstream/*/_js_/S-R3F-*/snapshots/*"
	ConsumerFile File = "jetstream/jetstream/*/streams/EVENTS/obs/" + application + "_*/o.dat"
	ConsumerLog  File = "jetstream/jetstream/*/_js_/C-R3F-*/msgs/*.blk"
	MetaLog      File = "jetstream/jetstream/*/_js_/_meta_/msgs/*.blk"
	MetaSnapshot File = "jetstream/jetstream/*/_js_/_meta_/snapshots/*"
)

// How a file is damaged.
type How string

// The ways.
const (
	Flip      How = "flip a bit in the middle of"
	FlipAhead How = "flip a bit ahead in" // of a consumer's file; see ahead
	Truncate  How = "cut half off"
	Remove    How = "remove"
)

// Do damages.
func (f Damage) Do(ctx context.Context, w *World) error {
	return w.each(ctx, f.Who, fmt.Sprintf("%s %s of", f.How, f.File), func(n string) error {
		path, size, err := largest(filepath.Join(w.DataDir(n), string(f.File)))
		if err != nil {
			return err
		}
		switch f.How {
		case Truncate:
			return os.Truncate(path, size/2)
		case Remove:
			return os.Remove(path)
		}
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer file.Close()
		at, bit, b := size/2, byte(1<<w.random.IntN(8)), make([]byte, 1)
		if f.How == FlipAhead {
			if at, bit, err = ahead(file); err != nil {
				return err
			}
		}
		if _, err := file.ReadAt(b, at); err != nil {
			return err
		}
		b[0] ^= bit
		if _, err := file.WriteAt(b, at); err != nil {
			return err
		}
		return file.Close()
	})
}

// ahead finds the bit of a consumer's file with which it says that far more was
// delivered than was: the file has no checksum. After two bytes it holds four numbers
// of seven bits a byte: consumer's and stream's sequence of what was acknowledged, and
// of what was delivered.
func ahead(file io.ReadSeeker) (at int64, bit byte, err error) {
	r := bufio.NewReader(file)
	if at, err = io.CopyN(io.Discard, r, 2); err != nil {
		return 0, 0, err
	}
	for number := 1; ; at++ {
		b, err := r.ReadByte()
		if err != nil {
			return 0, 0, err
		}
		if b >= 0x80 {
			continue // the number goes on
		}
		if number == 4 {
			for bit = 0x40; b&bit != 0; bit >>= 1 {
			}
			return at, bit, nil
		}
		number++
	}
}

// largest returns the largest file that matches.
func largest(pattern string) (path string, size int64, err error) {
	found, err := filepath.Glob(pattern)
	if err != nil {
		return "", 0, err
	}
	for _, p := range found {
		if info, err := os.Stat(p); err == nil && info.Size() > size {
			path, size = p, info.Size()
		}
	}
	if path == "" {
		return "", 0, fmt.Errorf("no file matches %s", pattern)
	}
	return path, size, nil
}

// judgeReplicas stops every node and reads what each has on its disk: all must hold
// every message that was acknowledged, and the same.
func (s *Set) judgeReplicas(w *World, v *Verdict) {
	w.sys.StopAll()
	for _, n := range w.sys.Nodes {
		q := newSequence(w)
		seen := false
		if err := storedEvents(w, n, func(entity string, number int) {
			seen = true
			q.add(entity, number)
		}); err != nil {
			v.find("%s: %v", n, err)
		}
		if !seen && len(s.acked) > 0 {
			v.find("%s holds nothing", n)
			continue
		}
		s.events(w, q, n+"'s replica", v)
	}
}

// idOf returns the message id in a stored header.
func idOf(header []byte) string {
	for line := range strings.SplitSeq(string(header), "\r\n") {
		if id, ok := strings.CutPrefix(line, "Nats-Msg-Id:"); ok {
			return strings.TrimSpace(id)
		}
	}
	return ""
}
