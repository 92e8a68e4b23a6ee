package admit

import "testing"

// BenchmarkAdmit is what the decision about one good event with a poller's
// headers costs.
func BenchmarkAdmit(b *testing.B) {
	snap := acme()
	in := message("Nats-Msg-Id: syd-01/1/EVENTS/7", "ce-id: syd-01/1/EVENTS/7", "ce-time: 2026-01-31T11:59:58Z",
		"ce-epoch: 1", "ce-sequence: 7", "ce-low: 6", "content-type: application/json", "Nats-Expected-Stream: EVENTS")
	b.ReportAllocs()
	for b.Loop() {
		producer, drop := Screen(in.Subject, in.Reply)
		if drop != DropNone {
			b.Fatal(drop)
		}
		if _, r := admit(snap, producer, in); r != nil {
			b.Fatal(r.Description)
		}
	}
}
