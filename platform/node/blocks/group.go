package blocks

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// Groups returns the folders of the Raft groups that replicate a stream: one, and
// any that the stream had before it was created again.
func Groups(store string, s Stream) ([]string, error) {
	dirs, err := filepath.Glob(filepath.Join(store, "*", "_js_", "*"))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, dir := range dirs {
		name := filepath.Base(dir)
		data, err := os.ReadFile(filepath.Join(dir, "meta.inf"))
		if err != nil {
			continue // no group
		}
		// A group's log is a store of its own, encrypted under its own name.
		data, ok, err := Stream{Dir: dir, Account: name, Name: name, Key: s.Key}.open(data)
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
		if json.Unmarshal(data, &meta) == nil && meta.Metadata.Type == "stream" && meta.Metadata.Account == s.Account && meta.Metadata.Stream == s.Name {
			out = append(out, dir)
		}
	}
	return out, nil
}
