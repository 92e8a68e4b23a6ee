package export

import (
	"context"
	"log/slog"
	"strings"

	"go.opentelemetry.io/otel/trace"

	"midplane/fault"
)

// newLogger returns the process's logger. Its lines carry the ids of the trace they
// belong to, and everything that looks like a secret is redacted.
func newLogger(cfg Config) (*slog.Logger, error) {
	opts := &slog.HandlerOptions{ReplaceAttr: redactKey}
	if cfg.LogLevel != "" {
		var level slog.Level
		if err := level.UnmarshalText([]byte(cfg.LogLevel)); err != nil {
			return nil, fault.WithHint(fault.New(fault.Invalid, "log level %q is not known", cfg.LogLevel),
				"use debug, info, warn or error")
		}
		opts.Level = level
	}
	out := redactor{cfg.LogOutput}
	switch strings.ToLower(cfg.LogFormat) {
	case "", "text":
		return slog.New(newTraced(slog.NewTextHandler(out, opts))), nil
	case "json":
		attrs := []slog.Attr{slog.String("service", cfg.Service), slog.String("version", cfg.Version)}
		if cfg.Instance != "" {
			attrs = append(attrs, slog.String("instance", cfg.Instance))
		}
		return slog.New(newTraced(slog.NewJSONHandler(out, opts).WithAttrs(attrs))), nil
	}
	return nil, fault.WithHint(fault.New(fault.Invalid, "log format %q is not known", cfg.LogFormat), "use text or json")
}

// traced adds trace_id and span_id of the context to a record. They are at the top
// level even when the logger has groups open, so that a search for a trace id
// finds every line.
type traced struct {
	slog.Handler
	root slog.Handler // the handler before the first group
	// since repeats on root what was added since then.
	since []func(slog.Handler) slog.Handler
}

func newTraced(h slog.Handler) traced { return traced{Handler: h, root: h} }

// Handle implements slog.Handler.
func (t traced) Handle(ctx context.Context, r slog.Record) error {
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() {
		return t.Handler.Handle(ctx, r)
	}
	ids := []slog.Attr{
		slog.String("trace_id", sc.TraceID().String()),
		slog.String("span_id", sc.SpanID().String()),
	}
	if len(t.since) == 0 {
		r = r.Clone()
		r.AddAttrs(ids...)
		return t.Handler.Handle(ctx, r)
	}
	h := t.root.WithAttrs(ids)
	for _, again := range t.since {
		h = again(h)
	}
	return h.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (t traced) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(t.since) == 0 {
		return newTraced(t.Handler.WithAttrs(attrs))
	}
	return t.then(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

// WithGroup implements slog.Handler.
func (t traced) WithGroup(name string) slog.Handler {
	if name == "" {
		return t
	}
	return t.then(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (t traced) then(step func(slog.Handler) slog.Handler) traced {
	since := append(t.since[:len(t.since):len(t.since)], step)
	return traced{Handler: step(t.Handler), root: t.root, since: since}
}
