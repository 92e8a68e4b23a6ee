package main

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/metric"

	"midplane/event"
	"midplane/telemetry"
)

// What was acknowledged and neither came nor was given up is lost, and nothing else.
func TestReckoning(t *testing.T) {
	r := &streamReader{ledgers: map[ledgerKey]*ledger{}}
	enter := func(stream string, low uint64, sequences ...uint64) *ledger {
		l := &ledger{}
		for _, s := range sequences {
			l.enter(event.Event{Sequence: s, Low: min(low, s-1)})
		}
		r.ledgers[ledgerKey{"syd-01", stream, 1}] = l
		return l
	}
	enter(event.StreamEvents, 9, 1, 2, 3, 4, 6, 6, 10, 12).tombs = []event.Tombstone{{Epoch: 1, From: 7, To: 8, Reason: "full"}, {Epoch: 1, From: 8, To: 8, Reason: "full"}}
	enter(event.StreamState, 9, 1, 10) // what is missing was overwritten, or the primary says
	got, err := r.reckon()
	if err != nil {
		t.Fatal(err)
	}
	want := reckoning{messages: 9, doubled: 1, lost: 2, givenUp: map[string]int{"full": 2}, first: []string{"EVENTS of syd-01: 5", "EVENTS of syd-01: 9"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(reckoning{})); diff != "" {
		t.Error(diff)
	}
	r.alarms = []string{`{"alarm":"gap"}`}
	if got, _ := r.reckon(); len(got.alarms) != 1 {
		t.Errorf("an alarm is not shown: %q", got.alarms)
	}
}

func TestLagOfAWindow(t *testing.T) {
	var l lag
	l.add(&lag{Bounds: []float64{0.1, 1, 5}, Counts: []uint64{100, 99, 3, 1}}, 1)
	l.add(&lag{Bounds: []float64{0.1, 1, 5}, Counts: []uint64{100, 0, 3, 0}}, -1)
	l.Max = 7
	for p, want := range map[float64]float64{50: 1, 99: 1, 99.5: 7} {
		if got := l.percentile(p); got != want {
			t.Errorf("p%v is %v, want %v", p, got, want)
		}
	}
}

// A poller's metrics are read as they are named, its lag over all collectors.
func TestSampleOfAPoller(t *testing.T) {
	meter, reader := pollerMeter()
	ctx := context.Background()
	late, err1 := meter.Float64Histogram(lagMetric, metric.WithUnit("s"))
	took, err2 := meter.Float64Histogram(telemetry.MetricCollect)
	skipped, err3 := meter.Int64Counter(telemetry.MetricCollectSkipped)
	given, err4 := meter.Int64Counter(telemetry.MetricOutboxGivenUp)
	depth, err5 := meter.Int64Gauge(telemetry.MetricOutboxDepth)
	age, err6 := meter.Float64Gauge(telemetry.MetricOutboxAge)
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		t.Fatal(err)
	}
	for i, collector := range []string{"snmp", "tcp"} {
		by := metric.WithAttributes(telemetry.AttrCheck.String(collector))
		late.Record(ctx, 0.15+float64(i), by)
		took.Record(ctx, 1, by)
		skipped.Add(ctx, 2, by)
	}
	given.Add(ctx, 7, metric.WithAttributes(telemetry.AttrReason.String("full")))
	depth.Record(ctx, 11)
	age.Record(ctx, 2.5)
	got, err := sample(reader)
	if err != nil {
		t.Fatal(err)
	}
	if got.Depth != 11 || got.Age != 2.5 || got.Runs != 2 || got.Skipped != 4 || got.GivenUp["full"] != 7 {
		t.Errorf("%+v", got)
	}
	if got.Lag == nil || got.Lag.percentile(50) != 0.2 || got.Lag.percentile(99) != 1.5 || got.Lag.Max != 1.15 {
		t.Errorf("lag %+v", got.Lag)
	}
}

// A line that is cut closes what is open and refuses what comes; mended, it
// carries again on the same port.
func TestProxyIsCutAndMended(t *testing.T) {
	node, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	go func() {
		for {
			c, err := node.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); _, _ = io.Copy(c, c) }()
		}
	}()
	p, err := newProxy([]string{"nats://" + node.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	defer p.cut()
	addr := strings.TrimPrefix(p.servers()[0], "nats://")
	echo := func() (net.Conn, error) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return nil, err
		}
		if _, err := c.Write([]byte("x")); err != nil {
			return c, err
		}
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		_, err = io.ReadFull(c, make([]byte, 1))
		return c, err
	}
	open, err := echo()
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	p.cut()
	if _, err := open.Read(make([]byte, 1)); err == nil {
		t.Error("what was open is open")
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("a line that is cut takes connections")
	}
	if err := p.mend(); err != nil {
		t.Fatal(err)
	}
	again, err := echo()
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestTargetsCountRuns(t *testing.T) {
	targets, err := newTargets(2, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer targets.close()
	const runs = 5
	for range runs {
		c, err := net.Dial("tcp", targets.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	var seen float64
	for deadline := time.Now().Add(10 * time.Second); seen < runs && time.Now().Before(deadline); {
		seen = 0
		for _, n := range targets.between(targets.began.Add(-time.Second), time.Now().Add(time.Second)) {
			seen += n
		}
	}
	if seen != runs {
		t.Errorf("%v runs, want %d", seen, runs)
	}
}
