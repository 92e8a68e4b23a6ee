// Package once keeps a log and a store from being filled with the same: it logs
// once what fails again and again, and does once in a while what could be done
// all the time. It touches the logger that it is given.
package once

import (
	"log/slog"
	"sync"
	"time"
)

// Log logs something that fails again and again when it begins to, when the
// reason changes, and when it works again. It is for one goroutine.
type Log struct {
	To           *slog.Logger
	Fails, Works string // messages
	last         string // reason
}

// Note takes how it went this time.
func (l *Log) Note(err error) {
	switch {
	case err == nil && l.last != "":
		l.last = ""
		l.To.Info(l.Works)
	case err != nil && err.Error() != l.last:
		l.last = err.Error()
		l.To.Warn(l.Fails, "error", err)
	}
}

// Every bounds how often something is done, by key. The zero value is ready.
type Every struct {
	mu sync.Mutex
	at map[string]time.Time
}

// Due reports whether key was not due for the last d, and notes that it is now.
func (e *Every) Due(key string, d time.Duration) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if at, known := e.at[key]; known && time.Since(at) < d {
		return false
	}
	if e.at == nil {
		e.at = map[string]time.Time{}
	}
	e.at[key] = time.Now()
	return true
}

// Forget makes key due again.
func (e *Every) Forget(key string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.at, key)
}
