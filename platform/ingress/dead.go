package ingress

import (
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/time/rate"

	"midplane/event"
	"midplane/subject"
	"midplane/tenants/account"
)

// What is kept of refused messages: enough to find the mistake, not so much
// that a flood of bad messages fills the stream that explains it.
const (
	deadPerSecond = 10
	deadBurst     = 50
	deadMaxBytes  = 64 << 10
)

// TypeRefused is the type of a dead letter whose subject did not name one.
const TypeRefused event.Type = "midplane.message.refused.v1"

// deadLetters keeps refused messages in DEAD, with why.
type deadLetters struct {
	nc  *nats.Conn
	lim *rate.Limiter
}

func newDeadLetters(nc *nats.Conn) *deadLetters {
	return &deadLetters{nc: nc, lim: rate.NewLimiter(deadPerSecond, deadBurst)}
}

// keep stores m unless there were too many lately; the refusal itself is
// counted whatever happens here, and the producer has its answer.
func (d *deadLetters) keep(t *Snapshot, m *nats.Msg, producer event.Producer, r *Refusal) {
	if r.Reason == "" || !d.lim.Allow() {
		return
	}
	// No reply: when DEAD is full the refusal has been answered and counted.
	_ = d.nc.PublishMsg(letter(t, m, producer, r, time.Now(), newID()))
}

// letter is the dead letter of a refused message. It is pure.
func letter(t *Snapshot, m *nats.Msg, producer event.Producer, r *Refusal, at time.Time, id string) *nats.Msg {
	in := subject.In{Producer: producer, Kind: event.KindDead, DeadStream: event.StreamEvents, DeadReason: r.Reason,
		Entity: event.Entity(producer), Type: TypeRefused}
	if said, err := subject.ParseIn(m.Subject); err == nil {
		in.Entity, in.Type, in.DeadStream = said.Entity, said.Type, said.Kind.Stream()
	}
	now := at.UTC().Format(time.RFC3339Nano)
	data := m.Data
	if len(data) > deadMaxBytes {
		data = data[:deadMaxBytes]
	}
	h := nats.Header{}
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
	return &nats.Msg{Subject: t.Capability.Subject(in.StoredAs("")), Header: h, Data: data}
}

func printableLine(s string) string {
	if len(s) > 500 {
		s = s[:500]
	}
	return strings.Join(strings.Fields(s), " ")
}
