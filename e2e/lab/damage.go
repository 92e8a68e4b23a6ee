package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"midplane/platform/node/blocks"
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
	StateBlock   File = "jetstream/jetstream/*/streams/STATE/msgs/*.blk"
	Registry     File = "jetstream/jetstream/*/streams/KV_*/msgs/*.blk"
	RaftLog      File = "jetstream/jetstream/*/_js_/S-R3F-*/msgs/*.blk"
	RaftSnapshot File = "jetstream/jetstream/*/_js_/S-R3F-*/snapshots/*"
	MetaLog      File = "jetstream/jetstream/*/_js_/_meta_/msgs/*.blk"
)

// How a file is damaged.
type How string

// The ways.
const (
	Flip     How = "flip a bit in the middle of"
	Truncate How = "cut half off"
	Remove   How = "remove"
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
		at, b := size/2, make([]byte, 1)
		if _, err := file.ReadAt(b, at); err != nil {
			return err
		}
		b[0] ^= 1 << w.random.IntN(8)
		if _, err := file.WriteAt(b, at); err != nil {
			return err
		}
		return file.Close()
	})
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
		found, err := blocks.Find(filepath.Join(w.DataDir(n), "jetstream", "jetstream"), "")
		if err != nil {
			v.find("%s: %v", n, err)
			continue
		}
		q := newSequence()
		q.gaps = w.back
		seen := false
		for _, r := range found {
			if r.Name != "EVENTS" {
				continue
			}
			report, err := blocks.Read(r, func(m blocks.Message) {
				if entity, number, ok := parseID(idOf(m.Header)); ok {
					seen = true
					q.add(entity, number)
				}
			})
			switch {
			case err != nil:
				v.find("%s: %s: %v", n, r.Name, err)
			case !report.Whole():
				v.find("%s: %s: %v", n, r.Name, report.Damage)
			}
		}
		if !seen && len(s.acked) > 0 {
			v.find("%s holds nothing", n)
			continue
		}
		s.events(q, n+"'s replica", v)
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
