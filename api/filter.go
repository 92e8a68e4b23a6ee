package api

import (
	"slices"
	"strings"

	"midplane/event"
	"midplane/fault"
)

// OrderStatus is the Order of a list of devices that begins with those that are
// down, then those of which it is not known.
const OrderStatus = "status"

// Statuses that a device and a check can have, the most urgent first.
var (
	DeviceStatuses = []string{event.StatusDown, event.StatusUnknown, event.StatusUp}
	CheckStatuses  = []string{event.CheckCritical, event.CheckWarning, event.CheckUnknown, event.CheckOK}
)

// CheckStatus refuses a status that no row can have.
func CheckStatus(status string, of []string) error {
	if status == "" || slices.Contains(of, status) {
		return nil
	}
	return fault.WithHint(fault.New(fault.Invalid, "status %q is not known", status), "use one of: %s", strings.Join(of, ", "))
}

// Words are those of a search, which a row must have all of.
func Words(search string) []string { return strings.Fields(strings.ToLower(search)) }

// SearchText is what is looked through for words.
func SearchText(parts ...string) string { return strings.ToLower(strings.Join(parts, "\n")) }

// HasWords reports whether a search text has all words.
func HasWords(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// Matches reports whether a row of a list of the query service is one that Status,
// Poller and Search ask for. Of a row of another list nothing is asked.
func (r ListRequest) Matches(row any) bool {
	switch row := row.(type) {
	case Device:
		return (r.Status == "" || row.Status == r.Status) && (r.Poller == "" || row.Poller == r.Poller) &&
			r.finds(row.ID, row.Name, row.Address)
	case Interface:
		return (r.Status == "" || row.OperStatus == r.Status) && r.finds(row.ID, row.Name, row.Alias)
	case Check:
		return (r.Status == "" || row.Status == r.Status) && r.finds(row.ID, row.Name, row.Target)
	}
	return true
}

func (r ListRequest) finds(parts ...string) bool {
	return r.Search == "" || HasWords(SearchText(parts...), Words(r.Search))
}
