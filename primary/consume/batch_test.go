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
		interfaces, least, most int
	}{
		"small switches":          {48, 80, 110},
		"one that is large alone": {9000, 1, 1},
		"other messages":          {0, store.MaxBatch, store.MaxBatch},
	} {
		m := fold.Message{Event: event.Event{Kind: event.KindMetric, Type: event.TypePing, Data: json.RawMessage(`{"rttMs":1}`)}}
		if tc.interfaces > 0 {
			var list event.CountersList
			for i := range tc.interfaces {
				list.Add(fmt.Sprint(i), event.Counters{InOctets: 1})
			}
			m.Type = event.TypeCountersList
			m.Data, _ = json.Marshal(list)
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
