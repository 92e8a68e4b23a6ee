package schemas

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"midplane/event"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// nextMajor names the next major version of t: net.ping.v1 → net.ping.v2.
func nextMajor(t event.Type) event.Type {
	at := strings.LastIndex(string(t), ".v")
	if at < 0 {
		return t
	}
	n, err := strconv.Atoi(string(t[at+2:]))
	if err != nil {
		return t
	}
	return t[:at+2] + event.Type(strconv.Itoa(n+1))
}

// texts writes values as JSON has them.
func texts(values []any) []string {
	out := make([]string, 0, len(values))
	for _, v := range values {
		b, err := json.Marshal(v)
		if err != nil {
			b = []byte("?")
		}
		out = append(out, string(b))
	}
	return out
}
