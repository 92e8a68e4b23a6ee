package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"midplane/poller"
	"midplane/poller/collect/all"
	"midplane/telemetry"
)

// pollerArg begins the command line of a poller in its own process.
const pollerArg = "-child-poller"

// lagMetric is the scheduler's histogram of how late runs begin, in seconds.
const lagMetric = "midplane.collect.lag"

// sampleEvery is how often a poller's process reports.
const sampleEvery = 500 * time.Millisecond

// watchOrder is what a poller's process is to do; it holds no secret.
type watchOrder struct {
	User, Creds, Dir string
	Servers          []string
	OutboxBytes      int64
}

// pollerSample is how a poller is at one moment, one line of JSON. All but
// depth and age count from its start.
type pollerSample struct {
	At        time.Time
	Connected bool
	Depth     int64   // messages in the outbox
	Age       float64 // of the oldest, seconds
	GivenUp   map[string]int64
	Runs      uint64
	Skipped   int64
	Lag       *lag
	CPU       float64 // seconds
}

// lag is a histogram of how late runs begin; Bounds are in seconds.
type lag struct {
	Bounds []float64
	Counts []uint64
	Max    float64
}

// lagBounds are fine where the floors are.
func lagBounds() []float64 {
	return []float64{0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 4, 5, 10, 20, 30, 60, 120}
}

// childPoller is the poller's process. It ends when standard input does.
func childPoller(args []string) int {
	if err := pollUntilEOF(args); err != nil {
		fmt.Fprintln(os.Stderr, "poller:", err)
		return 1
	}
	return 0
}

func pollUntilEOF(args []string) error {
	var o watchOrder
	if err := json.Unmarshal([]byte(strings.Join(args, "")), &o); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(o.Dir, "poller.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	tel := telemetry.Nop()
	tel.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	var reader *sdkmetric.ManualReader
	tel.Meter, reader = pollerMeter()
	p, err := poller.New(poller.Config{User: o.User, Dir: o.Dir, CredsFile: o.Creds, Servers: o.Servers,
		Collectors: all.Collectors(), OutboxBytes: o.OutboxBytes, Version: "bench"}, tel)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // its end is the message
		stop()
	}()
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	out := json.NewEncoder(os.Stdout)
	for {
		select {
		case err := <-done:
			return err
		case <-tick.C:
		}
		s, err := sample(reader)
		if err != nil {
			return err
		}
		s.Connected = p.Connected()
		if err := out.Encode(s); err != nil {
			return err
		}
	}
}

// pollerMeter is what a poller counts with. The histogram of lag has buckets
// where the floors are: those by default are made for milliseconds.
func pollerMeter() (metric.Meter, *sdkmetric.ManualReader) {
	reader := sdkmetric.NewManualReader()
	fine := sdkmetric.NewView(sdkmetric.Instrument{Name: lagMetric},
		sdkmetric.Stream{Aggregation: sdkmetric.AggregationExplicitBucketHistogram{Boundaries: lagBounds()}})
	return sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithView(fine)).Meter("bench"), reader
}

// sample reads every metric of the poller.
func sample(reader *sdkmetric.ManualReader) (pollerSample, error) {
	s := pollerSample{At: time.Now().UTC(), GivenUp: map[string]int64{}, CPU: cpu().Seconds()}
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &rm); err != nil {
		return s, err
	}
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					if m.Name == telemetry.MetricOutboxDepth {
						s.Depth = p.Value
					}
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					if m.Name == telemetry.MetricOutboxAge {
						s.Age = p.Value
					}
				}
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					switch m.Name {
					case telemetry.MetricOutboxGivenUp:
						reason, _ := p.Attributes.Value(telemetry.AttrReason)
						s.GivenUp[reason.AsString()] += p.Value
					case telemetry.MetricCollectSkipped:
						s.Skipped += p.Value
					}
				}
			case metricdata.Histogram[float64]:
				s.histogram(m.Name, data)
			}
		}
	}
	return s, nil
}

func (s *pollerSample) histogram(name string, data metricdata.Histogram[float64]) {
	for _, p := range data.DataPoints {
		switch name {
		case telemetry.MetricCollect:
			s.Runs += p.Count
		case lagMetric:
			if s.Lag == nil {
				s.Lag = &lag{Bounds: p.Bounds, Counts: make([]uint64, len(p.BucketCounts))}
			}
			for i, n := range p.BucketCounts {
				s.Lag.Counts[i] += n
			}
			if most, ok := p.Max.Value(); ok {
				s.Lag.Max = max(s.Lag.Max, most)
			}
		}
	}
}
