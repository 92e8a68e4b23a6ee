package streams

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/fault"
)

// TestTooLargeIsNotWaitedFor: a node that is away comes back, but waiting makes no
// room on disks. The texts are the server's.
func TestTooLargeIsNotWaitedFor(t *testing.T) {
	for text, wait := range map[string]bool{
		"no suitable peers for placement":                                     true,
		"no suitable peers for placement, peer offline":                       true,
		"no suitable peers for placement, peer offline, insufficient storage": true,
		"no suitable peers for placement, insufficient storage":               false,
	} {
		err := fmt.Errorf("create stream EVENTS: %w", &jetstream.APIError{Code: 400, ErrorCode: CodeNoPeers, Description: text})
		if temporary(err) != wait {
			t.Errorf("%s: temporary is %v", text, !wait)
		}
		if wait {
			continue
		}
		if got := classify(err, "streams"); !fault.Is(got, fault.Exhausted) || fault.HintOf(got) == "" {
			t.Errorf("%s: %v (%s)", text, got, fault.KindOf(got))
		}
	}
}
