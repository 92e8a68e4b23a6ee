package serve

import (
	"context"
	"errors"
	"net"
	"syscall"

	"midplane/fault"
)

// checkFree finds out whether addr, which flag names, could be listened on,
// before anything is started or written: a program that shares its folder or
// its NATS context with a running one must not find out half-way.
func checkFree(ctx context.Context, flag, addr string) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return listenError(flag, addr, err)
	}
	return fault.Wrap(fault.Other, l.Close(), "%s %s", flag, addr)
}

// listenError says why addr cannot be listened on.
func listenError(flag, addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fault.WithHint(fault.New(fault.Conflict, "%s: another program listens on %s", flag, addr),
			"perhaps another midplane: stop it, or choose another address with %s", flag)
	case errors.Is(err, syscall.EACCES):
		return fault.WithHint(fault.New(fault.Denied, "%s: this user may not listen on %s", flag, addr), "choose a port above 1023 with %s", flag)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fault.WithHint(fault.New(fault.Invalid, "%s: %s is no address of this machine", flag, addr), "choose another with %s", flag)
	}
	return fault.WithHint(fault.Wrap(fault.Invalid, err, "%s %s", flag, addr), "write it as host:port, with a port up to 65535")
}
