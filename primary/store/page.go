package store

import (
	"cmp"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"midplane/api"
	"midplane/fault"
)

// AfterNow, as the "after" of a question for events, is the end of the event log.
const AfterNow = "now"

// Bounds of an answer, which must fit into one NATS message of 1 MiB.
const (
	PageBytes = 512 << 10 // a page ends here although more rows were asked for
	MaxData   = 128 << 10 // the largest payload that a list of events carries along
)

// Bounds of the answer about one device.
const (
	DeviceEvents = 20        // its newest events
	DeviceParts  = 500       // its interfaces and its checks, each
	DeviceSeries = 400       // its series
	DevicePoints = 256 << 10 // bytes of all points; the rest shows its latest value only
	DeviceData   = 4 << 10   // bytes of one event's payload
)

// NamesShown is how many devices or checks of a site are named; the rest is counted.
const NamesShown = 5

// Skew is how much earlier than its own time an event may have been folded:
// by how much a device's clock may be ahead for "since" to find it.
const Skew = 10 * time.Minute

// Limit returns the page size that a request's limit means.
func Limit(n int) (int, error) {
	switch {
	case n < 0:
		return 0, fault.New(fault.Invalid, "limit %d is negative", n)
	case n == 0:
		return api.DefaultPage, nil
	}
	return min(n, api.MaxPage), nil
}

// Place is where a row of a list by tenant, site and id is, and so where a page
// ended. Rank comes before them in a list that has another order.
type Place struct {
	Tenant, Site, ID string
	Rank             int
}

// Compare orders places as their list does.
func (p Place) Compare(q Place) int {
	return cmp.Or(cmp.Compare(p.Rank, q.Rank), cmp.Compare(p.Tenant, q.Tenant), cmp.Compare(p.Site, q.Site), cmp.Compare(p.ID, q.ID))
}

// Behind reports whether a row comes on a later page than the one that ended at q.
func (p Place) Behind(q Place) bool { return p.Compare(q) > 0 }

// Token is the place as a page's "next". It is opaque to those who ask.
func (p Place) Token() string {
	text := p.Tenant + "\x00" + p.Site + "\x00" + p.ID
	if p.Rank > 0 {
		text += "\x00" + strconv.Itoa(p.Rank)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// ParsePlace reads a token; "" is the beginning.
func ParsePlace(token string) (p Place, err error) {
	if token == "" {
		return p, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(token)
	parts := strings.Split(string(b), "\x00")
	if len(parts) == 4 && err == nil {
		p.Rank, err = strconv.Atoi(parts[3])
	}
	if err != nil || len(parts) < 3 || len(parts) > 4 {
		return Place{}, fault.WithHint(fault.New(fault.Invalid, "%q is not where a page ended", token), `pass the "next" of the page before`)
	}
	return Place{Tenant: parts[0], Site: parts[1], ID: parts[2], Rank: p.Rank}, nil
}
