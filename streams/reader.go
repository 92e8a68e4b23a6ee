package streams

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"midplane/internal/wait"
)

// How long a reader waits for the server. The server may place a consumer on a node
// that has just died or stood still; then its creation is never answered, or the
// consumer delivers nothing. Each is given up soon, and another consumer is made
// under a name of its own: under the same name the server keeps the first placement.
const (
	createWithin = 2500 * time.Millisecond
	// beat is how often the server says that a consumer without messages lives. The
	// client reports a silence of two beats.
	beat = 2 * time.Second
	// inactive is when the server drops the consumer of a reader that is gone. Most
	// roles may not delete one.
	inactive = 30 * time.Second
)

// ReadConfig says what a Reader reads.
type ReadConfig struct {
	Stream  string
	From    uint64   // the first sequence that is wanted; 0 and 1 are the beginning
	Filters []string // subjects; none: all
	Name    string   // what the names of its consumers begin with

	Ahead      int // messages asked for before they are taken; 0: 500
	AheadBytes int // and their bytes; 0: 16 MiB
}

// Reader reads a stream in order over a pull consumer of its own. It lives as long
// as the consumer does: after any error its caller closes it and opens another one
// behind the last message that it took. It is for one goroutine.
type Reader struct {
	node  string
	it    jetstream.MessagesContext
	taken uint64 // messages of this consumer
}

// OpenReader makes a consumer and asks it for messages. The error is the server's or
// the connection's, unchanged.
func OpenReader(ctx context.Context, js jetstream.JetStream, cfg ReadConfig) (*Reader, error) {
	if cfg.Ahead == 0 {
		cfg.Ahead = 500
	}
	if cfg.AheadBytes == 0 {
		cfg.AheadBytes = 16 << 20
	}
	ask, cancel := context.WithTimeout(ctx, createWithin)
	defer cancel()
	c, err := js.CreateConsumer(ask, cfg.Stream, jetstream.ConsumerConfig{
		Name: cfg.Name + nuid.Next(), DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(cfg.From, 1), FilterSubjects: cfg.Filters,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: inactive,
	})
	if err != nil {
		return nil, fmt.Errorf("make a consumer: %w", err)
	}
	it, err := c.Messages(jetstream.PullMaxMessagesWithBytesLimit(cfg.Ahead, cfg.AheadBytes), jetstream.PullHeartbeat(beat))
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	r := &Reader{it: it}
	if info := c.CachedInfo(); info.Cluster != nil {
		r.node = info.Cluster.Leader
	}
	return r, nil
}

// Node returns the name of the server on which the consumer is, whose replica it
// reads; "" when the server did not say.
func (r *Reader) Node() string { return r.node }

// Next waits for the next message. A consumer that says nothing, not even that it
// lives, is an error within seconds, and so is a message that was delivered and did
// not arrive.
func (r *Reader) Next(ctx context.Context) (jetstream.Msg, *jetstream.MsgMetadata, error) {
	m, err := r.it.Next(jetstream.NextContext(ctx))
	if err != nil {
		return nil, nil, err
	}
	meta, err := m.Metadata()
	if err != nil {
		return nil, nil, fmt.Errorf("a message without its place: %w", err)
	}
	// The client drops what it has no room for, for instance when messages that were
	// asked for twice come twice as fast.
	if r.taken++; meta.Sequence.Consumer != r.taken {
		return nil, nil, fmt.Errorf("message %d of the consumer came in place of %d", meta.Sequence.Consumer, r.taken)
	}
	return m, meta, nil
}

// Close ends Next, and may be called while Next waits.
func (r *Reader) Close() { r.it.Stop() }

// readPause is how long reading waits after an error before it begins again.
const readPause = 100 * time.Millisecond

// Follow hands take every message of a stream in order, until ctx ends or take
// fails; then it returns that error. A consumer that falls silent is replaced.
func Follow(ctx context.Context, js jetstream.JetStream, cfg ReadConfig, take func(jetstream.Msg, *jetstream.MsgMetadata) error) error {
	for {
		if _, err := follow(ctx, js, &cfg, take); err != nil {
			return err
		}
		if err := wait.For(ctx, readPause); err != nil {
			return err
		}
	}
}

// ReadAll hands take every message that the stream's leader has now, in order. It
// goes on until all of them are read, whatever happens to consumers meanwhile, or
// until ctx ends.
func ReadAll(ctx context.Context, js jetstream.JetStream, cfg ReadConfig, take func(jetstream.Msg, *jetstream.MsgMetadata) error) error {
	var why error
	for {
		last, err := lastOf(ctx, js, cfg)
		if err == nil && last < max(cfg.From, 1) {
			return nil
		}
		if err == nil {
			var done error
			part, end := context.WithTimeout(ctx, 2*beat+createWithin)
			err, done = follow(part, js, &cfg, func(m jetstream.Msg, meta *jetstream.MsgMetadata) error {
				if err := take(m, meta); err != nil {
					return err
				}
				if meta.Sequence.Stream >= last {
					return errAll
				}
				return nil
			})
			timedOut := part.Err() != nil
			end()
			switch {
			case errors.Is(done, errAll):
				return nil
			case done != nil && !timedOut:
				return done
			}
		}
		if err != nil {
			why = err
		}
		if wait.For(ctx, readPause) != nil {
			return fmt.Errorf("read %s: at %d when the time was up: %w", cfg.Stream, cfg.From, errors.Join(ctx.Err(), why))
		}
	}
}

var errAll = errors.New("all is read")

// follow reads with one consumer until it fails (broken) or until ctx ends or take
// fails (ended), and leaves in cfg where to go on.
func follow(ctx context.Context, js jetstream.JetStream, cfg *ReadConfig, take func(jetstream.Msg, *jetstream.MsgMetadata) error) (broken, ended error) {
	r, err := OpenReader(ctx, js, *cfg)
	if err != nil {
		return err, ctx.Err()
	}
	defer r.Close()
	for {
		m, meta, err := r.Next(ctx)
		if err != nil {
			return err, ctx.Err()
		}
		if err := take(m, meta); err != nil {
			return nil, err
		}
		cfg.From = meta.Sequence.Stream + 1
	}
}

// lastOf asks the leader for the last sequence that cfg reads, 0 when there is none.
func lastOf(ctx context.Context, js jetstream.JetStream, cfg ReadConfig) (last uint64, err error) {
	filters := cfg.Filters
	if len(filters) == 0 {
		filters = []string{">"}
	}
	for _, f := range filters {
		ask, cancel := context.WithTimeout(ctx, createWithin)
		m, err := GetMessage(ask, js.Conn(), cfg.Stream, Get{Last: f, NoHeaders: true})
		cancel()
		if err != nil && !errors.Is(err, ErrNoMessage) {
			return 0, err
		}
		if err == nil {
			last = max(last, m.Sequence)
		}
	}
	return last, nil
}
