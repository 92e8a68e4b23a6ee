package consume

import (
	"encoding/json"
	"fmt"
	"testing"

	"midplane/event"
	"midplane/primary/fold"
	"midplane/primary/store"
)

// A batch ends when its messages become many rows, long before it has store.MaxBatch
// of them; ordinary messages fill it.
func TestBatchIsBoundedByRows(t *testing.T) {
	for name, tc := range map[string]struct {
		checks, least, most int
	}{
		"hosts of many checks": {48, 80, 110},
		"the largest":          {1000, 4, 6},
		"other messages":       {0, store.MaxBatch, store.MaxBatch},
	} {
		m := fold.Message{Event: event.Event{Kind: event.KindMetric, Type: event.TypePing, Data: json.RawMessage(`{"rttMs":1}`)}}
		if tc.checks > 0 {
			var beat event.Seen
			for i := range tc.checks {
				beat.Checks = append(beat.Checks, event.CheckRuns{Name: fmt.Sprint(i)})
			}
			m.Type = event.TypeSeen
			m.Data, _ = json.Marshal(beat)
		}
		b, n := batch{}, 0
		for ; !b.full(); n++ {
			b.push(m)
		}
		if n < tc.least || n > tc.most {
			t.Errorf("%s: a batch of %d messages", name, n)
		}
	}
}
