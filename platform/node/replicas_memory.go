package node

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"

	"midplane/api"
	"midplane/internal/atomicfile"
	"midplane/platform/node/blocks"
)

const memoryFile = "replicas.json"

// memory is what a node keeps of its replicas from one start to the next, by
// account and stream.
type memory struct {
	path string

	// Marks are the blocks that were found whole.
	Marks map[string]blocks.Marks `json:"marks"`
	// Removing are replicas whose removal has begun; it is ended before the next
	// start.
	Removing []api.ReplicaRef `json:"removing,omitempty"`
}

// load reads the file. One that is missing or damaged is the same as none: then
// everything is read before the start.
func (m *memory) load() error {
	data, err := os.ReadFile(m.path)
	if err == nil {
		err = json.Unmarshal(data, m)
	}
	if err != nil {
		m.Marks, m.Removing = nil, nil
	}
	if m.Marks == nil {
		m.Marks = map[string]blocks.Marks{}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// save writes the file, durably.
func (m *memory) save() error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return atomicfile.Write(m.path, data)
}

// mark notes the blocks of a replica that are whole, and reports whether that is
// news.
func (m *memory) mark(ref api.ReplicaRef, marks blocks.Marks) bool {
	if maps.Equal(m.Marks[ref.String()], marks) {
		return false
	}
	m.Marks[ref.String()] = marks
	return true
}

// keep forgets what is not in a set of streams any more, and reports whether
// there was something.
func (m *memory) keep(there map[string]bool) bool {
	before := len(m.Marks)
	maps.DeleteFunc(m.Marks, func(k string, _ blocks.Marks) bool { return !there[k] })
	return before != len(m.Marks)
}
