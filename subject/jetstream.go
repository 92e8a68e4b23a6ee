package subject

// The part of JetStream's own API that is used directly, and where answers go.
const (
	jsMsgGet = "$JS.API.STREAM.MSG.GET."
	inbox    = "_INBOX."
)

// InboxAll matches every answer.
const InboxAll = inbox + ">"

// MsgGet returns the subject of a request to a stream's leader for one message.
func MsgGet(stream string) string { return jsMsgGet + stream }
