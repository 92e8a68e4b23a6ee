package streams_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"pgregory.net/rapid"

	"midplane/event"
	"midplane/streams"
)

func genTrim(t *rapid.T) streams.Trim {
	first := rapid.Uint64Range(0, 1<<40).Draw(t, "first")
	last := first + rapid.Uint64Range(0, 1<<uint(rapid.IntRange(0, 30).Draw(t, "bits"))).Draw(t, "count")
	if rapid.IntRange(0, 9).Draw(t, "empty") == 0 {
		last = max(first, 1) - 1
	}
	seq := rapid.OneOf(rapid.Uint64Range(0, last+5), rapid.Uint64Range(first, last+1), rapid.Just(uint64(0)), rapid.Just(^uint64(0)))
	tr := streams.Trim{
		Kind:  rapid.SampledFrom(event.Kinds[:]).Draw(t, "kind"),
		First: first, Last: last,
		Bytes:    rapid.Uint64Range(0, 1<<40).Draw(t, "bytes"),
		Share:    rapid.Int64Range(-1, 1<<40).Draw(t, "max"),
		AgeFloor: seq.Draw(t, "age"), DupFloor: seq.Draw(t, "dup"), DoneFloor: seq.Draw(t, "done"),
	}
	for range rapid.IntRange(0, 4).Draw(t, "cursors") {
		tr.Cursors = append(tr.Cursors, streams.Cursor{
			Owner: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "owner"),
			Seq:   seq.Draw(t, "cursor"), Hold: rapid.Bool().Draw(t, "hold"),
		})
	}
	return tr
}

func TestTrimNeverTakesTooMuch(t *testing.T) {
	purged := 0
	rapid.Check(t, func(t *rapid.T) {
		tr := genTrim(t)
		d := tr.Plan()
		if d.Reason == "" {
			t.Fatal("no reason")
		}
		if d.PurgeTo == 0 {
			return
		}
		purged++
		if tr.Kind == event.KindState {
			t.Fatal("STATE was trimmed from the front")
		}
		if d.PurgeTo < 2 || d.PurgeTo > tr.Last+1 || d.PurgeTo <= tr.First {
			t.Fatalf("purge to %d of %d…%d", d.PurgeTo, tr.First, tr.Last)
		}
		if tr.DupFloor == 0 || d.PurgeTo > max(tr.DupFloor, tr.DoneFloor) {
			t.Fatalf("purge to %d inside the duplicate window that begins at %d, and copies may come from %d on", d.PurgeTo, tr.DupFloor, tr.DoneFloor)
		}
		holding := 0
		for _, c := range tr.Cursors {
			if c.Hold {
				holding++
				if d.PurgeTo-1 > c.Seq {
					t.Fatalf("purge to %d past the cursor %+v", d.PurgeTo, c)
				}
			} else if overtaken := d.PurgeTo-1 > c.Seq; overtaken != slices.Contains(d.Overtakes, c) {
				t.Fatalf("purge to %d: %+v among overtaken %+v", d.PurgeTo, c, d.Overtakes)
			}
		}
		if holding == 0 && tr.Kind != event.KindDead {
			t.Fatal("purged without a registered reader")
		}
		if after := (streams.Trim{Kind: tr.Kind, First: d.PurgeTo, Last: tr.Last, Share: tr.Share, Cursors: tr.Cursors,
			AgeFloor: tr.AgeFloor, DupFloor: tr.DupFloor}).Plan(); after.PurgeTo > tr.Last+1 {
			t.Fatalf("a second pass purges to %d", after.PurgeTo)
		}
	})
	if purged == 0 {
		t.Fatal("no case purged anything: the property was not tested")
	}
}

func TestTrim(t *testing.T) {
	base := streams.Trim{Kind: event.KindEvent, First: 1, Last: 100_000, Bytes: 50, Share: 100, DupFloor: 99_001,
		Cursors: []streams.Cursor{{Owner: "primary", Seq: 100_000, Hold: true}}}
	for name, tc := range map[string]struct {
		change func(*streams.Trim)
		to     uint64
		reason string
		heldBy string
	}{
		"room enough":           {func(*streams.Trim) {}, 0, "nothing to do", ""},
		"80 % is not above":     {func(x *streams.Trim) { x.Bytes = 80 }, 0, "nothing to do", ""},
		"space":                 {func(x *streams.Trim) { x.Bytes = 90 }, 33_335, "above 80 %", ""},
		"space, slow reader":    {func(x *streams.Trim) { x.Bytes, x.Cursors[0].Seq = 90, 20_000 }, 20_001, "above 80 %", "primary"},
		"space, no cursor":      {func(x *streams.Trim) { x.Bytes, x.Cursors = 90, nil }, 0, "no reader", ""},
		"space, never reported": {func(x *streams.Trim) { x.Bytes, x.Cursors[0].Seq = 90, 0 }, 0, "held by primary", "primary"},
		"space, only one skips": {func(x *streams.Trim) { x.Bytes, x.Cursors[0].Hold = 90, false }, 0, "no reader", ""},
		"dead needs no reader":  {func(x *streams.Trim) { x.Bytes, x.Cursors, x.Kind = 90, nil, event.KindDead }, 33_335, "above 80 %", ""},
		"state stays":           {func(x *streams.Trim) { x.Bytes, x.Kind = 99, event.KindState }, 0, "state is kept", ""},
		"window":                {func(x *streams.Trim) { x.Bytes, x.DupFloor = 90, 5_000 }, 5_000, "above 80 %", streams.HeldByWindow},
		"window not known":      {func(x *streams.Trim) { x.Bytes, x.DupFloor = 90, 0 }, 0, "held by the duplicate", streams.HeldByWindow},
		"age":                   {func(x *streams.Trim) { x.AgeFloor = 50_000 }, 50_000, "past the retention", ""},
		"age asks for more":     {func(x *streams.Trim) { x.AgeFloor, x.Bytes = 50_000, 90 }, 50_000, "past the retention", ""},
		"all past its age":      {func(x *streams.Trim) { x.AgeFloor, x.DupFloor = 100_001, 100_001 }, 100_001, "past the retention", ""},
		"age beyond the end":    {func(x *streams.Trim) { x.AgeFloor, x.DupFloor = 900_000, 900_000 }, 100_001, "past the retention", ""},
		"too little":            {func(x *streams.Trim) { x.AgeFloor = 900 }, 0, "too little", ""},
		"small stream":          {func(x *streams.Trim) { x.Last, x.AgeFloor = 50, 3 }, 3, "past the retention", ""},
		"little, but urgent":    {func(x *streams.Trim) { x.Bytes, x.Cursors[0].Seq = 96, 10 }, 11, "above 80 %", "primary"},
		"little, not urgent":    {func(x *streams.Trim) { x.Bytes, x.Cursors[0].Seq = 90, 10 }, 0, "too little", "primary"},
		"empty":                 {func(x *streams.Trim) { x.First, x.Last, x.Bytes = 101, 100, 0 }, 0, "empty", ""},
	} {
		t.Run(name, func(t *testing.T) {
			tr := base
			tr.Cursors = slices.Clone(base.Cursors)
			tc.change(&tr)
			d := tr.Plan()
			if d.PurgeTo != tc.to || !strings.Contains(d.Reason, tc.reason) || d.HeldBy != tc.heldBy {
				t.Errorf("%+v, want %d, %q, held by %q", d, tc.to, tc.reason, tc.heldBy)
			}
		})
	}
}

func TestTrimState(t *testing.T) {
	subjects := []string{
		"state.syd.r1.net.device.declared.v1", "state.syd.r1%2Fif%2F1.net.interface.status.v1", "state.syd.r11.net.reachability.v1",
		"state.mel.r1.net.reachability.v1", "state.syd.r2.net.reachability.v1", "event.syd.info.r1.x.v1", "rubbish",
	}
	removed := []streams.Removed{{Site: "syd", Device: "r1", Seq: 10}, {Site: "syd", Device: "r2", Seq: 20}}
	hold := []streams.Cursor{{Owner: "a", Seq: 15, Hold: true}, {Owner: "b", Seq: 30, Hold: true}, {Owner: "c", Seq: 1}}
	got := streams.TrimState(removed, subjects, hold, 100)
	want := []streams.SubjectPurge{
		{Subject: "state.syd.r1%2Fif%2F1.net.interface.status.v1", Before: 16},
		{Subject: "state.syd.r1.net.device.declared.v1", Before: 16},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	for name, got := range map[string][]streams.SubjectPurge{
		"no reader":          streams.TrimState(removed, subjects, hold[2:], 100),
		"inside the window":  streams.TrimState(removed, subjects, hold, 10),
		"window not known":   streams.TrimState(removed, subjects, hold, 0),
		"not passed yet":     streams.TrimState(removed[1:], subjects, hold, 100),
		"sequence not known": streams.TrimState([]streams.Removed{{Site: "syd", Device: "r1"}}, subjects, hold, 100),
	} {
		if len(got) != 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, 1<<62).Draw(t, "storage")
		l := streams.Split(n)
		if l.Events+l.State+l.Metrics+l.Dead != n || l.Events < 0 || l.State < 0 || l.Metrics < 0 || l.Dead < 0 {
			t.Fatalf("%d splits into %+v", n, l)
		}
		for _, cfg := range streams.Tenant(l, "cap") {
			if cfg.MaxBytes < 1 || cfg.MaxMsgSize < 1 || cfg.Replicas != 3 {
				t.Fatalf("%+v", cfg)
			}
		}
		l.Unbounded = true
		for _, cfg := range streams.Tenant(l, "cap") {
			if cfg.MaxBytes != -1 || cfg.Discard != jetstream.DiscardNew {
				t.Fatalf("%+v", cfg)
			}
		}
	})
	if l := streams.Split(1000); l != (streams.Limits{Events: 450, State: 200, Metrics: 250, Dead: 100}) {
		t.Errorf("%+v", l)
	}
}
