package console

import (
	"encoding/json"
	"fmt"
	"testing"

	"midplane/api"
)

func TestShuffle(t *testing.T) {
	key := []byte("a key of this test, and no other")
	seen := map[uint64]bool{}
	rising := 0
	var last uint64
	for n := uint64(1); n <= 2000; n++ {
		got := shuffle(key, "acme", n, false)
		if got == 0 || got > maxPlain || seen[got] || shuffle(key, "acme", got, true) != n {
			t.Fatalf("%d becomes %d and comes back as %d", n, got, shuffle(key, "acme", got, true))
		}
		seen[got] = true
		if got > last {
			rising++
		}
		last = got
		if shuffle(key, "globex", n, false) == got || shuffle([]byte("another"), "acme", n, false) == got {
			t.Errorf("%d is the same for another tenant or key", n)
		}
	}
	if rising < 800 || rising > 1200 {
		t.Errorf("%d of 2000 rise: the order shows", rising)
	}
	for _, n := range []uint64{0, maxPlain + 1} {
		if shuffle(key, "acme", n, false) != n {
			t.Errorf("%d does not stay", n)
		}
	}
}

// A confined viewer pages, follows and comes back with positions that tell
// nothing of other tenants, and misses nothing.
func TestPositionsOfAConfinedViewer(t *testing.T) {
	p := newPeople(t)
	src := newFake()
	src.happen("one", "two", "three", "four", "five")
	src.tenants = []api.Tenant{{ID: "acme", Revision: 77}}
	url := open(t, Config{Access: p.keeper}, src, quick)
	acme := withToken(p.tokens["viewer-acme"])
	messages := func(after string) (out []string, positions []uint64) {
		t.Helper()
		for {
			var page api.Page[api.Event]
			_, _, body := ask(t, url+"/api/v1/events?limit=2&after="+after, acme)
			if err := json.Unmarshal([]byte(body), &page); err != nil {
				t.Fatalf("%v: %s", err, body)
			}
			for _, e := range page.Items {
				out, positions = append(out, e.Message), append(positions, e.Position)
			}
			if after = page.Next; after == "" {
				return out, positions
			}
		}
	}
	all, positions := messages("0")
	if fmt.Sprint(all) != "[one two three four five]" {
		t.Fatalf("paged %v", all)
	}
	for i, n := range positions {
		if n < 100 { // one in 45 million million
			t.Errorf("position %d of event %d is the real one", n, i)
		}
	}
	if rest, _ := messages(fmt.Sprint(positions[2])); fmt.Sprint(rest) != "[four five]" {
		t.Errorf("after the third: %v", rest)
	}
	if _, _, body := ask(t, url+"/api/v1/events", acme); len(body) < 100 {
		t.Errorf("the whole list: %s", body)
	}
	next, leave := listen(t, url+"/api/v1/events/stream", "Authorization", "Bearer "+p.tokens["viewer-acme"], "Last-Event-ID", fmt.Sprint(positions[3]))
	if m := next("event"); m.id != fmt.Sprint(positions[4]) {
		t.Errorf("the stream goes on with %+v", m)
	}
	leave()
	if _, _, body := ask(t, url+"/api/v1/tenants", acme); body != "" && json.Valid([]byte(body)) {
		var rows []api.Tenant
		_ = json.Unmarshal([]byte(body), &rows)
		if len(rows) != 1 || rows[0].Revision != 0 {
			t.Errorf("tenants: %s", body)
		}
	}
}
