package serve

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/spf13/pflag"

	"midplane/cmd/midplane/shell"
	"midplane/fault"
	"midplane/internal/memory"
	"midplane/internal/run"
	"midplane/telemetry/export"
	"midplane/tenants/enrol"
)

// Where a node and a poller serve HTTP by default; a primary and "up" do at
// console.DefaultAddr.
const (
	nodeHTTP   = "127.0.0.1:8481"
	pollerHTTP = "127.0.0.1:8482"
)

// daemonFlags are what every long-lived command has.
type daemonFlags struct {
	LogLevel     string  `config:"log-level"`
	LogFormat    string  `config:"log-format"`
	OTLPEndpoint string  `config:"otlp-endpoint"`
	OTLPProtocol string  `config:"otlp-protocol"`
	OTLPInsecure bool    `config:"otlp-insecure"`
	TraceRatio   float64 `config:"trace-ratio"`
	HTTP         string  `config:"http"`
	HTTPOpen     bool    `config:"http-open"`
	Profiles     string  `config:"pprof"`
}

func (d *daemonFlags) add(f *pflag.FlagSet, addr, serves string) {
	f.StringVar(&d.LogLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&d.LogFormat, "log-format", "text", "text or json")
	f.StringVar(&d.OTLPEndpoint, "otlp-endpoint", "", "where traces go: host:port or URL (default: $OTEL_EXPORTER_OTLP_ENDPOINT, else nowhere)")
	f.StringVar(&d.OTLPProtocol, "otlp-protocol", "", "grpc or http/protobuf")
	f.BoolVar(&d.OTLPInsecure, "otlp-insecure", false, "speak OTLP without TLS")
	f.Float64Var(&d.TraceRatio, "trace-ratio", 0, "share of new traces to record, above 0 to 1 (default: all, when there is an endpoint)")
	f.StringVar(&d.HTTP, "http", addr, "address of "+serves)
	f.BoolVar(&d.HTTPOpen, "http-open", false, "let --http listen unencrypted where other machines can reach it: behind a proxy with TLS, or on a network of your own")
	f.StringVar(&d.Profiles, "pprof", "", "loopback address at which profiles of the process are served, such as 127.0.0.1:6060 (default: nowhere)")
}

// startExport starts telemetry for one process.
func startExport(ctx context.Context, sh *shell.Shell, d daemonFlags, service, instance string) (*export.Export, error) {
	if err := checkProfiles(d.Profiles); err != nil {
		return nil, err
	}
	return export.Start(ctx, export.Config{
		Service: service, Version: sh.Version, Instance: instance,
		LogLevel: d.LogLevel, LogFormat: d.LogFormat, LogOutput: sh.Out.Stderr,
		OTLPEndpoint: d.OTLPEndpoint, OTLPProtocol: d.OTLPProtocol, OTLPInsecure: d.OTLPInsecure, SampleRatio: d.TraceRatio,
	})
}

// runDaemon runs parts in order until ctx ends or one fails, then stops them
// in reverse and flushes telemetry. Profiles are the first part when they are
// served: they show a start that takes long, too.
func runDaemon(ctx context.Context, exp *export.Export, d daemonFlags, parts ...run.Part) error {
	if d.Profiles != "" {
		parts = append([]run.Part{profilesPart(d.Profiles, exp.Telemetry("pprof").Log)}, parts...)
	}
	parts = append(parts, run.Part{Name: "memory", Run: memory.Run})
	var g run.Group
	var err error
	for _, p := range parts {
		if err = g.Start(ctx, p); err != nil {
			break
		}
	}
	if err == nil {
		err = g.Wait(ctx)
	}
	if ctx.Err() != nil {
		err = nil // it was stopped: an interrupted part is no failure
	}
	if stop := g.Stop(); err == nil {
		err = stop
	}
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if stop := exp.Stop(flush); err == nil && stop != nil {
		exp.Telemetry("main").Log.Warn("telemetry was not flushed", "error", stop)
	}
	return err
}

// httpPart serves /metrics, /healthz, /readyz and /version.
func httpPart(d daemonFlags, h http.Handler) (run.Part, error) {
	if err := loopbackUnless(d.HTTP, d.HTTPOpen); err != nil {
		return run.Part{}, err
	}
	return httpListener{name: "http", flag: "--http", addr: d.HTTP, handler: h}.part(), nil
}

// loopbackUnless refuses an address that other machines can reach, unless open.
func loopbackUnless(addr string, open bool) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fault.New(fault.Invalid, "--http %q is not host:port", addr)
	}
	if open || enrol.Loopback(host) {
		return nil
	}
	return fault.WithHint(fault.New(fault.Invalid, "--http %s can be reached by other machines", addr),
		"use 127.0.0.1, or add --http-open if the network around it is yours: metrics name tenants and pollers")
}
