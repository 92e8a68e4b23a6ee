package tenants

import (
	"testing"

	"midplane/event"
)

// TestWeightsAreForever: other weights would move devices between pollers with an
// upgrade.
func TestWeightsAreForever(t *testing.T) {
	for _, tt := range []struct {
		poller event.Producer
		device event.Entity
		want   uint64
	}{
		{"syd-01", "r1", 0xcd6854505843f0e8}, {"syd-02", "r1", 0x9217c4a0fbbdc599},
		{"syd-01", "core-sw-1", 0x57594085a4ddb2d3}, {"mel-01", "loopback", 0xc6ae1177074d1fe9},
	} {
		if got := weight(tt.poller, tt.device); got != tt.want {
			t.Errorf("%s and %s weigh %#x, want %#x", tt.poller, tt.device, got, tt.want)
		}
	}
}
