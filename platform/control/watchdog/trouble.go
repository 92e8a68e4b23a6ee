package watchdog

import (
	"slices"
	"strings"
	"time"
)

// How long a stream may store nothing before that is reported, which is longer than
// an election takes, and before that does not end by itself while all nodes live.
const (
	raiseAfter   = 15 * time.Second
	stalledAfter = 45 * time.Second
)

// Trouble is a stream that stores nothing.
type Trouble struct {
	Tenant string    `json:"tenant"`
	Stream string    `json:"stream"`
	Leader string    `json:"leader"` // that does not get on; "": it has none
	Since  time.Time `json:"since"`
	Raised bool      `json:"raised,omitempty"`
	// Stalled says that it has lasted although all nodes live.
	Stalled bool `json:"stalled,omitempty"`
}

func (t Trouble) key() string { return t.Tenant + "/" + t.Stream }

// sight is a stream as it is seen now.
type sight struct {
	tenant, stream, leader string
	stuck                  bool // its leader does not get on
}

// troubles are the streams that store nothing, by Trouble.key.
type troubles map[string]Trouble

// see brings the troubles up to what is seen now, and returns those that are over. A
// stream that is not in seen is as it was. It is pure.
func (all troubles) see(seen []sight, now time.Time) (over []Trouble) {
	for _, s := range seen {
		t := Trouble{Tenant: s.tenant, Stream: s.stream}
		was, known := all[t.key()]
		switch {
		case s.leader != "" && !s.stuck:
			if known {
				over = append(over, was)
				delete(all, t.key())
			}
		case known:
			was.Leader = s.leader
			all[t.key()] = was
		default:
			t.Leader, t.Since = s.leader, now.UTC().Round(0) // as it is when it was stored
			all[t.key()] = t
		}
	}
	return over
}

// take takes over what the leading node before this one knew: since when, and what it
// has raised. What is over by now is returned. It is pure.
func (all troubles) take(stored troubles) (over []Trouble) {
	for key, before := range stored {
		t, known := all[key]
		if !known {
			over = append(over, before)
			continue
		}
		if before.Since.Before(t.Since) {
			t.Since = before.Since
		}
		t.Raised, t.Stalled = t.Raised || before.Raised, t.Stalled || before.Stalled
		all[key] = t
	}
	return over
}

// due marks what is to be raised now, and returns it: that a stream stores
// nothing, and that this does not end by itself. It is pure.
func (all troubles) due(now time.Time, allLive bool) (list []Trouble) {
	for key, t := range all {
		lasts := now.Sub(t.Since)
		switch {
		case lasts >= stalledAfter && allLive && !t.Stalled:
			t.Raised, t.Stalled = true, true
		case lasts >= raiseAfter && !t.Raised:
			t.Raised = true
		default:
			continue
		}
		all[key] = t
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b Trouble) int { return strings.Compare(a.key(), b.key()) })
	return list
}

// reported are those that are kept for the next leading node.
func (all troubles) reported() troubles {
	out := troubles{}
	for key, t := range all {
		if t.Raised {
			out[key] = t
		}
	}
	return out
}
