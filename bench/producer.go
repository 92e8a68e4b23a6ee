package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/bus"
	"midplane/telemetry"
)

// childArg begins the command line of a producer in its own process.
const childArg = "-child-producer"

// order is what a producer is to do, as JSON on its command line; it holds no secret.
type order struct {
	Servers  []string
	Creds    string // path
	User     string
	Subject  string // with %d for the entity's number
	MsgID    string // prefix of the message ids
	Size     int    // bytes of payload
	Count    int
	InFlight int // 1: synchronous, and every latency is reported
	Entities int
	// Beside is published alternately with this one, message by message, so
	// that what disturbs the machine disturbs both alike; InFlight 1 only.
	Beside *order
	// Rate makes noise of it: so many a second, without regard to answers, until
	// standard input ends.
	Rate   int
	Voices []voice // who makes the noise
}

// voice is a user that makes noise.
type voice struct{ User, Creds string }

// report is its output when it is done.
type report struct {
	Seconds   float64
	CPU       float64   // seconds
	Latencies []float64 // milliseconds, InFlight 1 only
	Beside    []float64 // the same of order.Beside
	// What noise came to.
	Sent, Accepted, Refused, Lost int64
	Error                         string
}

// produce runs a producer in its own process.
func produce(ctx context.Context, o order) (report, error) {
	data, err := json.Marshal(o)
	if err != nil {
		return report{}, err
	}
	exe, err := os.Executable()
	if err != nil {
		return report{}, err
	}
	cmd := exec.CommandContext(ctx, exe, childArg, string(data))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return report{}, fmt.Errorf("producer: %w", err)
	}
	var r report
	if err := json.Unmarshal(out, &r); err != nil {
		return r, err
	}
	if r.Error != "" {
		return r, fmt.Errorf("producer: %s", r.Error)
	}
	return r, nil
}

// child is the producer's process.
func child(args []string) int {
	var o order
	r := report{}
	if err := json.Unmarshal([]byte(strings.Join(args, "")), &o); err != nil {
		r.Error = err.Error()
	} else if err := publish(o, &r); err != nil {
		r.Error = err.Error()
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		return 1
	}
	return 0
}

func publish(o order, r *report) error {
	if o.Rate > 0 {
		return makeNoise(o, r)
	}
	js, stop, err := o.connect()
	if err != nil {
		return err
	}
	defer stop()
	began, used := time.Now(), cpu()
	if o.Beside != nil {
		other, stop, err := o.Beside.connect()
		if err != nil {
			return err
		}
		defer stop()
		return publishPair(js, other, o, r)
	}
	if o.InFlight == 1 {
		return publishAlone(js, o, r)
	}
	err = publishAsync(js, o)
	r.Seconds, r.CPU = time.Since(began).Seconds(), (cpu() - used).Seconds()
	return err
}

func (o order) connect() (jetstream.JetStream, func(), error) {
	nc, err := bus.Connect(bus.Config{Servers: o.Servers, User: o.User, Name: "bench", CredsFile: o.Creds, MaxWait: 10 * time.Second}, telemetry.Nop())
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(max(o.InFlight, 1)), jetstream.WithPublishAsyncTimeout(30*time.Second))
	return js, nc.Close, err
}

func message(o order, i int) *nats.Msg {
	return &nats.Msg{
		Subject: fmt.Sprintf(o.Subject, i%max(o.Entities, 1)),
		Header:  nats.Header{"Nats-Msg-Id": {o.MsgID + strconv.Itoa(i)}},
		Data:    payload(o.Size, i),
	}
}

func publishAsync(js jetstream.JetStream, o order) error {
	futures := make([]jetstream.PubAckFuture, 0, o.Count)
	for i := range o.Count {
		f, err := js.PublishMsgAsync(message(o, i), jetstream.WithStallWait(30*time.Second))
		if err != nil {
			return err
		}
		futures = append(futures, f)
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(time.Minute):
		return fmt.Errorf("acks are missing after a minute")
	}
	for i, f := range futures {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return fmt.Errorf("message %d: %w", i, err)
		}
	}
	return nil
}

// aloneWithin ends a measurement that is too slow to be finished.
const aloneWithin = 20 * time.Second

// publishAlone publishes one message at a time.
func publishAlone(js jetstream.JetStream, o order, r *report) error {
	for i, first := 0, time.Now(); i < o.Count && time.Since(first) < aloneWithin; i++ {
		m := message(o, i)
		began := time.Now()
		if _, err := js.PublishMsg(context.Background(), m); err != nil {
			return fmt.Errorf("message %d: %w", i, err)
		}
		r.Latencies = append(r.Latencies, float64(time.Since(began).Microseconds())/1000)
	}
	return nil
}

// publishPair publishes one message each in turn, one at a time.
func publishPair(a, b jetstream.JetStream, o order, r *report) error {
	for i := range o.Count {
		for _, side := range []struct {
			js   jetstream.JetStream
			o    order
			into *[]float64
		}{{a, o, &r.Latencies}, {b, *o.Beside, &r.Beside}} {
			m := message(side.o, i)
			began := time.Now()
			if _, err := side.js.PublishMsg(context.Background(), m); err != nil {
				return fmt.Errorf("message %d: %w", i, err)
			}
			*side.into = append(*side.into, float64(time.Since(began).Microseconds())/1000)
		}
	}
	return nil
}
