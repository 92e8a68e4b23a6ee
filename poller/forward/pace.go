package forward

import (
	"sync"
	"time"

	"midplane/api"
)

const (
	// paceMargin is the part of a limit that is used: doors count by their own
	// clocks, and messages come in bunches.
	paceMargin = 0.95
	// paceGrain is how much time the messages that are sent at once stand for.
	paceGrain = 50 * time.Millisecond
	paceStep  = 10 * time.Millisecond // and how much is waited for
	// paceCut is what is left of the rate after a refusal, and paceClimb how
	// long it takes to climb from nothing to the limit.
	paceCut   = 0.5
	paceClimb = time.Minute
	// paceWindow is for how long's worth of messages answers may be missing:
	// it is what a door's bucket holds, so that what arrives all at once after
	// a pause of the node is not refused.
	paceWindow = time.Second
	minWindow  = 64 // messages
	minRate    = 1  // messages a second
	// paceFloor is the part of its share below which a poller never goes: others
	// that do not slow down must not silence it.
	paceFloor = 0.25
)

// unknownPace is for a service that does not say what the limits are: begin
// low, and climb until a door refuses.
var unknownPace = api.Pace{
	Share: api.Rate{Messages: 100, Bytes: 1 << 20},
	Limit: api.Rate{Messages: 10_000, Bytes: 64 << 20},
}

// Pacer decides how fast is sent: additive increase up to the limit,
// multiplicative decrease on a refusal, and after one a pause for as long as
// the door asked. Its clock is handed in.
type Pacer struct {
	mu    sync.Mutex
	pace  api.Pace
	rate  float64   // messages a second, of pace.Limit.Messages at most
	bytes float64   // bytes a second for each message a second
	have  float64   // messages that may be sent now, below 0 after large ones
	at    time.Time // of have
	hold  time.Time // nothing is sent before
	cut   time.Time // of the last decrease
	short time.Time // when the rate last made something wait
	next  time.Time // and until when

	answer float64 // seconds that an answer takes, smoothed
	sum    float64 // tokens spent lately, and of them those for bytes
	large  float64

	limit   string    // what the last refusal named
	limited time.Time // when that was
	since   time.Time // since when the rate makes messages wait; zero: it does not
}

// NewPacer returns a pacer that does not know the limits.
func NewPacer() *Pacer {
	p := &Pacer{}
	p.begin(unknownPace)
	return p
}

// Set takes the pace that a configuration says. Another limit than before begins
// at its share; another share alone changes nothing of what was learned.
func (p *Pacer) Set(pace api.Pace) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case pace == p.pace || pace.Limit.Messages <= 0 || pace.Limit.Bytes <= 0:
	case pace.Limit == p.pace.Limit:
		p.pace = pace
	default:
		p.begin(pace)
	}
}

func (p *Pacer) begin(pace api.Pace) {
	p.pace = pace
	p.rate = paceMargin * float64(min(max(pace.Share.Messages, minRate), pace.Limit.Messages))
	p.bytes = float64(pace.Limit.Bytes) / float64(pace.Limit.Messages)
	if pace.Share.Messages > 0 && pace.Share.Bytes > 0 {
		p.bytes = min(p.bytes, float64(pace.Share.Bytes)/float64(pace.Share.Messages))
	}
}

// ready returns how many messages may be sent now, and when there is none, how
// long to wait. A message that is waiting makes the rate climb.
func (p *Pacer) ready(now time.Time) (n int, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := p.hold.Sub(now); d > 0 {
		return 0, d
	}
	p.fill(now)
	if p.have >= 1 {
		return int(p.have), 0
	}
	p.climb(now)
	// For several at once, or each would cost a timer.
	wait = time.Duration((max(1, p.rate*paceStep.Seconds())-p.have)/p.rate*float64(time.Second)) + time.Microsecond
	p.short, p.next = now, now.Add(wait)
	return 0, wait
}

// climb raises the rate for the time since it last made something wait, if
// something waited all of that time.
func (p *Pacer) climb(now time.Time) {
	if p.next.IsZero() || now.Sub(p.next) >= time.Second {
		return
	}
	most := paceMargin * float64(p.pace.Limit.Messages)
	p.rate = min(most, p.rate+now.Sub(p.short).Seconds()*most/paceClimb.Seconds())
}

func (p *Pacer) fill(now time.Time) {
	if d := now.Sub(p.at); d > 0 && !p.at.IsZero() {
		p.have = min(p.have+d.Seconds()*p.rate, max(1, p.rate*paceGrain.Seconds()))
	} else if p.at.IsZero() {
		p.have = 1
	}
	p.at = now
}

// sent takes one message of size bytes off what may be sent. A large one counts
// for as many as its bytes are worth.
func (p *Pacer) sent(size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	cost := max(1, float64(size)/p.bytes)
	p.have -= cost
	if p.sum += cost; p.sum > 10_000 { // what was long ago counts less
		p.sum, p.large = p.sum/2, p.large/2
	}
	p.large += cost - 1
}

// answered notes how long an answer took.
func (p *Pacer) answered(took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer += (took.Seconds() - p.answer) / 16
}

// refused slows down: once for all that was sent before the last decrease. wait
// is how long the door asked to wait, limit what it named.
func (p *Pacer) refused(now, sent time.Time, wait time.Duration, limit string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := now.Add(wait); at.After(p.hold) {
		p.hold = at
	}
	p.limit, p.limited = limit, now
	if sent.After(p.cut) {
		lowest := max(minRate, paceFloor*float64(min(p.pace.Share.Messages, p.pace.Limit.Messages)))
		p.rate, p.cut = max(min(p.rate, lowest), p.rate*paceCut), now
	}
}

// window is how many answers may be missing: for longer when answers take long,
// since a stream may have a third of it only.
func (p *Pacer) window() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(minWindow, int(p.rate*max(paceWindow.Seconds(), 4*p.answer)))
}
