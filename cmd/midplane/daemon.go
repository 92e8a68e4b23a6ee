package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"midplane/fault"
	"midplane/internal/run"
	"midplane/telemetry/export"
)

// Where a node and a poller serve HTTP unless told otherwise; a primary, and
// "up", do at console.DefaultAddr.
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
}

// export starts telemetry for one process.
func (a *app) export(ctx context.Context, d daemonFlags, service, instance string) (*export.Export, error) {
	return export.Start(ctx, export.Config{
		Service: service, Version: readBuild().Version, Instance: instance,
		LogLevel: d.LogLevel, LogFormat: d.LogFormat, LogOutput: a.stderr,
		OTLPEndpoint: d.OTLPEndpoint, OTLPProtocol: d.OTLPProtocol, OTLPInsecure: d.OTLPInsecure, SampleRatio: d.TraceRatio,
	})
}

// runDaemon runs parts in order until ctx ends or one fails, then stops them
// in reverse and flushes telemetry.
func runDaemon(ctx context.Context, exp *export.Export, parts ...run.Part) error {
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
		err = nil // told to stop, whatever the interrupted part says
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
	listening := make(chan struct{})
	return run.Part{
		Name: "http",
		Run: func(ctx context.Context) error {
			l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", d.HTTP)
			if err != nil {
				return listenError("--http", d.HTTP, err)
			}
			close(listening)
			srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
			go func() {
				<-ctx.Done()
				_ = srv.Close()
			}()
			if err := srv.Serve(l); ctx.Err() == nil {
				return err
			}
			return nil
		},
		Ready: func(ctx context.Context) error {
			select {
			case <-listening:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	}, nil
}

// loopbackUnless refuses an address that other machines can reach, unless open.
func loopbackUnless(addr string, open bool) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fault.New(fault.Invalid, "--http %q is not host:port", addr)
	}
	ip := net.ParseIP(host)
	if open || host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fault.WithHint(fault.New(fault.Invalid, "--http %s can be reached by other machines", addr),
		"use 127.0.0.1, or add --http-open if the network around it is yours: metrics name tenants and pollers")
}

// stateDir is where data is kept when no --data says otherwise.
func stateDir(elem ...string) string {
	base := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(base) {
		home, err := os.UserHomeDir()
		if err != nil {
			home = "."
		}
		base = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(append([]string{base, "midplane"}, elem...)...)
}

func (a *app) say(format string, args ...any) { fmt.Fprintf(a.stdout, format+"\n", args...) }
