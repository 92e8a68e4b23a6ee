// Package auditlog records what is done to the deployment, and reads it back. It
// touches the stream AUDIT and this node's log.
package auditlog

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"midplane/api"
	"midplane/internal/wait"
	"midplane/platform/node"
	"midplane/platform/registry"
	"midplane/tenants/account"
)

// Log is the audit log as this node writes and reads it.
type Log struct {
	node       string
	store      *registry.Audit
	log        *slog.Logger
	unrecorded atomic.Int64

	mu   sync.Mutex
	kept []api.AuditRecord // could not be stored yet; see Run
}

// New returns the log of a node; what cannot be stored goes to log.
func New(node string, store *registry.Audit, log *slog.Logger) *Log {
	return &Log{node: node, store: store, log: log}
}

// storeWithin is how long a record is tried to be stored: longer than an
// election of the stream's leader takes.
const storeWithin = 10 * time.Second

// MaxField is what one field of a record may hold, in bytes.
const MaxField = 500

// Unrecorded returns how many acts are missing in the log, since they could not
// be stored so far.
func (l *Log) Unrecorded() int64 { return l.unrecorded.Load() }

// Begin stores that an act begins, and gives it the id that its end has, too.
func (l *Log) Begin(ctx context.Context, rec *api.AuditRecord) error {
	rec.ID, rec.Time, rec.Node, rec.Result = newID(), time.Now().UTC(), l.node, api.AuditBegun
	return l.append(ctx, *rec)
}

// Record stores the record of an act that was done. It is called for acts that
// were not asked for over the admin door; requests there are recorded by package
// service. What is left empty is filled in: the time, an id, this node, who ("the
// control plane itself"). A record that cannot be stored is in this node's log,
// and the status counts it, until Run has stored it: the act is done and cannot be undone.
func (l *Log) Record(ctx context.Context, rec api.AuditRecord) {
	if rec.ID == "" {
		rec.ID = newID()
	}
	if rec.Who == "" {
		rec.Who, rec.From = account.UserControl, l.node
	}
	if rec.Result == "" {
		rec.Result = api.AuditOK
	}
	rec.Time, rec.Node = time.Now().UTC(), l.node
	rec.Target, rec.Detail, rec.From = registry.Clip(rec.Target, MaxField), registry.Clip(rec.Detail, MaxField), registry.Clip(rec.From, MaxField)
	l.log.Info("audit", "who", rec.Who, "via", rec.Via, "from", rec.From, "verb", rec.Verb, "tenant", rec.Tenant, "target", rec.Target, "result", rec.Result, "detail", rec.Detail, "id", rec.ID)
	if err := l.append(context.WithoutCancel(ctx), rec); err != nil {
		l.keep(rec)
		l.log.Error("an act could not be recorded in the audit log so far", "verb", rec.Verb, "id", rec.ID, "error", err, "page", true)
	}
}

// append tries until the record is stored or storeWithin is over.
func (l *Log) append(ctx context.Context, rec api.AuditRecord) error {
	ctx, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	for {
		once, stop := context.WithTimeout(ctx, 2*time.Second)
		err := l.store.Append(once, rec)
		stop()
		if err == nil || ctx.Err() != nil {
			return err
		}
		if wait.For(ctx, 100*time.Millisecond) != nil {
			return err
		}
	}
}

// newID returns an id that no act had before.
func newID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// Facts is the audit log as this node's replica has it, among the streams of
// CONTROL; nil without a replica.
func Facts(control []node.Stream) *api.AuditFacts {
	for _, s := range control {
		if s.Name == registry.StreamAudit {
			return &api.AuditFacts{Leader: s.Leader, Dropped: max(s.First, 1) - 1, Bytes: s.Bytes, MaxBytes: s.MaxBytes}
		}
	}
	return nil
}
