package fold

import (
	"fmt"
	"maps"
	"slices"

	"midplane/event"
)

// Finding is something that must raise an alarm. The same finding always has
// the same ID ([A-Za-z0-9_/-]), whichever primary finds it and however often.
type Finding struct {
	ID       string
	Severity event.Severity
	Alarm    event.Alarm // without Source: the store fills it in
}

// The words of alarms.
const (
	AlarmGap         = "gap"          // a producer's acknowledged message never came
	AlarmFilled      = "gap-filled"   // what was missing of a producer has come
	AlarmLost        = "lost"         // and this has not: no poller has it any more
	AlarmHole        = "hole"         // a sequence of the stream is missing
	AlarmPurged      = "purged-ahead" // the stream was purged above the reader
	AlarmCursorAhead = "cursor-ahead" // the reader is past the end of the stream
	AlarmHistory     = "history"      // the stream was put back to an older copy
	AlarmRenewed     = "renewed"      // the stream was made again or restored
	AlarmUnreadable  = "unreadable"   // a stored message cannot be parsed
	AlarmOverflow    = "scattered"    // a producer's sequences cannot be followed
	AlarmReplica     = "replica"      // a replica lacks what its leader has
	AlarmWaits       = "waits"        // a leader lacks what another replica may have
)

func (ch *Changes) find(f Finding) { ch.Findings = append(ch.Findings, f) }

func spell(r Range) string {
	if r.From == r.To {
		return fmt.Sprint(r.From)
	}
	return fmt.Sprintf("%d to %d", r.From, r.To)
}

// gaps names what is lost. A message may settle a long stretch at once; beyond
// maxNamed gaps are one finding, or a hostile producer could flood.
func gaps(key LedgerKey, lost Ranges, m *Message) []Finding {
	if len(lost) == 0 {
		return nil
	}
	named, holes := lost, 0
	if len(lost) > maxNamed {
		named, holes = Ranges{{lost[0].From, lost[len(lost)-1].To}}, len(lost)
	}
	var out []Finding
	for _, r := range named {
		what := "sequence " + spell(r)
		if holes > 0 {
			what = fmt.Sprintf("%d ranges within %s", holes, spell(r))
		}
		out = append(out, Finding{
			ID:       fmt.Sprintf("gap/%s/%d/%s/%d-%d", key.Producer, key.Epoch, key.Stream, r.From, r.To),
			Severity: event.Critical,
			Alarm: event.Alarm{
				Alarm: AlarmGap, Stream: key.Stream, From: r.From, To: r.To,
				Message: fmt.Sprintf("%s of %s (epoch %d) was acknowledged but is not in %s before stream sequence %d",
					what, key.Producer, key.Epoch, key.Stream, m.StreamSeq),
				Hint: "the poller is asked to send it once more from what it keeps of the last hour; compare the replicas of the stream",
			},
		})
	}
	return out
}

// filled is the finding that all that was missing of a producer has come.
func filled(key LedgerKey, m *Message) Finding {
	return Finding{
		ID:       fmt.Sprintf("gap-filled/%s/%d/%s/%d", key.Producer, key.Epoch, key.Stream, m.StreamSeq),
		Severity: event.Notice,
		Alarm: event.Alarm{
			Alarm: AlarmFilled, Stream: key.Stream, From: m.Sequence, To: m.Sequence,
			Message: fmt.Sprintf("what was missing of %s (epoch %d) in %s has come; the last was sequence %d", key.Producer, key.Epoch, key.Stream, m.Sequence),
			Hint:    "nothing is lost; find out why it was missing: compare the replicas of the stream",
		},
	}
}

// Lost is the finding for a gap that was not filled: its producer was asked for it for
// so long that it cannot have it any more.
func Lost(key LedgerKey, r Range) Finding {
	return Finding{
		ID:       fmt.Sprintf("lost/%s/%d/%s/%d-%d", key.Producer, key.Epoch, key.Stream, r.From, r.To),
		Severity: event.Critical,
		Alarm: event.Alarm{
			Alarm: AlarmLost, Stream: key.Stream, From: r.From, To: r.To,
			Message: fmt.Sprintf("sequence %s of %s (epoch %d) was acknowledged, is not in %s, and did not come again: it is lost", spell(r), key.Producer, key.Epoch, key.Stream),
			Hint:    "the poller keeps what is acknowledged for about an hour, and was away, or has a new outbox; another primary may have it",
		},
	}
}

func overflow(key LedgerKey, base uint64) Finding {
	return Finding{
		ID:       fmt.Sprintf("scattered/%s/%d/%s/%d", key.Producer, key.Epoch, key.Stream, base),
		Severity: event.Warning,
		Alarm: event.Alarm{
			Alarm: AlarmOverflow, Stream: key.Stream, To: base,
			Message: fmt.Sprintf("%s (epoch %d) scatters its sequences in %s: nothing is claimed below %d", key.Producer, key.Epoch, key.Stream, base),
			Hint:    "sequences must be gap-free; look at what this producer is",
		},
	}
}

func hole(stream string, c Cursor, last uint64) Finding {
	r := Range{c.Seq + 1, last}
	return Finding{
		ID:       fmt.Sprintf("hole/%s/%d/%d-%d", stream, c.Incarnation, r.From, r.To),
		Severity: event.Critical,
		Alarm: event.Alarm{
			Alarm: AlarmHole, Stream: stream, From: r.From, To: r.To,
			Message: fmt.Sprintf("sequence %s of %s is missing: purged before this primary read it, or lost by the stream", spell(r), stream),
			Hint:    "another primary may have it; see who purged, and compare the replicas of the stream",
		},
	}
}

func renewed(stream string, c Cursor, incarnation uint64) Finding {
	return Finding{
		ID:       fmt.Sprintf("renewed/%s/%d", stream, incarnation),
		Severity: event.Error,
		Alarm: event.Alarm{
			Alarm: AlarmRenewed, Stream: stream, From: c.Seq,
			Message: fmt.Sprintf("%s was made again or restored (incarnation %d after %d); it is read from its start, the old cursor was %d",
				stream, incarnation, c.Incarnation, c.Seq),
			Hint: "expected after a restore; otherwise find out who made the stream again",
		},
	}
}

func unreadable(m *Message) Finding {
	return Finding{
		ID:       fmt.Sprintf("unreadable/%s/%d/%d", m.Stream, m.Incarnation, m.StreamSeq),
		Severity: event.Error,
		Alarm: event.Alarm{
			Alarm: AlarmUnreadable, Stream: m.Stream, From: m.StreamSeq, To: m.StreamSeq,
			Message: fmt.Sprintf("message %d of %s cannot be read and was passed over: %s", m.StreamSeq, m.Stream, m.Unreadable),
			Hint:    "it did not come through the ingress; rotate the tenant's capability",
		},
	}
}

// Ahead is the finding for a cursor past the end of a stream whose incarnation
// did not rise.
func Ahead(stream string, c Cursor, last uint64) Finding {
	return Finding{
		ID:       fmt.Sprintf("cursor-ahead/%s/%d/%d", stream, c.Incarnation, c.Seq), // without the end, which may grow
		Severity: event.Critical,
		Alarm: event.Alarm{
			Alarm: AlarmCursorAhead, Stream: stream, From: last + 1, To: c.Seq,
			Message: fmt.Sprintf("%s ends at %d but was read up to %d: it was restored or rebuilt behind our back, and is not read on until it passes %d",
				stream, last, c.Seq, c.Seq),
			Hint: "restore it through the control plane, which raises its incarnation; or stop this primary, move its database away and start it, to read everything again",
		},
	}
}

// History is the finding for a stream whose messages behind a sequence are others than
// those that were read: it was put back to an older copy, with no new incarnation.
func History(stream string, c Cursor, common uint64) Finding {
	r := Range{common + 1, c.Seq}
	return Finding{
		ID:       fmt.Sprintf("history/%s/%d/%d-%d/%d-%x", stream, c.Incarnation, r.From, r.To, c.Histories, c.Identity),
		Severity: event.Critical,
		Alarm: event.Alarm{
			Alarm: AlarmHistory, Stream: stream, From: r.From, To: r.To,
			Message: fmt.Sprintf("%s was put back to an older copy: of what this primary had read up to %d, the stream has only what is up to %d for certain, and is read again from there. What %s was before is in this primary and no longer in the stream",
				stream, c.Seq, common, spell(r)),
			Hint: "expected after the nodes' data was restored; a primary or application that had not read them has lost these messages. Otherwise find out who put the stream back",
		},
	}
}

// Purged is the finding for a stream whose first message is above the reader's next.
func Purged(stream string, c Cursor, first uint64) Finding {
	f := hole(stream, c, first-1)
	f.ID = fmt.Sprintf("purged-ahead/%s/%d/%d-%d", stream, c.Incarnation, c.Seq+1, first-1)
	f.Alarm.Alarm = AlarmPurged
	f.Alarm.Message = fmt.Sprintf("%s begins at %d, but this primary had read only up to %d: %s was purged unread", stream, first, c.Seq, spell(Range{c.Seq + 1, first - 1}))
	f.Alarm.Hint = "was this primary forgotten while it was away? another primary may have what is missing"
	return f
}

// Waits is the finding for messages that the stream's leader does not have and another
// replica may have: why says which.
func Waits(stream string, incarnation uint64, r Range, why string) Finding {
	return Finding{
		ID:       fmt.Sprintf("waits/%s/%d/%d-%d", stream, incarnation, r.From, r.To),
		Severity: event.Critical,
		Alarm: event.Alarm{
			Alarm: AlarmWaits, Stream: stream, From: r.From, To: r.To,
			Message: fmt.Sprintf("the leader of %s does not have sequence %s: %s; this primary reads nothing behind them until that is settled", stream, spell(r), why),
			Hint:    "start the named nodes; midplane get replicas shows which replica is damaged. Reading goes on by itself",
		},
	}
}

// Replica is the finding for messages that the stream's leader has and the
// replica this primary read from has not, all of them or some. node is where that
// replica is, "" when it is not known.
func Replica(stream string, incarnation uint64, r Range, node string) Finding {
	where := "where it was read from"
	if node != "" {
		where = "on node " + node + ", " + where
	}
	return Finding{
		ID:       fmt.Sprintf("replica/%s/%d/%d-%d", stream, incarnation, r.From, r.To),
		Severity: event.Error,
		Alarm: event.Alarm{
			Alarm: AlarmReplica, Stream: stream, From: r.From, To: r.To,
			Message: fmt.Sprintf("sequence %s of %s was missing %s; what the stream's leader had of it was read from there", spell(r), stream, where),
			Hint:    "a replica is damaged: compare the replicas and rebuild the one with fewer messages",
		},
	}
}

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
