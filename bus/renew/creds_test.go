package renew

import (
	"fmt"
	"testing"
	"time"
)

// TestRenewalsAreSpread: a thousand users that were made in the same second
// renew one after the other, none before three or after eight tenths of its life, and from then on every half, at the same place.
func TestRenewalsAreSpread(t *testing.T) {
	const users, parts = 5000, 24
	life := 24 * time.Hour
	issued := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	var second [parts]int
	for i := range users {
		c := Creds{Name: fmt.Sprint("poller-", i), Issued: issued, Expires: issued.Add(life)}
		due := c.Due()
		if due.Before(issued.Add(life*3/10)) || due.After(issued.Add(life*8/10)) {
			t.Fatalf("%s renews %s after it was issued", c.Name, due.Sub(issued))
		}
		// The service's clock is a minute off, this way or that.
		next := Creds{Name: c.Name, Issued: due.Add(time.Duration(i%3-1) * time.Minute), Expires: due.Add(life)}
		next.Expires = next.Issued.Add(life)
		again := next.Due()
		if gap := again.Sub(due); gap != life/2 {
			t.Fatalf("%s renews again %s later", c.Name, gap)
		}
		second[int(again.Sub(issued.Add(life*3/10+life/2))*parts/(life/2))]++
	}
	for i, n := range second {
		if n > users/parts*3/2 {
			t.Errorf("%d of %d renew in part %d of %d", n, users, i, parts)
		}
	}
}

func TestCredentialsWithoutEndAreNotRenewed(t *testing.T) {
	if due := (Creds{Name: "a", Issued: time.Now()}).Due(); !due.IsZero() {
		t.Errorf("due at %s", due)
	}
}
