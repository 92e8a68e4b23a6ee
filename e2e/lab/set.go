package lab

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/event"
	"midplane/streams"
	"midplane/subject"
)

const (
	inspector = "judge"
	// writers each begin at another node, so that every door is used.
	writers  = 3
	entities = 8 // of one writer
	// pause keeps the stream short enough to be read whole afterwards.
	pause = 15 * time.Millisecond
	// broken is how many messages there are to one that no schema allows.
	broken = 100
)

func writerName(i int) string { return fmt.Sprintf("writer-%d", i+1) }

// Set is the workload: numbered events and states of many entities by stock
// producers without an outbox. One message per entity is in flight, and it is
// published under the same id until it is acknowledged.
type Set struct {
	mu    sync.Mutex
	acked map[string]int // by entity: the last number that was acknowledged

	stored  map[uint64]time.Time // by sequence in EVENTS: when it was acknowledged
	refused map[string]time.Time // by id: broken, and refused as they should be
	passed  []string             // broken messages that were acknowledged
	lastAck map[int]time.Time    // by writer
	gap     time.Duration        // the longest time in which one writer had no acknowledgement
	stuck   map[string]int       // by entity: a number that may or may not be stored
	faults  []error
}

// run publishes until ctx ends; what is in flight then is finished within patience.
func (s *Set) run(ctx context.Context, w *World) error {
	s.acked, s.lastAck, s.stuck = map[string]int{}, map[int]time.Time{}, map[string]int{}
	s.stored, s.refused = map[uint64]time.Time{}, map[string]time.Time{}
	var wg sync.WaitGroup
	for i := range writers {
		js, err := w.connect(writerName(i), i)
		if err != nil {
			return err
		}
		defer js.Conn().Close()
		for e := range entities {
			wg.Go(func() { s.write(ctx, js, i, e) })
		}
	}
	wg.Wait()
	return errors.Join(s.faults...)
}

// write publishes for one entity. Every entity begins with an event, then states
// and events by turns.
func (s *Set) write(ctx context.Context, js jetstream.JetStream, writer, entity int) {
	name := fmt.Sprintf("w%d-%d", writer+1, entity)
	for n := 1; ctx.Err() == nil; n++ {
		err := s.publish(js, message(writerName(writer), name, n), func(ack *jetstream.PubAck) { s.acknowledged(writer, name, n, ack) })
		if errors.Is(err, errStuck) {
			s.mu.Lock()
			s.stuck[name] = n
			s.mu.Unlock()
			return
		}
		if err != nil {
			s.fail(fmt.Errorf("%s number %d: %w", name, n, err))
			return
		}
		if n%broken == entity {
			s.mustRefuse(js, writerName(writer), name, n)
		}
		time.Sleep(pause) // the rate, nothing waits for it
	}
}

// id is a message's id: who, about what, and which one.
func id(writer, entity string, n int) string { return fmt.Sprintf("%s/%s/%d", writer, entity, n) }

// message is an event when n is odd, else a state.
func message(writer, entity string, n int) *nats.Msg {
	m := &nats.Msg{Header: nats.Header{event.HeaderMsgID: {id(writer, entity, n)}, event.HeaderID: {id(writer, entity, n)}}}
	if n%2 == 1 {
		m.Subject = subject.In{Producer: event.Producer(writer), Kind: event.KindEvent, Severity: event.Info, Entity: event.Entity(entity), Type: event.TypeReachabilityChanged}.String()
		m.Data = fmt.Appendf(nil, `{"device":%q,"from":"up","to":"down","message":"number %d"}`, entity, n)
		return m
	}
	m.Subject = subject.In{Producer: event.Producer(writer), Kind: event.KindState, Entity: event.Entity(entity), Type: event.TypeReachability}.String()
	m.Data = fmt.Appendf(nil, `{"device":%q,"status":"up","method":"host","message":"number %d"}`, entity, n)
	return m
}

// patience is how long a message may take to be acknowledged: longer than any
// fault, with its healing, of the matrix.
const patience = 3 * time.Minute

// errStuck is that a leader has lost sight of a message that it had begun to store:
// after some changes of leader the server answers until the end of the duplicate window
// that the id is in process. It is not acknowledged, so it is not lost; the entity is
// given up for this run.
var errStuck = errors.New("the id is in process")

// stuckAfter is how long an id may be in process.
const stuckAfter = 40 * time.Second

func (s *Set) publish(js jetstream.JetStream, m *nats.Msg, acked func(*jetstream.PubAck)) error {
	var inProcess time.Time
	for deadline := time.Now().Add(patience); ; {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		ack, err := js.PublishMsg(ctx, m)
		cancel()
		var refused *jetstream.APIError
		if !errors.As(err, &refused) || refused.ErrorCode != streams.CodeSameInFlight {
			inProcess = time.Time{}
		} else if inProcess.IsZero() {
			inProcess = time.Now()
		}
		switch {
		case err == nil:
			acked(ack)
			return nil
		case !inProcess.IsZero() && time.Since(inProcess) > stuckAfter:
			return errStuck
		case time.Now().After(deadline):
			return err
		}
		time.Sleep(100 * time.Millisecond) // before the retry
	}
}

// mustRefuse publishes what no schema allows. Silence and "later" are tried again.
func (s *Set) mustRefuse(js jetstream.JetStream, writer, entity string, n int) {
	m := message(writer, entity, n)
	m.Header = nats.Header{event.HeaderMsgID: {id(writer, entity, n) + "/broken"}}
	m.Data = brokenPayload(entity, n)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		_, err := js.PublishMsg(ctx, m)
		cancel()
		var refused *jetstream.APIError
		s.mu.Lock()
		switch {
		case err == nil:
			s.passed = append(s.passed, m.Header.Get(event.HeaderMsgID))
		case errors.As(err, &refused) && refused.Code == 400:
			s.refused[deadID(m.Data)] = time.Now()
		default:
			s.mu.Unlock()
			continue
		}
		s.mu.Unlock()
		return
	}
	s.fail(fmt.Errorf("%s number %d, broken: neither refused nor taken", entity, n))
}

// brokenPayload lacks what the schema asks for. It says which one it is, since a dead
// letter has the payload and no id.
func brokenPayload(entity string, n int) []byte {
	return fmt.Appendf(nil, `{"device":%q,"from":"up","message":"number %d"}`, entity, n)
}

// deadID is the payload of a dead letter, which says which message it was.
func deadID(payload []byte) string { return string(payload) }

func (s *Set) acknowledged(writer int, entity string, n int, ack *jetstream.PubAck) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := time.Now()
	s.acked[entity] = n
	if _, known := s.stored[ack.Sequence]; !known && ack.Stream == event.StreamEvents {
		s.stored[ack.Sequence] = at
	}
	if last, any := s.lastAck[writer]; any {
		s.gap = max(s.gap, at.Sub(last))
	}
	s.lastAck[writer] = at
}

func (s *Set) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, err)
}
