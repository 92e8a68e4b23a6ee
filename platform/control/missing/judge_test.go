package missing_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"midplane/api"
	"midplane/platform/control/missing"
)

func TestJudge(t *testing.T) {
	type replica struct {
		node string
		api.HeldReplica
	}
	three := map[string]bool{"n1": true, "n2": true, "n3": true}
	has := func(node string, first, last, gaps uint64) replica {
		return replica{node, api.HeldReplica{First: first, Last: last, Messages: last + 1 - first - gaps}}
	}
	for name, tc := range map[string]struct {
		from, to uint64
		begins   bool
		have     []replica
		lost     bool
		nodes    []string
	}{
		"no replica has them":              {50, 60, false, []replica{has("n1", 1, 100, 11), has("n2", 1, 101, 11), has("n3", 1, 99, 11)}, true, nil},
		"one is damaged":                   {50, 60, false, []replica{has("n1", 1, 100, 11), has("n2", 1, 100, 0), has("n3", 1, 100, 0)}, false, []string{"n2", "n3"}},
		"two are damaged":                  {50, 60, false, []replica{has("n1", 1, 100, 11), has("n2", 1, 100, 11), has("n3", 1, 100, 0)}, false, []string{"n3"}},
		"one lost its first block":         {1, 49, false, []replica{has("n1", 50, 100, 0), has("n2", 1, 100, 0), has("n3", 1, 100, 0)}, false, []string{"n2", "n3"}},
		"one is away":                      {50, 60, false, []replica{has("n1", 1, 100, 11), has("n2", 1, 100, 11)}, false, []string{"n3"}},
		"one is behind":                    {50, 60, false, []replica{has("n1", 1, 100, 11), has("n2", 1, 100, 11), has("n3", 1, 55, 11)}, false, []string{"n3"}},
		"nobody answers":                   {50, 60, false, nil, false, []string{"n1", "n2", "n3"}},
		"purged":                           {1, 49, true, []replica{has("n1", 50, 100, 0), has("n2", 50, 100, 0), has("n3", 50, 100, 0)}, true, nil},
		"purged, and one is away":          {1, 49, true, []replica{has("n1", 50, 100, 0), has("n2", 50, 100, 0)}, true, nil},
		"the leader lost its first block":  {1, 49, true, []replica{has("n1", 50, 100, 0), has("n2", 1, 100, 0)}, false, []string{"n2"}},
		"two are away at a beginning":      {1, 49, true, []replica{has("n1", 50, 100, 0)}, false, []string{"n2", "n3"}},
		"a purged stream is empty":         {1, 100, true, []replica{has("n1", 101, 100, 0), has("n2", 101, 100, 0), has("n3", 101, 100, 0)}, true, nil},
		"the only replica there ever was":  {50, 60, false, []replica{has("only", 1, 100, 11)}, true, nil},
		"an old replica holds what is not": {50, 60, false, []replica{has("n1", 40, 100, 11), has("n2", 40, 100, 11), has("n3", 1, 100, 11)}, false, []string{"n3"}},
	} {
		peers, have := three, map[string]api.HeldReplica{}
		for _, r := range tc.have {
			if have[r.node] = r.HeldReplica; r.node == "only" {
				peers = map[string]bool{r.node: true}
			}
		}
		got := missing.Judge(api.MissingRequest{Stream: "EVENTS", From: tc.from, To: tc.to, Begins: tc.begins}, peers, have)
		if tc.lost {
			tc.nodes = []string{}
		}
		if diff := cmp.Diff(tc.nodes, got.Nodes); diff != "" || got.Lost != tc.lost || got.Lost == (got.Why != "") {
			t.Errorf("%s: %+v %s", name, got, diff)
		}
	}
}
