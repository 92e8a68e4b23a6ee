package event

import (
	"strings"
	"testing"

	"midplane/fault"
)

func TestCheckName(t *testing.T) {
	for _, ok := range []string{"a", "acme", "syd-01", "0", "a" + strings.Repeat("b", 61) + "c"} {
		if err := CheckName("tenant", ok); err != nil {
			t.Errorf("%q: %v", ok, err)
		}
	}
	for _, bad := range []string{"", "*", ">", "a.b", " ", "-a", "a-", "A", "ä", "a b", "a\n", strings.Repeat("a", 64), "a_b"} {
		if err := CheckName("tenant", bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q was accepted", bad)
		}
	}
	if CheckUserName("user", "midplane-ingress") == nil {
		t.Error("a name of the system was accepted")
	}
}

func TestCheckType(t *testing.T) {
	for _, ok := range []Type{"net.interface.status.v1", "x.v12", "acme.door-opened.v1"} {
		if err := CheckType(ok); err != nil {
			t.Errorf("%q: %v", ok, err)
		}
	}
	for _, bad := range []Type{"", "v1", "x", "x.v0", "x.v01", "X.v1", "x..v1", ".x.v1", "x.*.v1", "x.v1.", "x.v1.y", Type(strings.Repeat("x", 99) + ".v1")} {
		if CheckType(bad) == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestEntityParts(t *testing.T) {
	for _, tc := range []struct {
		e        Entity
		device   Entity
		kind, id string
	}{
		{"r1", "r1", "", ""},
		{Entity("r1").Interface("ge-0/0/1"), "r1", "if", "ge-0/0/1"},
		{Entity("r1").Check("web"), "r1", "check", "web"},
		{"rack/1", "rack/1", "", ""},
	} {
		kind, id := tc.e.Part()
		if tc.e.Device() != tc.device || kind != tc.kind || id != tc.id {
			t.Errorf("%q: device %q, part %q %q", tc.e, tc.e.Device(), kind, id)
		}
	}
}

func TestCheckEntity(t *testing.T) {
	for _, bad := range []Entity{"", "a\x00b", "a\nb", "\xff", Entity(strings.Repeat("x", MaxEntity+1))} {
		if CheckEntity(bad) == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	if err := CheckEntity("r1/if/2 äöü*.>"); err != nil {
		t.Error(err)
	}
}

func TestStreamsAndKinds(t *testing.T) {
	for _, k := range Kinds {
		if KindOfStream(k.Stream()) != k {
			t.Errorf("%s: stream %q leads to %q", k, k.Stream(), KindOfStream(k.Stream()))
		}
	}
	if KindOfStream("KV_X") != "" || Kind("x").Stream() != "" {
		t.Error("an unknown stream or kind has a counterpart")
	}
	for i, s := range Severities {
		if s.Level() != i {
			t.Errorf("%s has level %d", s, s.Level())
		}
	}
}

func TestNewer(t *testing.T) {
	for _, tc := range []struct {
		epoch  int64
		seq    uint64
		over   int64
		overSq uint64
		want   bool
	}{{2, 1, 1, 99, true}, {1, 99, 2, 1, false}, {1, 2, 1, 1, true}, {1, 1, 1, 1, false}} {
		if got := Newer(tc.epoch, tc.seq, tc.over, tc.overSq); got != tc.want {
			t.Errorf("Newer%v = %v", tc, got)
		}
	}
}

func TestTraceID(t *testing.T) {
	if got := TraceID("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"); got != "0af7651916cd43dd8448eb211c80319c" {
		t.Error(got)
	}
	if TraceID("nonsense") != "" {
		t.Error("nonsense has a trace id")
	}
}
