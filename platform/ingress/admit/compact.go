package admit

import (
	"strconv"
	"time"

	"midplane/event"
	"midplane/subject"
)

// compactID returns the id of a message that may be stored with few headers; see
// event.Compact. The id is of this producer and stream, so that it says nothing
// which the subject that the message came by does not allow.
func (env *envelope) compactID(in subject.In) (event.MessageID, bool) {
	if !event.Compact(in.Type) || env.low == "" || len(env.extensions) > 0 || (env.id != "" && env.id != env.msgID) {
		return event.MessageID{}, false
	}
	id, ok := event.ParseMessageID(env.msgID)
	return id, ok && id.Producer == in.Producer && id.Stream == in.Kind.Stream()
}

// expand fills in what a compact message leaves out because its id says it.
func (env *envelope) expand(in subject.In) {
	id, ok := env.compactID(in)
	if !ok || env.epoch != "" || env.sequence != "" {
		return
	}
	env.epoch, env.sequence, env.id = strconv.FormatInt(id.Epoch, 10), strconv.FormatUint(id.Sequence, 10), env.msgID
}

// compactHeader returns the headers that a compact message is stored with, nil
// for any other.
func (a *Admitted) compactHeader(env *envelope, version int, now time.Time) map[string][]string {
	id, ok := env.compactID(a.In)
	if !ok || env.epoch != strconv.FormatInt(id.Epoch, 10) || env.sequence != strconv.FormatUint(id.Sequence, 10) {
		return nil
	}
	h := map[string][]string{
		event.HeaderMsgID: {env.msgID},
		event.HeaderGuard: {event.GuardLevel},
		event.HeaderTime:  {env.time},
		event.HeaderLow:   {env.low},
	}
	if env.time == "" {
		h[event.HeaderTime] = []string{now.UTC().Format(event.CompactTime)}
	}
	if wellFormedTrace(env.traceParent) && event.TraceSampled(env.traceParent) {
		h[event.HeaderTraceParent] = []string{env.traceParent}
		if env.traceState != "" {
			h[event.HeaderTraceState] = []string{env.traceState}
		}
	}
	if version != 1 {
		h[event.HeaderSchemaVersion] = []string{strconv.Itoa(version)}
	}
	if a.Violation != "" {
		h[event.HeaderViolation] = []string{a.Violation}
	}
	return h
}
