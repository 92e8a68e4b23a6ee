package blocks

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// Group is the folder of a Raft group, and the stream that it replicates.
type Group struct {
	Dir, Account, Stream string
}

// Groups returns the Raft groups of streams in a store. A stream has one, and any
// that it had before it was created again.
func Groups(store, key string) ([]Group, error) {
	dirs, err := filepath.Glob(filepath.Join(store, "*", "_js_", "*"))
	if err != nil {
		return nil, err
	}
	var out []Group
	for _, dir := range dirs {
		name := filepath.Base(dir)
		data, err := os.ReadFile(filepath.Join(dir, "meta.inf"))
		if err != nil {
			continue // no group
		}
		// A group's log is a store of its own, encrypted under its own name.
		data, ok, err := Stream{Dir: dir, Account: name, Name: name, Key: key}.open(data)
		if err != nil || !ok {
			continue
		}
		var meta struct {
			Metadata struct {
				Account string `json:"account"`
				Stream  string `json:"stream"`
				Type    string `json:"type"`
			} `json:"metadata"`
		}
		if json.Unmarshal(data, &meta) == nil && meta.Metadata.Type == "stream" {
			out = append(out, Group{dir, meta.Metadata.Account, meta.Metadata.Stream})
		}
	}
	return out, nil
}
