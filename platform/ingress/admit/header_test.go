package admit

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
)

// What is not on the list is refused by name, so that a producer learns which.
func TestHeadersRefusedByName(t *testing.T) {
	for _, name := range []string{
		"Nats-Trace-Dest", "Nats-Trace-Only", "Nats-Rollup", "Nats-TTL", "Nats-Schedule", "Nats-Schedule-Target", "Nats-Schedule-TTL", "Nats-Schedule-Source",
		"Nats-Batch-Id", "Nats-Batch-Sequence", "Nats-Batch-Commit", "Nats-Expected-Last-Msg-Id", "Nats-Expected-Last-Sequence",
		"Nats-Expected-Last-Subject-Sequence", "Nats-Expected-Last-Subject-Sequence-Subject", "Nats-Incr", "Nats-Marker-Reason", "Nats-Request-Info",
		"Nats-Required-Api-Level", "Nats-Stream-Source", "Nats-Num-Pending", "Nats-Sequence", "Nats-Subject", "Nats-Time-Stamp",
		"Status", "Description", "KV-Operation", "Authorization", "X-Anything", "ce-", "ce", "ce-with-dash", "ce-with_line", "Nats-Msg-Id ", " Nats-Msg-Id", "Nats-Msg-Id\x00",
	} {
		for _, spelt := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			t.Run(spelt, func(t *testing.T) {
				in := message()
				in.Header = nats.Header{spelt: {"1"}}
				in.HeaderBytes = 40
				a, r := admit(acme(), "syd-01", in)
				wantRefusal(t, a, r, CodeHeader, printable(strings.ToLower(name)))
			})
		}
	}
}

// Midplane's own stamps are refused from a producer, however they are spelt.
func TestStampsAreNotAProducersToSay(t *testing.T) {
	for _, name := range []string{"ce-producer", "ce-site", "ce-schemaversion", "ce-received", "ce-violation", "CE-Site", "Ce-Violation"} {
		a, r := admit(acme(), "syd-01", message(name+": x"))
		wantRefusal(t, a, r, CodeHeader, strings.ToLower(name), "stamped by Midplane")
	}
}

func TestBaggageIsTakenAndDropped(t *testing.T) {
	a, r := admit(acme(), "syd-01", message("Baggage: user=secret"))
	if r != nil {
		t.Fatal(r.Description)
	}
	for name := range a.Msg.Header {
		if strings.EqualFold(name, "baggage") {
			t.Error("it was passed on")
		}
	}
}

func TestHeaderBlocks(t *testing.T) {
	hidden := "NATS/1.0\r\nce-id: 1\r\n\r\nNATS/1.0\r\nNats-Rollup: all\r\n\r\n"
	for _, tc := range []struct {
		shows, block string
		says         string
	}{
		{"a name that stands twice", block("ce-id: 1", "ce-id: 2"), "2 times"},
		{"a name that stands twice in another spelling", block("ce-id: 1", "CE-ID: 2"), "twice"},
		{"a message id in two spellings", block("Nats-Msg-Id: syd-01/1", "nats-msg-id: syd-01/2"), "twice"},
		{"a hidden second block", hidden, "more than can be decoded"},
		{"bytes behind the end", block("ce-id: 1") + "x", "more than can be decoded"},
		{"a line without a colon", block("ce-id: 1", "nonsense"), "cannot be decoded"},
		{"another protocol", "HTTP/1.1\r\nce-id: 1\r\n\r\n", "cannot be decoded"},
		{"no end", "NATS/1.0\r\nce-id: 1", "cannot be decoded"},
		{"only the first line", "NATS/1.0\r\n\r\n", "cannot be decoded"},
		{"an inline status", "NATS/1.0 503\r\n\r\n", "status"},
		{"an inline status with a description", "NATS/1.0 404 No Messages\r\n\r\n", "not allowed"},
		{"a nameless header, which the client skips", block("ce-id: 1", ": Nats-Rollup"), "more than can be decoded"},
		{"a lone carriage return in a value", block("ce-id: a\rNats-Rollup: all"), "control characters"},
		{"a NUL in a value", block("ce-id: a\x00b"), "control characters"},
		{"a C1 control character", block("ce-id: a\u0085b"), "control characters"},
		{"bytes that are not UTF-8", block("ce-id: a\xff"), "UTF-8"},
		{"a value of more than 1 KiB", block("ce-id: " + strings.Repeat("a", maxHeaderValue+1)), "longer than"},
		{"more than 40 headers", block(repeat(41, "ce-x%d: 1")...), "more than 40 headers"},
		{"more than 8 KiB", block(repeat(9, "ce-x%d: "+strings.Repeat("a", 1000))...), "8192 bytes"},
	} {
		t.Run(tc.shows, func(t *testing.T) {
			in := message()
			in.Header, in.HeaderBytes = wire(tc.block)
			a, r := admit(acme(), "syd-01", in)
			wantRefusal(t, a, r, CodeHeader, tc.says)
		})
	}
}

func TestHeaderValues(t *testing.T) {
	for _, tc := range []struct {
		shows, header string
		code          Code // 0: admitted
	}{
		{"one's own message id", "Nats-Msg-Id: syd-01/1/EVENTS/1", 0},
		{"another's message id", "Nats-Msg-Id: syd-02/1/EVENTS/1", CodeMessageID},
		{"an id that begins with one's name, without the slash", "Nats-Msg-Id: syd-01x/1", CodeMessageID},
		{"the name in capitals", "Nats-Msg-Id: SYD-01/1", CodeMessageID},
		{"a message id beyond 200 bytes", "Nats-Msg-Id: syd-01/" + strings.Repeat("1", 200), CodeMessageID},
		{"the stream that the subject leads to", "Nats-Expected-Stream: EVENTS", 0},
		{"another stream", "Nats-Expected-Stream: STATE", CodeStream},
		{"the version of CloudEvents", "ce-specversion: 1.0", 0},
		{"another version", "ce-specversion: 0.3", CodeEnvelope},
		{"the subject's type", "ce-type: " + changed, 0},
		{"another type", "ce-type: net.reachability.v1", CodeEnvelope},
		{"oneself as the source", "ce-source: syd-01", 0},
		{"another source", "ce-source: syd-02", CodeEnvelope},
		{"a time with an offset", "ce-time: 2026-01-31T12:00:00.123456789+11:00", 0},
		{"a time without a zone", "ce-time: 2026-01-31T12:00:00", CodeEnvelope},
		{"a time before there were any", "ce-time: 0000-01-01T00:00:00+23:59", CodeEnvelope},
		{"a time that overflows nanoseconds", "ce-time: 9999-01-01T00:00:00Z", CodeEnvelope},
		{"JSON", "content-type: application/json; charset=utf-8", 0},
		{"a kind of JSON", "content-type: application/vnd.x+json", 0},
		{"another media type", "content-type: text/plain", CodeEnvelope},
		{"structured mode", "content-type: application/cloudevents+json", CodeEnvelope},
		{"a batch of structured mode", "content-type: Application/CloudEvents-batch+json", CodeEnvelope},
		{"an extension", "ce-rackunit: 12", 0},
		{"an extension's name of 41 letters", "ce-" + strings.Repeat("a", 41) + ": 1", CodeHeader},
	} {
		t.Run(tc.shows, func(t *testing.T) {
			a, r := admit(acme(), "syd-01", message(tc.header))
			if tc.code != 0 {
				wantRefusal(t, a, r, tc.code)
			} else if r != nil {
				t.Fatal(r.Description)
			}
		})
	}
}

// The loss ledger's three numbers go together.
func TestLedgerHeaders(t *testing.T) {
	for _, tc := range []struct {
		epoch, sequence, low string
		good                 bool
	}{
		{"1", "1", "0", true}, {"1795000000", "9223372036854775807", "9", true},
		{"1", "1", "1", false}, {"1", "1", "2", false}, {"0", "1", "0", false}, {"1", "0", "0", false}, {"-1", "1", "0", false}, {"1", "+1", "0", false},
		{"1", "1", "", false}, {"", "1", "0", false}, {"1", "", "0", false}, {"1", "9223372036854775808", "0", false}, {"1e3", "1", "0", false}, {"0x1", "1", "0", false},
	} {
		var lines []string
		for name, value := range map[string]string{"ce-epoch": tc.epoch, "ce-sequence": tc.sequence, "ce-low": tc.low} {
			if value != "" {
				lines = append(lines, name+": "+value)
			}
		}
		a, r := admit(acme(), "syd-01", message(lines...))
		if (r == nil) != tc.good {
			t.Errorf("%v: admitted %t, want %t", tc, r == nil, tc.good)
		}
		if !tc.good && r != nil {
			wantRefusal(t, a, r, CodeEnvelope)
		}
	}
}

// A malformed trace is dropped, not refused: telemetry never costs data.
func TestMalformedTraceIsDropped(t *testing.T) {
	for _, tp := range []string{
		"x", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
		"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
	} {
		a, r := admit(acme(), "syd-01", message("traceparent: "+tp, "tracestate: a=b"))
		if r != nil {
			t.Fatal(r.Description)
		}
		if first(a.Msg.Header, "traceparent") != "" || first(a.Msg.Header, "tracestate") != "" {
			t.Errorf("%q was passed on", tp)
		}
	}
}
