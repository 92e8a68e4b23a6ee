package console

import (
	"encoding/json"
	"strings"
	"testing"

	"midplane/api"
)

// What has changed is asked for from a position on. A confined viewer goes on from
// positions of its own, which tell nothing of how much happens elsewhere.
func TestChangesSinceAPosition(t *testing.T) {
	p := newPeople(t)
	src := newFake()
	src.devices = devices("r1", "r2", "r3")
	url := open(t, Config{Access: p.keeper}, src)
	for _, who := range []string{"viewer", "viewer-acme"} {
		since := func(position string) (c api.Changes) {
			t.Helper()
			status, _, body := ask(t, url+"/api/v1/devices/changes?since="+position, withToken(p.tokens[who]))
			if err := json.Unmarshal([]byte(body), &c); err != nil || status != 200 {
				t.Fatalf("%d %s", status, body)
			}
			if strings.Contains(strings.ReplaceAll(body, `"lastSeen":null`, ""), "null") {
				t.Errorf("a list is null: %s", body)
			}
			return c
		}
		first := since("")
		if !first.Again || first.Total != 3 || (first.Position == "db.3") != (who == "viewer") {
			t.Errorf("%s: at first %+v", who, first)
		}
		if c := since(first.Position); c.Again || len(c.Items) != 0 || c.Position != first.Position {
			t.Errorf("%s: nothing changed: %+v", who, c)
		}
		src.mu.Lock()
		src.devices = devices("r1", "r2", "r3", "r4")
		src.mu.Unlock()
		if c := since(first.Position); c.Again || len(c.Items) != 1 || c.Items[0].ID != "r4" {
			t.Errorf("%s: one changed: %+v", who, c)
		}
		if c := since("db.9"); !c.Again {
			t.Errorf("%s: another database: %+v", who, c)
		}
		if c := since("none"); !c.Again {
			t.Errorf("%s: no position: %+v", who, c)
		}
		src.mu.Lock()
		src.devices = devices("r1", "r2", "r3")
		src.mu.Unlock()
	}
}
