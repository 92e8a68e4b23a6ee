package api

import (
	"fmt"
	"strings"
	"time"
)

// TenantFacts are what a node sees of one tenant.
type TenantFacts struct {
	ID         string
	Undeclared bool   // this node can read no spec of the tenant: only the next two fields count
	Leaving    bool   // the tenant is being deleted
	Unreadable string // why this node cannot read the tenant's spec or account
	Drift      *Drift // the account was corrected lately
	Conditions []Condition
	Unset      []string       // secrets that the tenant's file refers to and that are not set
	Pollers    []Poller       // the pollers that are declared or have joined
	Held       []HeldProducer // one for each producer that is held back
	Streams    []StreamFacts
}

// Drift is how an account differed from its plan.
type Drift struct {
	Parts []string
	At    time.Time // when it was corrected
}

// StreamFacts are what a node sees of one stream.
type StreamFacts struct {
	Name     string
	Leader   string
	Bytes    uint64
	MaxBytes int64  // 0: no limit
	Above    uint64 // percent of MaxBytes above which read messages are trimmed
	Slowest  string // the reader that has read least, "" when there is none
	Unread   uint64 // messages that it has not read
	// Away is when the slowest reader was last seen, when it is silent; Window is
	// until when only the duplicate window holds the stream. Nil: neither is so.
	Away, Window *time.Time
	// Stalled is since when it stores nothing, when that does not end by itself.
	Stalled *time.Time
}

func (t TenantFacts) problems() (out []Problem) {
	if t.Undeclared {
		switch {
		case t.Leaving:
			out = append(out, wrong(CodeTenantLeaving, t.ID, "", "", "is being deleted"))
		case t.Unreadable != "":
			out = append(out, wrong(CodeTenantUnreadable, t.ID, "", "", "this node cannot read its spec: %s", t.Unreadable))
		}
		return out
	}
	if t.Drift != nil {
		out = append(out, wrong(CodeAccountDrift, t.ID, "", "", "the account differed from its plan (%s); it was signed again at %s",
			strings.Join(t.Drift.Parts, ", "), stamp(t.Drift.At)))
	}
	for _, c := range t.Conditions {
		if !c.OK {
			out = append(out, wrong(CodeTenantNotReady, t.ID, c.Type, conditionHint(c.Type), "%s: %s", c.Type, c.Message))
		}
	}
	for _, name := range t.Unset {
		out = append(out, wrong(CodeSecretNotSet, t.ID, name, fmt.Sprintf("midplane secret set %s/%s", t.ID, name), "secret:%s is referred to and not set", name))
	}
	shut := map[string]bool{}
	for _, h := range t.Held {
		out = append(out, h.problem(t.ID))
		shut[string(h.Producer)] = h.ShutOut != nil
	}
	for _, p := range t.Pollers {
		switch {
		case shut[p.ID]: // the problem above says why it is offline
		case p.Status == PollerOffline:
			out = append(out, wrong(CodePollerOffline, t.ID, p.ID, "", "poller %s is offline since %s", p.ID, since(p.LastSeen)))
		case p.Problem != "":
			out = append(out, wrong(CodePollerProblem, t.ID, p.ID, "", "poller %s: %s", p.ID, p.Problem))
		}
		if p.Overflow != nil {
			out = append(out, wrong(CodeOutboxFull, t.ID, p.ID, "", "the outbox of poller %s is at its limit: %d messages were given up since %s", p.ID, p.Overflow.Messages, stamp(p.Overflow.Since)))
		}
		if p.Thinned != nil {
			out = append(out, wrong(CodeMetricsThinned, t.ID, p.ID, "", "METRICS is full: %d samples were thinned at poller %s since %s", p.Thinned.Samples, p.ID, stamp(p.Thinned.Since)))
		}
	}
	for _, s := range t.Streams {
		out = append(out, s.problems(t.ID)...)
	}
	return out
}

func since(at *time.Time) string {
	if at == nil {
		return "an unknown time"
	}
	return stamp(*at)
}

func (s StreamFacts) problems(tenant string) (out []Problem) {
	if s.MaxBytes > 0 && s.Bytes*100 > uint64(s.MaxBytes)*s.Above {
		by, hint := s.heldBy()
		out = append(out, wrong(CodeStreamFilling, tenant, s.Name, hint, "stream %s is %d %% full; %s", s.Name, s.Bytes*100/uint64(s.MaxBytes), by))
	}
	switch {
	case s.Stalled != nil:
		out = append(out, wrong(CodeStreamStalled, tenant, s.Name, "", "stream %s stores nothing since %s, although all nodes live", s.Name, stamp(*s.Stalled)))
	case s.Leader == "":
		out = append(out, wrong(CodeStreamNoLeader, tenant, s.Name, "", "stream %s has no leader", s.Name))
	}
	return out
}

// heldBy says what a full stream waits for, and what to do when that is not what is
// usual.
func (s StreamFacts) heldBy() (by, hint string) {
	switch {
	case s.Slowest == "":
		return "no primary reads it", ""
	case s.Window != nil: // also when a reader has not read what came since
		return fmt.Sprintf("all have read what is to go, and the duplicate window holds it until %s", stamp(*s.Window)),
			"it ends by itself; producers keep what they have until then. A larger quota.storage is full less often"
	case s.Away != nil && s.Unread > 0:
		return fmt.Sprintf("%s is away since %s and has %d messages to read", s.Slowest, stamp(*s.Away), s.Unread), ""
	case s.Unread > 0:
		return fmt.Sprintf("its slowest reader is %s, which has %d messages to read", s.Slowest, s.Unread), ""
	}
	return "all have read it, and it is trimmed within seconds", ""
}

// problem says which limit holds a producer back, since when, and what would lift
// that limit.
func (h HeldProducer) problem(tenant string) Problem {
	limit := "quota." + h.Limit
	if h.Value > 0 {
		limit += fmt.Sprintf(" (%d a second)", h.Value)
	}
	message := fmt.Sprintf("producer %s is held back by %s since %s", h.Producer, limit, stamp(h.Since))
	if h.Refused > 0 {
		message += fmt.Sprintf(": %d messages were refused", h.Refused)
	}
	if h.Waiting > 0 {
		message += fmt.Sprintf("; %d messages wait in its outbox", h.Waiting)
	}
	if h.ShutOut != nil {
		return wrong(CodeProducerShutOut, tenant, string(h.Producer), h.Hint(),
			"%s; the producer did not wait, and is shut out until %s", message, stamp(*h.ShutOut))
	}
	return wrong(CodeProducerHeldBack, tenant, string(h.Producer), h.Hint(), "%s", message)
}

// Hint says what would lift the limit that holds the producer back.
func (h HeldProducer) Hint() string {
	if h.ShutOut != nil {
		return CodeProducerShutOut.row().Do + "; " + LiftHint(h.Limit)
	}
	return LiftHint(h.Limit)
}

func conditionHint(condition string) string {
	switch condition {
	case AccountPushed:
		return "the named nodes take the account from the registry by themselves; are their clocks and disks all right?"
	case StreamsReady:
		return "are two of the three nodes up, and is there room on their disks?"
	case SchemasBound:
		return "the named nodes take the schemas from the registry by themselves"
	case IngressOpen:
		return "see the log of the named nodes"
	case PrimaryReading:
		return "start a primary: midplane primary"
	}
	return ""
}
