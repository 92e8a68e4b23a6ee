package tenancy_test

import (
	"encoding/json"
	"strings"
	"testing"

	"midplane/platform/ingress"
)

// Outcomes of a trick at the door besides a refusal's code.
const (
	silent  = -1 // not answered at all
	blocked = -2 // the server itself said no
	closed  = -3 // the server hung up
)

// trick is one message that must not get in, in raw protocol. NAME stands for
// who sends it.
type trick struct {
	shows, subject, reply, header, data string
	want                                int
}

const (
	toEvents = "in.NAME.event.info.r1.net.reachability.changed.v1"
	valid    = `{"device":"r1","from":"up","to":"down","message":"no answer"}`
)

var tricks = []trick{
	// Headers that are NATS' own.
	{shows: "a wrong Nats-Expected-Last-Msg-Id, which would stop the stream for good", header: block("Nats-Expected-Last-Msg-Id: wrong"), want: int(ingress.CodeHeader)},
	{shows: "the same in capitals", header: block("NATS-EXPECTED-LAST-MSG-ID: wrong"), want: int(ingress.CodeHeader)},
	{shows: "Nats-Expected-Last-Sequence", header: block("Nats-Expected-Last-Sequence: 99"), want: int(ingress.CodeHeader)},
	{shows: "Nats-Expected-Last-Subject-Sequence", header: block("Nats-Expected-Last-Subject-Sequence: 99"), want: int(ingress.CodeHeader)},
	{shows: "Nats-Rollup", header: block("Nats-Rollup: all"), want: int(ingress.CodeHeader)},
	{shows: "Nats-TTL", header: block("Nats-TTL: 1s"), want: int(ingress.CodeHeader)},
	{shows: "Nats-Schedule", header: block("Nats-Schedule: @every 1s", "Nats-Schedule-Target: event.x"), want: int(ingress.CodeHeader)},
	{shows: "Nats-Batch-Id", header: block("Nats-Batch-Id: b", "Nats-Batch-Sequence: 1", "Nats-Batch-Commit: 1"), want: int(ingress.CodeHeader)},
	{shows: "Nats-Incr", header: block("Nats-Incr: +1"), want: int(ingress.CodeHeader)},
	{shows: "Nats-Request-Info", header: block(`Nats-Request-Info: {"acc":"SYS"}`), want: int(ingress.CodeHeader)},
	{shows: "Nats-Required-Api-Level", header: block("Nats-Required-Api-Level: 0"), want: int(ingress.CodeHeader)},
	{shows: "a trace sent to a stream", header: block("Nats-Trace-Dest: event.syd.info.r1.x.v1"), want: blocked},
	{shows: "a trace sent to another's inbox", header: block("Nats-Trace-Dest: _INBOX.victim.x"), want: blocked},
	{shows: "a trace sent to oneself", header: block("Nats-Trace-Dest: _INBOX.NAME.x"), want: blocked},
	{shows: "a trace sent through the door", header: block("Nats-Trace-Dest: " + toEvents), want: int(ingress.CodeHeader)},
	{shows: "a trace instead of the message", header: block("Nats-Trace-Dest: "+toEvents, "Nats-Trace-Only: true"), want: silent},
	// Headers that stop readers.
	{shows: "Status, which stops every ordered consumer", header: block("Status: 503"), want: int(ingress.CodeHeader)},
	{shows: "Description", header: block("Description: No Responders"), want: int(ingress.CodeHeader)},
	{shows: "an inline status", header: "NATS/1.0 503\r\n\r\n", want: int(ingress.CodeHeader)},
	{shows: "an inline status with a description", header: "NATS/1.0 100 Idle Heartbeat\r\n\r\n", want: int(ingress.CodeHeader)},
	// The ingress' own stamps.
	{shows: "another's site", header: block("ce-site: melbourne"), want: int(ingress.CodeHeader)},
	{shows: "another producer", header: block("ce-producer: victim"), want: int(ingress.CodeHeader)},
	{shows: "a violation of one's own", header: block("ce-violation: none"), want: int(ingress.CodeHeader)},
	{shows: "a receive time", header: block("CE-Received: 2020-01-01T00:00:00Z"), want: int(ingress.CodeHeader)},
	{shows: "another source", header: block("ce-source: victim"), want: int(ingress.CodeEnvelope)},
	{shows: "another type", header: block("ce-type: net.reachability.v1"), want: int(ingress.CodeEnvelope)},
	// Doubled, differently spelt, hidden.
	{shows: "a doubled header", header: block("Nats-Msg-Id: NAME/1", "Nats-Msg-Id: NAME/2"), want: int(ingress.CodeHeader)},
	{shows: "a header in two spellings", header: block("ce-id: 1", "CE-ID: 2"), want: int(ingress.CodeHeader)},
	{shows: "a hidden second block", header: block("ce-id: 1") + block("Nats-Rollup: all"), want: int(ingress.CodeHeader)},
	{shows: "a hidden second block without its first line", header: block("ce-id: 1") + "Nats-Expected-Last-Msg-Id: wrong\r\n\r\n", want: int(ingress.CodeHeader)},
	{shows: "a hidden block paid for with blanks left out", header: "NATS/1.0\r\nce-a:1\r\nce-b:1\r\nce-c:1\r\nce-d:1\r\nce-e:1\r\n\r\nNats-Rollup:all\r\n\r\n", want: int(ingress.CodeHeader)},
	{shows: "a second first line", header: "NATS/1.0\r\nNATS/1.0\r\nNats-Rollup: all\r\n\r\n", want: int(ingress.CodeHeader)},
	{shows: "a value with a carriage return", header: block("ce-id: 1\rNats-Rollup: all"), want: int(ingress.CodeHeader)},
	{shows: "a value with a line feed", header: block("ce-id: 1\nNats-Rollup: all"), want: int(ingress.CodeHeader)},
	{shows: "a folded line", header: block("ce-id: 1", " Nats-Rollup: all"), want: int(ingress.CodeHeader)},
	{shows: "a name with a blank behind it", header: block("Nats-Rollup : all"), want: int(ingress.CodeHeader)},
	{shows: "a nameless header", header: block(": Nats-Rollup"), want: int(ingress.CodeHeader)},
	{shows: "a line without a colon", header: block("Nats-Rollup"), want: int(ingress.CodeHeader)},
	{shows: "no end of the headers", header: "NATS/1.0\r\nce-id: 1", want: int(ingress.CodeHeader)},
	{shows: "another protocol's headers", header: "HTTP/1.1\r\nce-id: 1\r\n\r\n", want: int(ingress.CodeHeader)},
	{shows: "zeros for headers", header: strings.Repeat("\x00", 16), want: int(ingress.CodeHeader)},
	{shows: "more than 8 KiB of headers", header: block("ce-a: "+strings.Repeat("a", 1000), "ce-b: "+strings.Repeat("b", 8000)), want: int(ingress.CodeHeader)},
	// Ids and streams.
	{shows: "another's message id, to make its next message a duplicate", header: block("Nats-Msg-Id: syd-02/1/EVENTS/1"), want: int(ingress.CodeMessageID)},
	{shows: "a message id without an owner", header: block("Nats-Msg-Id: 1"), want: int(ingress.CodeMessageID)},
	{shows: "the expectation of another stream", header: block("Nats-Expected-Stream: STATE"), want: int(ingress.CodeStream)},
	// Payloads.
	{shows: "an empty payload", data: "EMPTY", want: int(ingress.CodeEmpty)},
	{shows: "an empty object", data: "{}", want: int(ingress.CodeSchema)},
	{shows: "a request of the JetStream API", data: `{"seq":1}`, want: int(ingress.CodeSchema)},
	{shows: "structured mode", header: block("content-type: application/cloudevents+json"), want: int(ingress.CodeEnvelope)},
	{shows: "another content type", header: block("content-type: text/html"), want: int(ingress.CodeEnvelope)},
	{shows: "more than the tenant's message size", data: `"` + strings.Repeat("a", 64<<10) + `"`, want: int(ingress.CodeSize)},
	{shows: "more than the connection's limit", data: strings.Repeat("a", 1<<20+1), want: closed},
	{shows: "an unknown type", subject: "in.NAME.event.info.r1.no.such.v1", want: int(ingress.CodeUnknownType)},
	{shows: "an event's type as a state", subject: "in.NAME.state.r1.net.reachability.changed.v1", want: int(ingress.CodeKind)},
	// Subjects.
	{shows: "a kind that does not exist", subject: "in.NAME.log.r1.x.v1", want: int(ingress.CodeSubject)},
	{shows: "a wildcard at the end", subject: "in.NAME.>", want: int(ingress.CodeSubject)},
	{shows: "a wildcard for an entity", subject: "in.NAME.state.*.net.reachability.v1", want: int(ingress.CodeSubject)},
	{shows: "a second spelling of an entity", subject: "in.NAME.state.r%31.net.reachability.v1", want: int(ingress.CodeSubject)},
	{shows: "an empty token", subject: "in.NAME.state..net.reachability.v1", want: blocked},
	{shows: "a final dot", subject: "in.NAME.state.r1.", want: blocked},
	// Replies.
	{shows: "no reply", reply: "NONE", want: silent},
	{shows: "a wildcard in the reply", reply: "_INBOX.NAME.*", want: silent},
	{shows: "a full wildcard in the reply", reply: "_INBOX.NAME.>", want: silent},
	{shows: "the inbox itself", reply: "_INBOX.NAME", want: silent},
	{shows: "an inbox that only begins alike", reply: "_INBOX.NAMEx.a", want: silent},
	{shows: "an empty token in the reply", reply: "_INBOX.NAME..a", want: silent},
	{shows: "the end that means a fast batch", reply: "_INBOX.NAME.a.$FI", want: silent},
	{shows: "a reply of more than 200 bytes", reply: "_INBOX.NAME." + strings.Repeat("a", 200), want: silent},
}

func TestTricksAtTheDoor(t *testing.T) {
	w := shared
	for _, user := range []string{poller, producer, app, inspector} {
		t.Run(user, func(t *testing.T) {
			c := w.as(t, acme, user)
			for _, tr := range tricks {
				w.attack(t, user+": "+tr.shows, 1, func() { tr.play(t, c) })
			}
		})
	}
}

func (tr trick) play(t *testing.T, c *wire) {
	fill := func(s, otherwise string) string {
		if s == "" {
			s = otherwise
		}
		return strings.ReplaceAll(s, "NAME", c.creds.Name)
	}
	data, reply := fill(tr.data, valid), fill(tr.reply, c.inbox())
	if data == "EMPTY" {
		data = ""
	}
	if reply == "NONE" {
		reply = ""
	}
	c.pub(fill(tr.subject, toEvents), reply, fill(tr.header, ""), data)
	c.sync()
	got, errs := c.take()
	if tr.want > 0 && len(got) == 0 && len(errs) == 0 {
		got = append(got, c.await()) // the door is another connection
	}
	switch {
	case tr.want == closed && c.conn == nil:
	case tr.want == blocked && len(got) == 0 && len(errs) > 0 && c.conn != nil:
	case tr.want == silent && len(got) == 0 && len(errs) == 0:
	case tr.want > 0 && len(got) == 1 && codeOf(got[0].data) == tr.want:
	default:
		t.Errorf("%s: %s: got %q and %q, want %d", c.creds.Name, tr.shows, got, errs, tr.want)
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

// The same headers on every other request that a role may make change nothing
// either: a wrong Nats-Expected-Last-Msg-Id through every door.
func TestHeadersOnOtherRequests(t *testing.T) {
	w := shared
	doors := map[string][]string{
		poller:    {"control.syd-01.status", "control.syd-01.config"},
		reader:    {"$JS.API.CONSUMER.INFO.EVENTS.reading_all", "$JS.API.CONSUMER.MSG.NEXT.EVENTS.reading_all", "$JS.ACK.EVENTS.reading_all.1.1.1.1.0"},
		app:       {"control.billing.config", "$JS.API.CONSUMER.MSG.NEXT.DEAD.billing_dead", "$JS.ACK.DEAD.billing_dead.1.1.1.1.0"},
		inspector: {"control.ops.config", "$JS.API.STREAM.MSG.GET.EVENTS", "$JS.API.CONSUMER.CREATE.EVENTS.x", "$JS.API.CONSUMER.DELETE.EVENTS.x", "$JS.ACK.EVENTS.victim_all.9.9.9.9.0"},
	}
	headers := []string{
		block("Nats-Expected-Last-Msg-Id: wrong"), block("Status: 503"), block("Nats-Rollup: all"), block("Nats-Trace-Dest: event.x.y"), "NATS/1.0 404 No Messages\r\n\r\n",
		block("a: b") + block("Nats-Rollup: all"), "nonsense", block(`Nats-Request-Info: {"acc":"SYS","svc":"SYS"}`),
	}
	for user, subjects := range doors {
		t.Run(user, func(t *testing.T) {
			c := w.as(t, acme, user)
			for _, subject := range subjects {
				for _, h := range headers {
					for _, data := range []string{"", "{}"} {
						w.attack(t, user+" at "+subject+" with "+h, 0, func() {
							c.pub(subject, c.inbox(), h, data)
							c.sync()
							c.take() // whatever it says
						})
					}
				}
			}
		})
	}
	w.undisturbed(t)
}

// What a dead letter of an application carries is not validated: it is kept,
// and changes nothing when it is delivered somewhere.
func TestDeadLetterAsARequest(t *testing.T) {
	w := shared
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
