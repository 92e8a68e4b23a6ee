// Package export decides where telemetry goes: logs to a writer, metrics to
// Prometheus, traces over OTLP when an endpoint is configured. It also serves
// the four paths that every process has over HTTP: /metrics, /healthz, /readyz
// and /version.
//
// It belongs to the top layer: only programs and tests import it. Packages of the
// other layers get a telemetry.Telemetry and do not know this package. It sets
// no global of OpenTelemetry, so that one program can hold the telemetry of
// several processes.
package export

import (
	"io"
	"math"
	"net/url"
	"os"
	"strings"

	"midplane/fault"
)

// Protocols of OTLP.
const (
	ProtocolGRPC = "grpc"
	ProtocolHTTP = "http/protobuf"
)

// Config describes a process and says where its telemetry goes.
type Config struct {
	Service  string // what the process is: "midplane-node", "midplane-primary", …
	Version  string // of the program; "" means "devel"
	Instance string // which process of that kind this is, for instance the node's name

	LogLevel  string    // debug, info (default), warn, error
	LogFormat string    // text (default) or json
	LogOutput io.Writer // nil means standard error

	// OTLPEndpoint is where traces go: "host:port" or a URL, to which HTTP appends
	// /v1/traces. When it is "" the standard variables OTEL_EXPORTER_OTLP_ENDPOINT
	// and OTEL_EXPORTER_OTLP_TRACES_ENDPOINT count; when they are not set either,
	// nothing is exported.
	OTLPEndpoint string
	// OTLPProtocol is "grpc" or "http/protobuf"; "" means what
	// OTEL_EXPORTER_OTLP_(TRACES_)PROTOCOL says, else "http/protobuf".
	OTLPProtocol string
	// OTLPInsecure sends without TLS. An http:// URL means the same.
	OTLPInsecure bool
	// SampleRatio is the share of new traces that is recorded, above 0 to 1; 0 means
	// all when there is an endpoint. A trace that began in another process keeps the
	// decision that was made there.
	SampleRatio float64
}

// environment variables of the OTLP exporters, which read them themselves.
const (
	envEndpoint       = "OTEL_EXPORTER_OTLP_ENDPOINT"
	envTracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	envProtocol       = "OTEL_EXPORTER_OTLP_PROTOCOL"
	envTracesProtocol = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
)

// otlp is where traces go, from Config and environment.
type otlp struct {
	enabled  bool
	fromEnv  bool // the exporter finds the endpoint itself
	protocol string
	host     string
	path     string // of an HTTP receiver, "" means the standard one
	insecure bool
}

// where reads the OTLP part of cfg, and the environment for what cfg leaves open.
func (cfg Config) where() (otlp, error) {
	o := otlp{protocol: first(cfg.OTLPProtocol, os.Getenv(envTracesProtocol), os.Getenv(envProtocol), ProtocolHTTP)}
	if cfg.OTLPEndpoint == "" {
		o.fromEnv = os.Getenv(envEndpoint) != "" || os.Getenv(envTracesEndpoint) != ""
		o.enabled = o.fromEnv
		o.insecure = cfg.OTLPInsecure
	} else if err := o.parse(cfg.OTLPEndpoint, cfg.OTLPInsecure); err != nil {
		return otlp{}, err
	}
	if o.enabled && o.protocol != ProtocolGRPC && o.protocol != ProtocolHTTP {
		return otlp{}, fault.WithHint(fault.New(fault.Invalid, "OTLP protocol %q is not known", o.protocol),
			"use %q or %q", ProtocolGRPC, ProtocolHTTP)
	}
	return o, nil
}

func (o *otlp) parse(endpoint string, insecure bool) error {
	o.enabled, o.insecure = true, insecure
	raw := endpoint
	if !strings.Contains(raw, "://") {
		raw = "https://" + raw
		if insecure {
			raw = "http" + strings.TrimPrefix(raw, "https")
		}
	}
	u, err := url.Parse(raw)
	hint := `write it like "collector:4317" or "http://collector:4318"`
	switch {
	case err != nil: // the cause would repeat the URL, and what may be secret in it
		return fault.WithHint(fault.New(fault.Invalid, "the OTLP endpoint is not a URL"), "%s", hint)
	case u.User != nil:
		return fault.WithHint(fault.New(fault.Invalid, "the OTLP endpoint holds a user or a password"),
			"put credentials into OTEL_EXPORTER_OTLP_HEADERS")
	case u.Host == "" || u.RawQuery != "" || u.Fragment != "" || (u.Scheme != "http" && u.Scheme != "https"):
		return fault.WithHint(fault.New(fault.Invalid, "OTLP endpoint %q is not usable", endpoint), "%s", hint)
	}
	o.host, o.path = u.Host, strings.TrimSuffix(u.Path, "/")
	if u.Scheme == "http" {
		o.insecure = true
	}
	return nil
}

func (cfg Config) check() error {
	if cfg.Service == "" {
		return fault.New(fault.Invalid, "telemetry: no service name")
	}
	if math.IsNaN(cfg.SampleRatio) || cfg.SampleRatio < 0 || cfg.SampleRatio > 1 {
		return fault.WithHint(fault.New(fault.Invalid, "sample ratio %v is not between 0 and 1", cfg.SampleRatio),
			"0.1 records every tenth trace")
	}
	return nil
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
