package admit

import (
	"strconv"
	"strings"
	"time"

	"midplane/event"
	"midplane/subject"
	"midplane/tenants/account"
)

// maxDeadLetter is how many bytes of a refused message's payload are kept:
// enough to find the mistake.
const maxDeadLetter = 64 << 10

// TypeRefused is the type of a dead letter whose subject did not name one.
const TypeRefused event.Type = "midplane.message.refused.v1"

// DeadLetter returns what is kept of a message that was refused, with why. It
// has no reply: when DEAD is full the refusal has been answered and counted.
func DeadLetter(t *Snapshot, m Input, producer event.Producer, r *Refusal, at time.Time, id string) Message {
	in := subject.In{Producer: producer, Kind: event.KindDead, DeadStream: event.StreamEvents, DeadReason: r.Reason,
		Entity: event.Entity(producer), Type: TypeRefused}
	if named, err := subject.ParseIn(m.Subject); err == nil {
		in.Entity, in.Type, in.DeadStream = named.Entity, named.Type, named.Kind.Stream()
	}
	now := at.UTC().Format(time.RFC3339Nano)
	data := m.Data
	if len(data) > maxDeadLetter {
		data = data[:maxDeadLetter]
	}
	h := map[string][]string{}
	for name, value := range map[string]string{
		event.HeaderGuard:       event.GuardLevel,
		event.HeaderSpecVersion: "1.0",
		event.HeaderID:          id,
		event.HeaderType:        string(in.Type),
		event.HeaderSource:      account.UserIngress,
		event.HeaderTime:        now,
		event.HeaderReceived:    now,
		event.HeaderProducer:    string(producer),
		event.HeaderSite:        string(t.Users[string(producer)].Site),
		"ce-deadreason":         r.Reason,
		"ce-deadcode":           strconv.Itoa(int(r.Code)),
		"ce-deaddetail":         strings.ToValidUTF8(printableLine(r.Description), "?"),
		"ce-deadtime":           now,
		"ce-deadsize":           strconv.Itoa(len(m.Data)),
		"ce-deadattempts":       "1",
	} {
		if value != "" {
			h[name] = []string{value}
		}
	}
	if site := h[event.HeaderSite]; len(site) == 0 {
		h[event.HeaderSite] = []string{string(event.NoSite)}
	}
	return Message{Subject: t.Capability.Subject(in.StoredAs("")), Header: h, Data: data}
}

func printableLine(s string) string {
	if len(s) > 500 {
		s = s[:500]
	}
	return strings.Join(strings.Fields(s), " ")
}
