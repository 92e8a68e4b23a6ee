package event

import (
	"strconv"
	"strings"
)

// MessageID is the id of a message from an outbox: the same on every try, and
// all of the loss ledger but the acknowledged part.
type MessageID struct {
	Producer Producer
	Epoch    int64
	Stream   string
	Sequence uint64
}

// String writes the id as <producer>/<epoch>/<stream>/<sequence>.
func (id MessageID) String() string {
	var b strings.Builder
	b.Grow(64)
	b.WriteString(string(id.Producer))
	b.WriteByte('/')
	b.WriteString(strconv.FormatInt(id.Epoch, 10))
	b.WriteByte('/')
	b.WriteString(id.Stream)
	b.WriteByte('/')
	b.WriteString(strconv.FormatUint(id.Sequence, 10))
	return b.String()
}

// ParseMessageID is the inverse of String. It reports false for every other id,
// which a producer without an outbox may use.
func ParseMessageID(s string) (MessageID, bool) {
	producer, rest, _ := strings.Cut(s, "/")
	epoch, rest, _ := strings.Cut(rest, "/")
	stream, sequence, _ := strings.Cut(rest, "/")
	id := MessageID{Producer: Producer(producer), Stream: stream}
	var err1, err2 error
	id.Epoch, err1 = strconv.ParseInt(epoch, 10, 64)
	id.Sequence, err2 = strconv.ParseUint(sequence, 10, 63)
	if producer == "" || KindOfStream(stream) == "" || err1 != nil || err2 != nil || id.Epoch < 1 || id.Sequence < 1 || id.String() != s {
		return MessageID{}, false
	}
	return id, true
}
