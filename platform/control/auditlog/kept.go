package auditlog

import (
	"context"
	"time"

	"midplane/api"
	"midplane/internal/wait"
)

const (
	// keptMost bounds the records that wait to be stored. Further ones are in this
	// node's log only.
	keptMost = 1000
	// keptEvery is how often they are tried again.
	keptEvery = 2 * time.Second
)

// keep keeps a record that could not be stored.
func (l *Log) keep(rec api.AuditRecord) {
	l.unrecorded.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.kept) < keptMost {
		l.kept = append(l.kept, rec)
	}
}

// Run stores what could not be stored at once, as soon as it can be, until ctx ends.
func (l *Log) Run(ctx context.Context) error {
	for wait.For(ctx, keptEvery) == nil {
		for rec, ok := l.oldest(); ok && l.append(ctx, rec) == nil; rec, ok = l.oldest() {
			l.mu.Lock()
			l.kept = l.kept[1:] // only here are any taken away
			l.mu.Unlock()
			l.unrecorded.Add(-1)
			l.log.Info("an act is recorded in the audit log after all", "verb", rec.Verb, "id", rec.ID)
		}
	}
	return nil
}

// oldest returns the record that has waited longest.
func (l *Log) oldest() (rec api.AuditRecord, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.kept) == 0 {
		return rec, false
	}
	return l.kept[0], true
}
