package ingress

import (
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/time/rate"

	"midplane/event"
	"midplane/platform/ingress/admit"
)

// How many refused messages are kept: enough to find the mistake, not so many
// that a flood of bad messages fills the stream that explains it.
const (
	deadPerSecond = 10
	deadBurst     = 50
)

// deadLetters keeps refused messages in DEAD, with why.
type deadLetters struct {
	nc   *nats.Conn
	room func(size int) bool // in DEAD
	lim  *rate.Limiter
}

func newDeadLetters(nc *nats.Conn, room func(size int) bool) *deadLetters {
	return &deadLetters{nc: nc, room: room, lim: rate.NewLimiter(deadPerSecond, deadBurst)}
}

// keep stores in unless there were too many lately; the refusal itself is
// counted whether or not it is kept, and the producer has its answer.
func (d *deadLetters) keep(t *admit.Snapshot, in admit.Input, producer event.Producer, r *admit.Refusal) {
	if r.Reason == "" || !d.lim.Allow() {
		return
	}
	msg := outgoing(admit.DeadLetter(t, in, producer, r, time.Now(), newID()))
	if d.room(msg.Size()) { // when DEAD is full, the refusal has been answered and counted
		_ = d.nc.PublishMsg(msg) // no reply: the producer has its answer
	}
}
