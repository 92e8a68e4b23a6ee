package outbox

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"midplane/event"
)

// BenchmarkPut measures rows per second, synced to disk, as emitters see them:
// each waits for its own message to be safe before it brings the next.
func BenchmarkPut(b *testing.B) {
	data := `{"x":"` + strings.Repeat("y", 200) + `"}`
	for _, emitters := range []int{1, 64, 256} {
		for _, kind := range []string{"metric", "state"} {
			b.Run(fmt.Sprintf("%s/emitters=%d", kind, emitters), func(b *testing.B) {
				o, _ := opened(b, Config{Path: filepath.Join(b.TempDir(), "o.db"), MaxBytes: 1 << 30})
				b.ResetTimer()
				var wg sync.WaitGroup
				for i := range emitters {
					n := b.N / emitters
					if i < b.N%emitters {
						n++
					}
					wg.Go(func() {
						e := sample(fmt.Sprintf("r%d/if/%d", i%50, i), data)
						if kind == "state" {
							e = state(string(e.Entity), data)
						}
						for range n {
							if err := o.Put(context.Background(), e); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			})
		}
	}
	b.Run("metric/emitters=64x16", func(b *testing.B) { benchBatches(b, data) })
}

// benchBatches is 64 emitters that bring 16 messages in one call, as a
// collector does that has read a switch.
func benchBatches(b *testing.B, data string) {
	o, _ := opened(b, Config{Path: filepath.Join(b.TempDir(), "o.db"), MaxBytes: 1 << 30})
	b.ResetTimer()
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for n := i; n < b.N/16+1; n += 64 {
				e := sample(fmt.Sprintf("r%d", i), data)
				if err := o.Put(context.Background(), e, e, e, e, e, e, e, e, e, e, e, e, e, e, e, e); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64((b.N/16+1)*16)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkDrain measures taking, acknowledging and deleting, 50 entities.
func BenchmarkDrain(b *testing.B) {
	o, _ := opened(b, Config{Path: filepath.Join(b.TempDir(), "o.db"), MaxBytes: 1 << 30})
	for n := 0; n < b.N; {
		var batch = make([]int, 0, 1000)
		for ; len(batch) < 1000 && n < b.N; n++ {
			batch = append(batch, n)
		}
		events := make([]event.Event, 0, len(batch))
		for _, i := range batch {
			events = append(events, sample(fmt.Sprintf("r%d", i%50), `{"rttMs":1}`))
		}
		put(b, o, events...)
	}
	b.ResetTimer()
	for left := b.N; left > 0; {
		got, err := o.Next(context.Background(), 256)
		if err != nil {
			b.Fatal(err)
		}
		for i := range got {
			o.Ack(&got[i])
		}
		left -= len(got)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
