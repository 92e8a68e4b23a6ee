package forward

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"midplane/event"
	"midplane/poller/pollertest"
	"midplane/telemetry"
)

// BenchmarkForward measures outbox → PubAck → deleted, against one stream of
// one server in this process: what the poller's side alone can do.
func BenchmarkForward(b *testing.B) {
	for _, entities := range []int{1, 50, 1000} {
		b.Run(fmt.Sprintf("entities=%d", entities), func(b *testing.B) {
			s := pollertest.Broker(b, b.TempDir(), -1)
			nc := pollertest.Connect(b, s.ClientURL(), "syd-01")
			pollertest.Streams(b, nc)
			o := pollertest.Open(b, pollertest.TempPath(b), time.Hour)
			data := []byte(`"` + strings.Repeat("x", 200) + `"`)
			for n := 0; n < b.N; {
				var batch []event.Event
				for ; len(batch) < 500 && n < b.N; n++ {
					e := pollertest.Message(event.KindEvent, fmt.Sprint("r", n%entities), n)
					e.Data = data
					batch = append(batch, e)
				}
				pollertest.Put(b, o, batch...)
			}
			b.ResetTimer()
			pollertest.Background(b, New(nc, "syd-01", o, fast(), telemetry.Nop()).Run)
			for o.Stats().Depth > 0 {
				time.Sleep(time.Millisecond)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}
