package control

import (
	"context"
	"fmt"
	"strings"
	"time"

	"midplane/event"
	"midplane/platform/control/registry"
	"midplane/streams"
)

// backlog levels, in percent of a stream's size: when so much of it waits for
// one reader, that reader is named in an event.
var backlogLevels = []uint64{80, 60}

// backlog returns who holds a stream back and how much of its size waits for
// it, in percent. What everybody has read waits for the trimmer only, and is
// nobody's backlog, unless it is so young that the trimmer may not take it.
func backlog(in streams.Trim, d streams.Decision) (percent uint64, owner string) {
	if in.MaxBytes <= 0 || in.Last < in.First {
		return 0, ""
	}
	full := in.Bytes * 100 / uint64(in.MaxBytes)
	seq, owner, ok := streams.Floor(in.Cursors)
	switch {
	case d.HeldBy == streams.HeldByWindow && full >= streams.TrimAbove:
		return full, streams.HeldByWindow
	case !ok && in.Kind == event.KindDead:
		return 0, ""
	case !ok:
		return full, "nobody: no reader is known yet"
	}
	unread := in.Last - min(max(seq, in.First-1), in.Last)
	return uint64(float64(full) * float64(unread) / float64(in.Last-in.First+1)), owner
}

// tellBacklog names, in an event, the reader that holds a stream back.
func (l *leader) tellBacklog(ctx context.Context, t *registry.Tenant, in streams.Trim, d streams.Decision) {
	percent, owner := backlog(in, d)
	for _, level := range backlogLevels {
		if percent < level {
			continue
		}
		// Told again every hour while it lasts. The id has the hour, so that
		// leaders who follow each other say it once.
		id := fmt.Sprintf("backlog/%s/%d/%s/%d", in.Kind.Stream(), level, strings.ReplaceAll(owner, " ", "-"), time.Now().Unix()/3600)
		if !l.backlogs.due(string(t.ID)+"/"+id, time.Hour) {
			return
		}
		err := l.raise(ctx, t, id, event.Warning, event.Alarm{Alarm: "backlog", Source: "trimmer", Stream: in.Kind.Stream(),
			Message: fmt.Sprintf("%d %% of the space of %s is held back by %s", percent, in.Kind.Stream(), owner),
			Hint:    "let it catch up, give it whenFull: skip, or raise quota.storage; at 100 % producers must wait"})
		if err != nil {
			l.backlogs.forget(string(t.ID) + "/" + id) // tried again at the next look
			l.unsaid(ctx, t, "backlog", err)
		}
		return
	}
}

// alarm raises an alarm that nobody would raise again.
func (l *leader) alarm(ctx context.Context, t *registry.Tenant, id string, sev event.Severity, a event.Alarm) {
	if err := l.raise(ctx, t, id, sev, a); err != nil {
		l.unsaid(ctx, t, a.Message, err)
	}
}

func (l *leader) unsaid(ctx context.Context, t *registry.Tenant, what string, err error) {
	if ctx.Err() == nil {
		l.tel.Log.Warn("alarm not stored", "tenant", t.ID, "alarm", what, "error", err)
	}
}
