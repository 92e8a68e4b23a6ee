package missing_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/platform/control/missing"
)

func TestJudge(t *testing.T) {
	three := []string{"n1", "n2", "n3"}
	has := func(node string, first, last, gaps uint64) api.ReplicaExtent {
		return api.ReplicaExtent{Node: node, First: first, Last: last, Messages: last + 1 - first - gaps, Peers: three}
	}
	for name, tc := range map[string]struct {
		from, to uint64
		begins   bool
		have     []api.ReplicaExtent
		lost     bool
		nodes    []string
	}{
		"no replica has them":              {50, 60, false, []api.ReplicaExtent{has("n1", 1, 100, 11), has("n2", 1, 101, 11), has("n3", 1, 99, 11)}, true, nil},
		"one is damaged":                   {50, 60, false, []api.ReplicaExtent{has("n1", 1, 100, 11), has("n2", 1, 100, 0), has("n3", 1, 100, 0)}, false, []string{"n2", "n3"}},
		"two are damaged":                  {50, 60, false, []api.ReplicaExtent{has("n1", 1, 100, 11), has("n2", 1, 100, 11), has("n3", 1, 100, 0)}, false, []string{"n3"}},
		"one lost its first block":         {1, 49, false, []api.ReplicaExtent{has("n1", 50, 100, 0), has("n2", 1, 100, 0), has("n3", 1, 100, 0)}, false, []string{"n2", "n3"}},
		"one is away":                      {50, 60, false, []api.ReplicaExtent{has("n1", 1, 100, 11), has("n2", 1, 100, 11)}, false, []string{"n3"}},
		"one is behind":                    {50, 60, false, []api.ReplicaExtent{has("n1", 1, 100, 11), has("n2", 1, 100, 11), has("n3", 1, 55, 11)}, false, []string{"n3"}},
		"nobody answers":                   {50, 60, false, nil, false, []string{}},
		"purged":                           {1, 49, true, []api.ReplicaExtent{has("n1", 50, 100, 0), has("n2", 50, 100, 0), has("n3", 50, 100, 0)}, true, nil},
		"purged, and one is away":          {1, 49, true, []api.ReplicaExtent{has("n1", 50, 100, 0), has("n2", 50, 100, 0)}, true, nil},
		"the leader lost its first block":  {1, 49, true, []api.ReplicaExtent{has("n1", 50, 100, 0), has("n2", 1, 100, 0)}, false, []string{"n2"}},
		"two are away at a beginning":      {1, 49, true, []api.ReplicaExtent{has("n1", 50, 100, 0)}, false, []string{"n2", "n3"}},
		"a purged stream is empty":         {1, 100, true, []api.ReplicaExtent{has("n1", 101, 100, 0), has("n2", 101, 100, 0), has("n3", 101, 100, 0)}, true, nil},
		"the only replica there ever was":  {50, 60, false, []api.ReplicaExtent{{Node: "n1", First: 1, Last: 100, Messages: 89}}, true, nil},
		"an old replica holds what is not": {50, 60, false, []api.ReplicaExtent{has("n1", 40, 100, 11), has("n2", 40, 100, 11), has("n3", 1, 100, 11)}, false, []string{"n3"}},
	} {
		got := missing.Judge(api.MissingRequest{Stream: "EVENTS", From: tc.from, To: tc.to, Begins: tc.begins}, tc.have)
		if tc.lost {
			tc.nodes = []string{}
		}
		if diff := cmp.Diff(tc.nodes, got.Nodes); diff != "" || got.Lost != tc.lost || got.Lost == (got.Why != "") {
			t.Errorf("%s: %+v %s", name, got, diff)
		}
	}
}
