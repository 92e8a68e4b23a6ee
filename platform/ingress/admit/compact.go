package admit

import (
	"strconv"
	"time"

	"midplane/event"
	"midplane/subject"
)

// expand finds out whether a message is stored with few headers (see event.Compact),
// and fills in what it leaves out because its id says it. The id is of this producer
// and stream, so that it says nothing which the subject that the message came by does
// not allow.
func (env *envelope) expand(in subject.In) {
	if !event.Compact(in.Type) || env.low == "" || len(env.extensions) > 0 || env.id != "" && env.id != env.msgID {
		return
	}
	id, ok := event.ParseMessageID(env.msgID)
	if !ok || id.Producer != in.Producer || id.Stream != in.Kind.Stream() {
		return
	}
	epoch, sequence := strconv.FormatInt(id.Epoch, 10), strconv.FormatUint(id.Sequence, 10)
	if env.epoch == "" && env.sequence == "" {
		env.epoch, env.sequence, env.id = epoch, sequence, env.msgID
	}
	env.compact = env.epoch == epoch && env.sequence == sequence
}

// writeCompact sets the headers of a compact message that are not those of every one.
func (env *envelope) writeCompact(version int, now time.Time, set func(name, value string)) {
	set(event.HeaderLow, env.low)
	at := env.time
	if at == "" {
		at = now.UTC().Format(event.CompactTime)
	}
	set(event.HeaderTime, at)
	if event.TraceSampled(env.traceParent) {
		env.writeTrace(set)
	}
	if version != 1 {
		set(event.HeaderSchemaVersion, strconv.Itoa(version))
	}
}
