package connections

import (
	"encoding/json"
	"testing"
)

func TestAskers(t *testing.T) {
	data := []byte(`{"server":{"name":"n2"},"data":{"connections":[
		{"ip":"192.0.2.1","port":1000,"subscriptions_list":["_INBOX.ann.abc.*"]},
		{"ip":"192.0.2.2","port":2000,"subscriptions_list":["_INBOX.ann.def.*"]},
		{"ip":"192.0.2.3","port":3000,"subscriptions_list":["_INBOX.anna.abc.*"]},
		{"subscriptions_list":["_INBOX.bob.x.*"]},
		{"ip":"192.0.2.4","port":4000}]}}`)
	var answer connz
	if err := json.Unmarshal(data, &answer); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		who, reply, exact string
		others            int
	}{
		{"ann", "_INBOX.ann.def.7", "192.0.2.2:2000 via n2", 0},
		{"ann", "_INBOX.ann.ghi.7", "", 2},
		{"ann", "_INBOX.anna.abc.7", "", 2}, // aimed at another user: still ann's connections
		{"ann", "_INBOX.ann.abc.7.8", "", 2},
		{"bob", "_INBOX.bob.x.1", "in-process via n2", 0},
		{"carl", "_INBOX.ann.abc.1", "", 0},
	} {
		exact, others := askers(answer, x.who, x.reply)
		if x.exact != "" && exact != x.exact || x.exact == "" && (exact != "" || len(others) != x.others) {
			t.Errorf("%s, answer to %s: %q and %v", x.who, x.reply, exact, others)
		}
	}
	if exact, others := askers(connz{}, "ann", "x"); exact != "" || others != nil {
		t.Error(exact, others)
	}
}
