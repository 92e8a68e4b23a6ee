package powercut_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
)

// restarts is a log that counts what nodes report of restarting by themselves.
type restarts struct {
	mu    sync.Mutex
	nodes map[string]int
	also  func(node string) // called at every restart
	attrs []slog.Attr
	top   *restarts
}

const restarting = "restarting the server"

func (r *restarts) root() *restarts {
	if r.top != nil {
		return r.top
	}
	return r
}

// Enabled implements slog.Handler.
func (r *restarts) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }

// WithGroup implements slog.Handler.
func (r *restarts) WithGroup(string) slog.Handler { return r }

// WithAttrs implements slog.Handler.
func (r *restarts) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &restarts{top: r.root(), attrs: append(append([]slog.Attr{}, r.attrs...), attrs...)}
}

// Handle implements slog.Handler.
func (r *restarts) Handle(_ context.Context, rec slog.Record) error {
	if !strings.HasPrefix(rec.Message, restarting) {
		return nil
	}
	node := ""
	for _, a := range r.attrs {
		if a.Key == "node" {
			node = a.Value.String()
		}
	}
	top := r.root()
	top.mu.Lock()
	if top.nodes == nil {
		top.nodes = map[string]int{}
	}
	top.nodes[node]++
	also := top.also
	top.mu.Unlock()
	if also != nil {
		also(node)
	}
	return nil
}

// counted returns how often each node has restarted by itself.
func (r *restarts) counted() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]int{}
	for node, n := range r.nodes {
		out[node] = n
	}
	return out
}
