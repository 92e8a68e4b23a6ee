package serve

import (
	"context"
	"net"
	"net/http"
	"time"

	"midplane/internal/run"
)

// httpListener is an HTTP server of the process.
type httpListener struct {
	name    string // of the part
	flag    string // that the address comes from
	addr    string
	handler http.Handler
	opened  func(net.Listener) error // nil, or may refuse what it listens on
}

// part serves until it is stopped; it is ready when it listens.
func (h httpListener) part() run.Part {
	listening := make(chan struct{})
	return run.Part{
		Name: h.name,
		Run: func(ctx context.Context) error {
			l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", h.addr)
			if err != nil {
				return listenError(h.flag, h.addr, err)
			}
			if h.opened != nil {
				if err := h.opened(l); err != nil {
					_ = l.Close()
					return err
				}
			}
			close(listening)
			srv := &http.Server{Handler: h.handler, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
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
	}
}
