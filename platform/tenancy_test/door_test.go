package tenancy_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	tenancy "midplane/platform/tenancy_test"
)

// Outcomes of a trick at the door besides a refusal's code.
const (
	silent  = "silent"  // not answered at all
	blocked = "blocked" // refused by the server itself
	closed  = "closed"  // the server hung up
)

const (
	toEvents = "in.NAME.event.info.r1.net.reachability.changed.v1"
	valid    = `{"device":"r1","from":"up","to":"down","message":"no answer"}`
)

// play sends a trick to the door.
func play(t *testing.T, c *wire, tr tenancy.Trick) {
	t.Helper()
	fill := func(s, otherwise string) string {
		if s == "" {
			s = otherwise
		}
		return strings.ReplaceAll(s, "NAME", c.creds.Name)
	}
	data, reply := fill(tr.Data, valid), fill(tr.Reply, c.inbox())
	if data == "EMPTY" {
		data = ""
	}
	if reply == "NONE" {
		reply = ""
	}
	c.pub(fill(tr.Subject, toEvents), reply, fill(tr.Header, ""), data)
	c.sync()
	got, errs := c.take()
	code, _ := strconv.Atoi(tr.Want) // 0 when it is a word
	if code > 0 && len(got) == 0 && len(errs) == 0 {
		got = append(got, c.await()) // the door is another connection
	}
	switch {
	case tr.Want == closed && c.conn == nil:
	case tr.Want == blocked && len(got) == 0 && len(errs) > 0 && c.conn != nil:
	case tr.Want == silent && len(got) == 0 && len(errs) == 0:
	case code > 0 && len(got) == 1 && codeOf(got[0].data) == code:
	default:
		t.Errorf("%s: %s: got %q and %q, want %s", c.creds.Name, tr.Shows, got, errs, tr.Want)
	}
}

func codeOf(data string) int {
	var ack struct {
		Error struct {
			ErrCode int `json:"err_code"`
		} `json:"error"`
	}
	if json.Unmarshal([]byte(data), &ack) != nil {
		return 0
	}
	return ack.Error.ErrCode
}

// What a dead letter of an application carries is not validated: it is kept,
// and changes nothing when it is delivered somewhere.
func TestDeadLetterAsARequest(t *testing.T) {
	w := shared(t)
	c := w.as(t, acme, app)
	for _, data := range []string{"{}", `{"seq":9999}`, `{"batch":1000}`, "+TERM", "-NAK", "1000", `{"stream_name":"EVENTS","config":{"durable_name":"mine","ack_policy":"none"}}`} {
		answer := c.request("in."+app+".dead.EVENTS.dropped.r1.x.v1", "", data)
		if codeOf(answer.data) != 0 {
			t.Fatalf("%s: %s", data, answer.data)
		}
		for _, aim := range []string{"$JS.API.CONSUMER.RESET.EVENTS.victim_all", "$JS.API.CONSUMER.MSG.NEXT.EVENTS.victim_all", "$JS.API.CONSUMER.CREATE.EVENTS.mine",
			"$JS.API.STREAM.PURGE.EVENTS", "$JS.API.CONSUMER.UNPIN.EVENTS.victim_all", "control.syd-02.status", "in.syd-02.state.r1.net.reachability.v1"} {
			w.attack(t, "a dead letter "+data+" aimed at "+aim, len(canaries), func() {
				c.pub("$JS.API.CONSUMER.MSG.NEXT.DEAD.billing_dead", aim, "", `{"batch":100,"no_wait":true}`)
				c.sync()
			})
		}
	}
	w.undisturbed(t)
}
