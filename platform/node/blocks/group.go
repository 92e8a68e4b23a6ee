package blocks

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// Group is the folder of a Raft group, and what it replicates.
type Group struct {
	Dir, Account, Stream string
	Consumer             string // "": the stream itself
}

// Groups returns the Raft groups of streams in a store. A stream has one, and any
// that it had before it was created again.
func Groups(store, key string) ([]Group, error) { return groups(store, key, "stream") }

// ConsumerGroups returns the Raft groups of consumers in a store.
func ConsumerGroups(store, key string) ([]Group, error) { return groups(store, key, "consumer") }

func groups(store, key, kind string) ([]Group, error) {
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
				Account  string `json:"account"`
				Stream   string `json:"stream"`
				Consumer string `json:"consumer"`
				Type     string `json:"type"`
			} `json:"metadata"`
		}
		if json.Unmarshal(data, &meta) == nil && meta.Metadata.Type == kind {
			m := meta.Metadata
			out = append(out, Group{dir, m.Account, m.Stream, m.Consumer})
		}
	}
	return out, nil
}

// Meta returns the Raft group of the cluster itself. system is the system account.
func Meta(store, system string) Group {
	return Group{Dir: filepath.Join(store, system, "_js_", "_meta_"), Account: system}
}

// State returns the file in which a consumer's replica keeps how far it is.
func (g Group) State(store string) string {
	return filepath.Join(store, g.Account, "streams", g.Stream, "obs", g.Consumer, "o.dat")
}

// Log reports whether a group has entries: a snapshot, or blocks of its log.
func (g Group) Log() (bool, error) {
	for _, pattern := range []string{filepath.Join("snapshots", "snap.*"), filepath.Join("msgs", "*.blk")} {
		found, err := filepath.Glob(filepath.Join(g.Dir, pattern))
		if err != nil || len(found) > 0 {
			return len(found) > 0, err
		}
	}
	return false, nil
}
