package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/poller/outbox"
)

// Each checker is given a history that is as it should be, and ones that are not: it
// must find what is wrong with those.

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

// mustFind checks that exactly one finding says something, or, with "", that there is none.
func mustFind(t *testing.T, name string, found []string, says string) {
	t.Helper()
	switch {
	case says == "" && len(found) > 0:
		t.Errorf("%s: found %q, nothing is wrong", name, found)
	case says != "" && (len(found) != 1 || !strings.Contains(found[0], says)):
		t.Errorf("%s: found %q, want one that says %q", name, found, says)
	}
}

// polledAs returns what became of five events of a poller, in the order given.
func polledAs(seqs ...uint64) *account {
	a := newAccount(7, outbox.LaneStats{Stream: event.StreamEvents, Low: 5})
	for _, seq := range seqs {
		a.add(event.Event{Epoch: 7, Sequence: seq, Entity: "r1", Type: event.TypeReachabilityChanged})
	}
	return a
}

func TestAccounts(t *testing.T) {
	mustFind(t, "all are there", polledAs(1, 2, 3, 4, 5).judge(), "")
	mustFind(t, "more than is acknowledged", polledAs(1, 2, 3, 4, 5, 6).judge(), "")
	mustFind(t, "one is missing", polledAs(1, 2, 4, 5).judge(), "sequence 3 was acknowledged and is missing")
	mustFind(t, "one is twice", polledAs(1, 2, 3, 4, 4, 5).judge(), "sequence 4 is there 2 times")
	mustFind(t, "out of order", polledAs(1, 3, 2, 4, 5).judge(), "after sequence 3 comes 2")
	metrics := newAccount(7, outbox.LaneStats{Stream: event.StreamMetrics, Low: 2})
	metrics.add(event.Event{Epoch: 7, Sequence: 2, Entity: "r1"})
	metrics.add(event.Event{Epoch: 7, Sequence: 1, Entity: "r1"})
	mustFind(t, "metrics out of order", metrics.judge(), "")
	other := polledAs(1, 2, 3, 4, 5)
	other.add(event.Event{Epoch: 8, Sequence: 1, Entity: "r1"})
	mustFind(t, "another epoch", other.judge(), "epoch 8")

	given := polledAs(1, 2)
	data, err := json.Marshal(event.Ledger{Tombstones: []event.Tombstone{{From: 3, To: 4, Reason: "full"}}})
	if err != nil {
		t.Fatal(err)
	}
	given.add(event.Event{Epoch: 7, Sequence: 5, Type: event.TypeLedgerEvent, Data: data})
	mustFind(t, "given up", given.judge(), "")

	rows := func(ids ...int) (out []api.Event) {
		for _, id := range ids {
			out = append(out, api.Event{Producer: pollerUser, ID: fmt.Sprintf("%s/7/EVENTS/%d", pollerUser, id)})
		}
		return out
	}
	mustFind(t, "the primary has them", given.inPrimary(rows(1, 2)), "")
	mustFind(t, "the primary lacks one", given.inPrimary(rows(1)), "EVENTS/2 is there 0 times")
	mustFind(t, "the primary has one twice", given.inPrimary(rows(1, 2, 2)), "EVENTS/2 is there 2 times")
	mustFind(t, "the primary has one that is not stored", given.inPrimary(rows(1, 2, 9)), "3 events of the poller, 2 are stored")

	says := func(change func(*api.Account)) []string {
		r := api.Account{Producer: pollerUser, Epoch: 7, Stream: event.StreamEvents, Acknowledged: 5, Received: 5, GivenUp: 2}
		change(&r)
		return inLedger(map[string]*account{event.StreamEvents: given}, []api.Account{r})
	}
	mustFind(t, "the ledger agrees", says(func(*api.Account) {}), "")
	mustFind(t, "received less", says(func(r *api.Account) { r.Received = 4 }), "received 4")
	mustFind(t, "missing", says(func(r *api.Account) { r.Missing = [][2]uint64{{2, 2}} }), "missing")
	mustFind(t, "acknowledged too much", says(func(r *api.Account) { r.Acknowledged = 6 }), "acknowledged 6")
	mustFind(t, "given up nothing", says(func(r *api.Account) { r.GivenUp = 0 }), "0 given up")
	mustFind(t, "another producer", says(func(r *api.Account) { r.Producer = "other" }), "nothing of EVENTS")
}

func TestDeadLetters(t *testing.T) {
	refused := map[string]time.Time{"a": at(1), "b": at(50)}
	calm := func(at time.Time) bool { return at.Sub(noon) < 10*time.Second }
	mustFind(t, "each has one", deadLetters(refused, map[string]int{"a": 1, "b": 2}, calm).Findings, "")
	mustFind(t, "one is lost to a fault", deadLetters(refused, map[string]int{"a": 1}, calm).Findings, "")
	mustFind(t, "one is lost in calm", deadLetters(refused, map[string]int{"b": 1}, calm).Findings, "a was refused in calm")
	mustFind(t, "of what was taken", deadLetters(refused, map[string]int{"a": 1, "b": 1, "c": 1}, calm).Findings, "not refused: c")
}

func TestDelivered(t *testing.T) {
	s := &Subscription{got: map[uint64]time.Time{}, late: map[uint64]bool{}}
	for _, d := range []struct{ seq, delivered uint64 }{{1, 1}, {2, 1}, {2, 2}, {4, 2}} {
		s.take(d.seq, d.delivered, noon)
	}
	if got := s.punctual(); len(got) != 2 || len(s.got) != 3 {
		t.Errorf("%d of %d came with their first delivery, want 2 of 3", len(got), len(s.got))
	}
	if got := s.missing(map[uint64]string{1: "", 2: "", 4: ""}); len(got) != 0 || s.again != 1 {
		t.Errorf("%d are missing, %d came again", got, s.again)
	}
	if got := s.missing(map[uint64]string{1: "", 2: "", 3: "", 4: ""}); len(got) != 1 || got[0] != 3 {
		t.Errorf("%d are missing, want 3", got)
	}
	if !s.take(refuse, 1, noon) || s.take(refuse, 2, noon) {
		t.Error("one in fifty is refused, once")
	}
}

func TestSilence(t *testing.T) {
	for name, x := range map[string]struct {
		stored, got map[uint64]time.Time
		want        time.Duration
	}{
		"each at once":                  {map[uint64]time.Time{1: at(0), 2: at(60)}, map[uint64]time.Time{1: at(1), 2: at(61)}, time.Second},
		"nothing came, nothing waited":  {map[uint64]time.Time{1: at(0), 2: at(60)}, map[uint64]time.Time{1: at(0), 2: at(60)}, 0},
		"one waited for a minute":       {map[uint64]time.Time{1: at(0), 2: at(1)}, map[uint64]time.Time{1: at(0), 2: at(61)}, time.Minute},
		"one waited, others came":       {map[uint64]time.Time{1: at(0), 2: at(20), 3: at(40)}, map[uint64]time.Time{1: at(41), 2: at(21), 3: at(41)}, 21 * time.Second},
		"nothing is known of the other": {map[uint64]time.Time{1: at(0)}, map[uint64]time.Time{1: at(1), 9: at(90)}, time.Second},
	} {
		if got, _ := silence(x.stored, x.got); got != x.want {
			t.Errorf("%s: %s, want %s", name, got, x.want)
		}
	}
	s := &Silence{}
	for _, m := range []move{{at(1), 3}, {at(2), 3}, {at(3), 5}} {
		s.note(m.cursor, m.at)
	}
	read := s.read(map[uint64]time.Time{1: noon, 3: noon, 4: noon, 6: noon})
	if len(read) != 3 || read[1] != at(1) || read[3] != at(1) || read[4] != at(3) {
		t.Errorf("read %v", read)
	}
}

func TestStatusIsHeldAgainstTheTruth(t *testing.T) {
	var tr truth
	for i, what := range []string{"", "n1 is down", "n1 is down", "n1 is down, n2 is down", "", "n3 is cut off"} {
		tr.note(what, at(float64(i)*20))
	}
	spells := tr.all() // from 20 s to 80 s, and from 100 s
	if len(spells) != 2 || spells[0].from != at(20) || spells[0].to != at(80) || !spells[1].to.IsZero() {
		t.Fatalf("%+v", spells)
	}
	says := func(asked, answered float64, green bool) []string {
		return heldAgainst(spells, []look{{at(1), at(2), true}, {at(asked), at(answered), green}}).Findings
	}
	mustFind(t, "before", says(10, 11, true), "")
	mustFind(t, "soon after", says(22, 23, true), "")
	mustFind(t, "long after", says(50, 51, true), "30.0 s after this began: n1 is down")
	mustFind(t, "long after, and it says so", says(50, 51, false), "")
	mustFind(t, "answered when it was over", says(79, 81, true), "")
	mustFind(t, "while it lasts", says(120, 121, true), "n3 is cut off")
	mustFind(t, "never green", heldAgainst(spells, []look{{at(1), at(2), false}}).Findings, "in 1 answers status never found")
	mustFind(t, "never asked", heldAgainst(spells, nil).Findings, "in 0 answers")

	w := &truth{spells: spells}
	for second, want := range map[float64]bool{10: true, 19.5: false, 50: false, 90: false, 96: true, 110: false} {
		if w.calm(at(second)) != want {
			t.Errorf("after %.1f s it is calm: %v", second, !want)
		}
	}
}

func TestBackToTheBaseline(t *testing.T) {
	was := map[string]footprint{"n1": {goroutines: 100, files: 50, heap: 10 << 20}}
	now := func(change func(*footprint)) []string {
		is := was["n1"]
		change(&is)
		return back(was, map[string]footprint{"n1": is}).Findings
	}
	mustFind(t, "as before", now(func(*footprint) {}), "")
	mustFind(t, "less", now(func(f *footprint) { f.goroutines, f.files, f.heap = 50, 10, 1 }), "")
	page := "goroutine profile: total 3\n2 @ 0x1 0x2\n#\t0x1\tinternal/poll.(*FD).Read+0x27\tfd.go:1\n#\t0x2\tmidplane/bus.read+0x1\tbus.go:2\n\n1 @ 0x3\n#\t0x3\tmain.main+0x1\tmain.go:3\n"
	if got := places(page); len(got) != 2 || got["midplane/bus.read"] != 2 || got["main.main"] != 1 {
		t.Errorf("places %v", got)
	}
	mustFind(t, "goroutines", now(func(f *footprint) { f.goroutines, f.where = f.goroutines+moreGoroutines+1, places(page) }), "midplane/bus.read (+2), main.main (+1)")
	mustFind(t, "files", now(func(f *footprint) { f.files += moreFiles + 1 }), "files")
	mustFind(t, "heap", now(func(f *footprint) { f.heap += moreHeap + 1 }), "heap")
	mustFind(t, "another leads", back(map[string]footprint{"n1": {goroutines: 100}, "n2": {goroutines: 200}}, map[string]footprint{"n1": {goroutines: 200}, "n2": {goroutines: 100}}).Findings, "")
	mustFind(t, "gone", back(was, nil).Findings, "not measured again")
}

func TestTenantsAgree(t *testing.T) {
	c := &Tenants{there: map[string]bool{"a": true, "b": false}}
	rows := []api.Tenant{{ID: "acme", Account: "ACME", Ready: true}, {ID: "a", Account: "A", Ready: true}}
	disk := map[string][]string{"n1": {"ACME", "A"}}
	mustFind(t, "as answered", c.agree(rows, disk), "")
	mustFind(t, "one is not there", c.agree(rows[:1], map[string][]string{"n1": {"ACME"}}), "a was applied and is not there")
	mustFind(t, "one is still there", c.agree(append(rows, api.Tenant{ID: "b", Account: "B", Ready: true}), disk), "b was deleted and is there")
	mustFind(t, "one is not ready", c.agree([]api.Tenant{rows[0], {ID: "a", Account: "A"}}, disk), "a is not ready")
	mustFind(t, "streams are left", c.agree(rows, map[string][]string{"n1": {"ACME", "A", "B"}}), "account B, which no tenant has")
}

func TestOneIdentityPerToken(t *testing.T) {
	no := errors.New("the token was redeemed")
	mustFind(t, "one of two", oneEach([]claimed{{"t1", [claimants]error{nil, no}, api.TokenRedeemed}}).Findings, "")
	mustFind(t, "both", oneEach([]claimed{{"t1", [claimants]error{}, api.TokenRedeemed}}).Findings, "has made 2 pollers")
	mustFind(t, "neither", oneEach([]claimed{{"t1", [claimants]error{no, no}, api.TokenRedeemed}}).Findings, "has made 0 pollers")
	mustFind(t, "still open", oneEach([]claimed{{"t1", [claimants]error{nil, no}, api.TokenOpen}}).Findings, `is "open"`)
	mustFind(t, "none was used", oneEach(nil).Findings, "no token")
}
