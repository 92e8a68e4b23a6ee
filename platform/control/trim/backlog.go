package trim

import (
	"context"
	"fmt"
	"strings"
	"time"

	"midplane/event"
	"midplane/platform/registry"
	"midplane/streams"
)

// backlog levels, in percent of a stream's size: when so much of it waits for
// one reader, that reader is named in an event.
var backlogLevels = []uint64{80, 60}

// backlog returns who holds a stream back and how much of its size waits for
// it, in percent. What all have read waits for the trimmer only, and is
// no reader's backlog, unless it is so young that the trimmer may not take it.
func backlog(in streams.Trim, d streams.Decision) (percent uint64, owner string) {
	if in.Share <= 0 || in.Last < in.First {
		return 0, ""
	}
	full := in.Bytes * 100 / uint64(in.Share)
	seq, owner, ok := streams.Floor(in.Cursors)
	switch {
	case d.HeldBy == streams.HeldByWindow && full >= streams.TrimAbove:
		return full, streams.HeldByWindow
	case !ok && in.Kind == event.KindDead:
		return 0, ""
	case !ok:
		return full, "no reader: none is known yet"
	}
	unread := in.Last - min(max(seq, in.First-1), in.Last)
	return uint64(float64(full) * float64(unread) / float64(in.Last-in.First+1)), owner
}

// raiseBacklog names, in an event, the reader that a stream waits for.
func (r *Trimmer) raiseBacklog(ctx context.Context, t *registry.Tenant, in streams.Trim, d streams.Decision) {
	percent, owner := backlog(in, d)
	for _, level := range backlogLevels {
		if percent < level {
			continue
		}
		// Raised again every hour while it lasts. The id has the hour, so that
		// leaders who follow each other raise it once.
		id := fmt.Sprintf("backlog/%s/%d/%s/%d", in.Kind.Stream(), level, strings.ReplaceAll(owner, " ", "-"), time.Now().Unix()/3600)
		r.cfg.Alarms.RaiseHourly(ctx, &r.backlogs, t, id, event.Warning, event.Alarm{Alarm: "backlog", Source: "trimmer", Stream: in.Kind.Stream(),
			Message: fmt.Sprintf("%d %% of the space of %s is held back by %s", percent, in.Kind.Stream(), owner),
			Hint:    "let it catch up, give it whenFull: skip, or raise quota.storage; at 100 % producers must wait"})
		return
	}
}
