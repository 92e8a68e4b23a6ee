package trim

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/event"
	"midplane/streams"
)

// What is inside a stream's own window is not trimmed, and clocks may differ. While
// two versions run, METRICS may have the longer window of the older one.
func TestYoung(t *testing.T) {
	r := New(Config{})
	for _, cfg := range streams.Tenant(streams.Split(64<<20), "cap") {
		want := 11 * time.Minute
		if cfg.Name == event.StreamMetrics {
			want = 3 * time.Minute
		}
		if got := r.young(cfg); got != want {
			t.Errorf("%s: %s, want %s", cfg.Name, got, want)
		}
	}
	if got := r.young(jetstream.StreamConfig{Name: event.StreamMetrics, Duplicates: streams.DuplicateWindow}); got != 11*time.Minute {
		t.Errorf("a window that another version set: %s", got)
	}
}
