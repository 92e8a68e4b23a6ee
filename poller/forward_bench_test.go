package poller

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"midplane/event"
	"midplane/telemetry"
)

// BenchmarkForward measures outbox → PubAck → deleted, against one stream of
// one server in this process: what the poller's side alone can do.
func BenchmarkForward(b *testing.B) {
	for _, entities := range []int{1, 50, 1000} {
		b.Run(fmt.Sprintf("entities=%d", entities), func(b *testing.B) {
			s := broker(b, b.TempDir(), -1)
			nc := connect(b, s.ClientURL(), "syd-01")
			streams(b, nc)
			o := openBox(b, tempPath(b), time.Hour)
			data := []byte(`"` + strings.Repeat("x", 200) + `"`)
			for n := 0; n < b.N; {
				var batch []event.Event
				for ; len(batch) < 500 && n < b.N; n++ {
					e := message(event.KindEvent, fmt.Sprint("r", n%entities), n)
					e.Data = data
					batch = append(batch, e)
				}
				put(b, o, batch...)
			}
			b.ResetTimer()
			background(b, newForwarder(nc, "syd-01", o, telemetry.Nop()).Run)
			for o.Stats().Depth > 0 {
				time.Sleep(time.Millisecond)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}
