package console

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/fault"
)

// params is a checked query string.
type params struct {
	tenant, site       string
	producer           string
	status, poller     string
	search, order      string
	position           string // of changes
	severity           event.Severity
	typ, entity, after string
	since              *time.Time
	limit              int // 0: not given
	newest             bool
	paged              bool // limit or after was given
}

// maxAfter bounds a position, which is opaque here, and what is searched, in bytes.
const (
	maxAfter  = 1024
	maxSearch = 256
)

// sincePosition stands for "since" where that is a position and no time.
const sincePosition = "since (a position)"

// readParams reads the query string of u, of which only the names in allow may
// be there. A name without a value counts as left out.
func readParams(u *url.URL, now time.Time, allow ...string) (params, error) {
	var p params
	values, err := url.ParseQuery(u.RawQuery)
	if since := values["since"]; slices.Contains(allow, sincePosition) && since != nil {
		delete(values, "since")
		values[sincePosition] = since
	}
	if err != nil {
		return p, fault.WithHint(fault.New(fault.Invalid, "the query string cannot be read"), "escape values percent-style")
	}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names) // the same mistake, the same answer
	for _, name := range names {
		if !slices.Contains(allow, name) {
			return p, fault.WithHint(fault.New(fault.Invalid, "query parameter %q is not known here", name), "%s", known(allow))
		}
		if len(values[name]) > 1 {
			return p, fault.New(fault.Invalid, "query parameter %q is there %d times", name, len(values[name]))
		}
		if value := values.Get(name); value != "" {
			if err := p.set(name, value, now); err != nil {
				return p, fault.Wrap(fault.Invalid, err, "query parameter %q", name)
			}
		}
	}
	if p.newest && p.after != "" {
		return p, fault.New(fault.Invalid, `query parameters "newest" and "after" exclude each other`)
	}
	return p, nil
}

func known(allow []string) string {
	if len(allow) == 0 {
		return "this path has none"
	}
	return "known are: " + strings.Join(allow, ", ")
}

func (p *params) set(name, value string, now time.Time) (err error) {
	switch name {
	case "tenant":
		p.tenant, err = value, event.CheckName("tenant", value)
	case "site":
		p.site = value
		if value != string(event.NoSite) {
			err = event.CheckName("site", value)
		}
	case "status":
		if p.status = value; len(value) > maxSearch {
			err = fault.New(fault.Invalid, "%d bytes are too long", len(value))
		}
	case "order":
		if p.order = value; value != api.OrderStatus {
			err = fault.New(fault.Invalid, "%q is not %q", value, api.OrderStatus)
		}
	case "q":
		if p.search = value; len(value) > maxSearch {
			err = fault.New(fault.Invalid, "%d bytes are too long", len(value))
		}
	case "poller":
		p.poller, err = value, event.CheckName("poller", value)
	case sincePosition:
		if p.position = value; len(value) > maxAfter {
			err = fault.New(fault.Invalid, "%d bytes are too long", len(value))
		}
	case "producer":
		p.producer, err = value, event.CheckName("producer", value)
	case "severity":
		if p.severity = event.Severity(value); p.severity.Level() < 0 {
			err = fault.WithHint(fault.New(fault.Invalid, "severity %q is not known", value), "use one of %v", event.Severities)
		}
	case "type":
		if p.typ = value; len(value) > event.MaxType || strings.ContainsAny(value, " *>\t\r\n") {
			err = fault.New(fault.Invalid, "%q is not a type or the beginning of one", value)
		}
	case "entity":
		p.entity, err = value, event.CheckEntity(event.Entity(value))
	case "after":
		p.paged = true
		if p.after = value; len(value) > maxAfter {
			err = fault.New(fault.Invalid, "%d bytes are too long", len(value))
		}
	case "limit":
		p.paged = true
		if p.limit, err = strconv.Atoi(value); err != nil || p.limit < 1 || p.limit > api.MaxPage {
			err = fault.New(fault.Invalid, "%q is not a number from 1 to %d", value, api.MaxPage)
		}
	case "newest":
		if p.newest, err = strconv.ParseBool(value); err != nil {
			err = fault.New(fault.Invalid, "%q is neither true nor false", value)
		}
	case "since":
		p.since, err = readSince(value, now)
	}
	return err
}

// readSince reads a time, or how long ago it was.
func readSince(value string, now time.Time) (*time.Time, error) {
	if at, err := time.Parse(time.RFC3339, value); err == nil {
		at = at.UTC()
		return &at, nil
	}
	var ago api.Duration
	if err := ago.UnmarshalText([]byte(value)); err != nil || ago.Std() <= 0 {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%q is neither a time nor how long ago", value),
			`write it like "2026-01-31T15:04:05Z", "15m" or "7d"`)
	}
	at := now.Add(-ago.Std()).UTC()
	return &at, nil
}

func (p params) list(limit int, after string) api.ListRequest {
	return api.ListRequest{Tenant: p.tenant, Site: p.site, Producer: p.producer, Status: p.status, Poller: p.poller, Search: p.search, Order: p.order,
		Limit: limit, After: after}
}

func (p params) events(limit int, after string) api.EventRequest {
	return api.EventRequest{
		Tenant: p.tenant, Site: p.site, Severity: p.severity, Type: p.typ, Entity: p.entity,
		Since: p.since, Limit: limit, After: after, Newest: p.newest,
	}
}
