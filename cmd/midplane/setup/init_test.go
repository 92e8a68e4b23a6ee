package setup

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"midplane/fault"
	"midplane/platform/deployment"
)

func TestNodePlan(t *testing.T) {
	plan := func(client, route, advertise, peer string) deployment.NodePlan {
		return deployment.NodePlan{Name: "n1", Client: client, Route: route, Advertise: advertise, Peer: peer}
	}
	for given, want := range map[string]deployment.NodePlan{
		"n1=10.0.0.1":              plan("0.0.0.0:4222", "0.0.0.0:6222", "10.0.0.1:4222", "10.0.0.1:6222"),
		"n1=a.example:5":           plan("0.0.0.0:5", "0.0.0.0:6222", "a.example:5", "a.example:6222"),
		"n1=a.example:5:6":         plan("0.0.0.0:5", "0.0.0.0:6", "a.example:5", "a.example:6"),
		"n1=127.0.0.1:4223:6223":   plan("127.0.0.1:4223", "127.0.0.1:6223", "127.0.0.1:4223", "127.0.0.1:6223"),
		"n1=localhost":             plan("127.0.0.1:4222", "127.0.0.1:6222", "localhost:4222", "localhost:6222"),
		"n1=fd00::1":               plan("0.0.0.0:4222", "0.0.0.0:6222", "[fd00::1]:4222", "[fd00::1]:6222"),
		"n1=[fd00::1]:4223":        plan("0.0.0.0:4223", "0.0.0.0:6222", "[fd00::1]:4223", "[fd00::1]:6222"),
		"n1=[::1]:4223:6223":       plan("[::1]:4223", "[::1]:6223", "[::1]:4223", "[::1]:6223"),
		"n1=127.8.8.8":             plan("127.8.8.8:4222", "127.8.8.8:6222", "127.8.8.8:4222", "127.8.8.8:6222"),
		"n1=localhost.example:1:2": plan("0.0.0.0:1", "0.0.0.0:2", "localhost.example:1", "localhost.example:2"),
	} {
		got, err := nodePlan(given)
		if err != nil {
			t.Errorf("%s: %v", given, err)
		} else if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", given, d)
		}
	}
}

func TestNodePlanRefuses(t *testing.T) {
	for _, given := range []string{
		"", "n1", "n1=", "=10.0.0.1", "n1=:4222", "n1=h:0", "n1=h:65536", "n1=h:port", "n1=h:", "n1=h:1:2:3", "n1=h:1:", "n1=fd00::1:x", "n1=[fd00::1]4222", "n1=[]:1",
	} {
		_, err := nodePlan(given)
		if given == "n1=h:" { // the same as none
			if err != nil {
				t.Errorf("%s: %v", given, err)
			}
			continue
		}
		if !fault.Is(err, fault.Invalid) || fault.HintOf(err) == "" {
			t.Errorf("--node %q: %v (hint %q), want Invalid with a hint", given, err, fault.HintOf(err))
		}
	}
}
