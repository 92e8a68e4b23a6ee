package ingress

import (
	"testing"
	"time"
)

// noon is when tests happen.
var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// A flood of refusals cannot fill the stream that explains them.
func TestDeadLettersAreLimited(t *testing.T) {
	d := newDeadLetters(nil, nil)
	kept := 0
	for at := noon; at.Before(noon.Add(10 * time.Second)); at = at.Add(time.Millisecond) {
		if d.lim.AllowN(at, 1) {
			kept++
		}
	}
	if want := deadBurst + 10*deadPerSecond; kept < want-1 || kept > want {
		t.Errorf("%d of 10,000 refusals in ten seconds are kept, want %d", kept, want)
	}
}
