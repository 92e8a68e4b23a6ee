package api_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"midplane/api"
	"midplane/event"
)

// While programs of two versions run side by side, what is stored and sent
// keeps to the older.
func TestLowest(t *testing.T) {
	type versions = map[event.Type]int
	for name, tt := range map[string]struct {
		types []versions
		want  versions
	}{
		"no program":              {nil, nil},
		"three alike":             {[]versions{{"a.v1": 2}, {"a.v1": 2}, {"a.v1": 2}}, versions{"a.v1": 2}},
		"one of v0.1.0":           {[]versions{{"a.v1": 2}, nil, {"a.v1": 2}}, versions{}},
		"the first is of v0.1.0":  {[]versions{nil, {"a.v1": 2}, {"a.v1": 2}}, nil},
		"one is a version behind": {[]versions{{"a.v1": 3}, {"a.v1": 2}}, versions{"a.v1": 2}},
		"one knows one type more": {[]versions{{"a.v1": 2}, {"a.v1": 2, "b.v1": 2}}, versions{"a.v1": 2}},
	} {
		var all []api.Understands
		for _, v := range tt.types {
			all = append(all, api.Understands{Types: v, Formats: api.Formats{"registry": len(v) + 1}})
		}
		got := api.Lowest(all...)
		if d := cmp.Diff(tt.want, got.Types, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		for i, v := range tt.types {
			if d := cmp.Diff(v, all[i].Types); d != "" {
				t.Errorf("%s: what a program understands was changed: %s", name, d)
			}
			if !all[i].Covers(got) {
				t.Errorf("%s: %v does not cover the lowest, %v", name, all[i], got)
			}
		}
	}
}

func TestUpgradeNamesWhatToReplaceNext(t *testing.T) {
	old, now := api.Understands{Version: "0.1.0"}, api.Understands{Version: "0.2.0", Formats: api.Formats{"registry": 2}}
	at := func(kind, name string, u api.Understands) api.Running {
		return api.Running{Kind: kind, Name: name, Understands: u}
	}
	for name, tt := range map[string]struct {
		level   api.Understands
		running []api.Running
		open    bool
		ready   bool
		behind  []string
		old     int
	}{
		"nodes before primaries, pollers hold nothing up": {old, []api.Running{
			at(api.RunsPoller, "acme/syd-01", old), at(api.RunsPrimary, "p", old), at(api.RunsNode, "n2", old), at(api.RunsNode, "n1", now)}, true, false, []string{"node n2", "primary p"}, 1},
		"all are new":  {old, []api.Running{at(api.RunsNode, "n1", now), at(api.RunsPrimary, "p", now), at(api.RunsPoller, "acme/syd-01", old)}, true, true, []string{}, 1},
		"it was ended": {now, []api.Running{at(api.RunsNode, "n1", now)}, false, false, []string{}, 0},
	} {
		u := api.NewUpgrade(tt.level, now, tt.running)
		if u.Open != tt.open || u.Ready != tt.ready || u.OldPollers != tt.old || !cmp.Equal(u.Behind, tt.behind) || u.Next == "" {
			t.Errorf("%s: %+v", name, u)
		}
	}
}

// A program may report anything of itself; what matters here is kept of it.
func TestWhatIsReportedIsBounded(t *testing.T) {
	mine := api.Understands{Formats: api.Formats{"channel": 2}, Types: map[event.Type]int{"net.reachability.v1": 3}}
	reported := api.Understands{Version: "1.0.0", Formats: api.Formats{"channel": 99, strings.Repeat("x", 1000): 2, "core": -1}, Types: map[event.Type]int{"net.reachability.v1": 2, "net.other.v1": 2}}
	want := api.Understands{Version: "1.0.0", Formats: api.Formats{"channel": 2}, Types: map[event.Type]int{"net.reachability.v1": 2}}
	if d := cmp.Diff(want, reported.KnownTo(mine)); d != "" {
		t.Error(d)
	}
	if got := (api.Understands{Version: strings.Repeat("x", 1000), Formats: api.Formats{"channel": -5}}).KnownTo(mine); got.Version != "" || len(got.Formats) != 0 {
		t.Errorf("%+v", got)
	}
}
