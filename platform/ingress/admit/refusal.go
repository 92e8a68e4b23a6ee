package admit

import (
	"encoding/json"
	"fmt"

	"midplane/subject"
)

// Code is the err_code of a refusal by the ingress, in a range that NATS does
// not use. This table is the only one; docs/reference/refusals.md is made from it.
type Code int

// The codes.
const (
	CodeSubject      Code = 24001 // the subject is not one of a producer's
	CodeHeader       Code = 24002 // a header is not allowed, doubled, or cannot be decoded
	CodeEnvelope     Code = 24003 // a header's value disagrees with the subject or is malformed
	CodeEmpty        Code = 24004 // no payload
	CodeSchema       Code = 24005 // the payload breaks its type's schema
	CodeUnknownType  Code = 24006 // no such type
	CodeKind         Code = 24007 // the type is of another kind than the subject says
	CodeStream       Code = 24008 // Nats-Expected-Stream names another stream
	CodeProducer     Code = 24030 // the producer is not known here
	CodeRole         Code = 24031 // the producer's role may not publish this
	CodeMessageID    Code = 24032 // Nats-Msg-Id does not begin with the producer's name
	CodeSize         Code = 24040 // larger than the tenant's message size
	CodeRate         Code = 24050 // over the tenant's rate of messages or bytes
	CodeProducerRate Code = 24051 // over the producer's own rate of messages or bytes
	CodeNoLeader     Code = 24060 // the stream has no leader at this moment
	CodeStreamFull   Code = 10077 // NATS' own (streams.CodeStreamFull): the stream's share is used up
	CodeNodeFull     Code = 10047 // NATS' own (streams.CodeNoResources): a node's store is
)

// Row is one line of the table of refusals.
type Row struct {
	Code   Code
	Status int    // like HTTP's: what a client decides by
	Reason string // of the dead letter; "" when none is kept
	Text   string
}

// Table lists every refusal of the ingress.
var Table = []Row{
	{CodeSubject, 400, subject.DeadHeader, "the subject is not one a producer may use"},
	{CodeHeader, 400, subject.DeadHeader, "a header is not on the list of those allowed, stands twice, or cannot be decoded"},
	{CodeEnvelope, 400, subject.DeadHeader, "a header's value is malformed or disagrees with the subject"},
	{CodeEmpty, 400, subject.DeadSchema, "the message has no payload"},
	{CodeSchema, 400, subject.DeadSchema, "the payload breaks the schema of its type; the description names field and rule"},
	{CodeUnknownType, 400, subject.DeadUnknownType, "no schema is known for the type"},
	{CodeKind, 400, subject.DeadUnknownType, "the type exists, but for another kind of message"},
	{CodeStream, 400, subject.DeadHeader, "Nats-Expected-Stream names another stream than the subject leads to"},
	{CodeProducer, 403, subject.DeadDenied, "no such producer is known"},
	{CodeRole, 403, subject.DeadDenied, "the producer's role may not publish this"},
	{CodeMessageID, 403, subject.DeadDenied, "Nats-Msg-Id must begin with the producer's own name and a slash"},
	{CodeSize, 413, subject.DeadSize, "the message is larger than the tenant's message size"},
	{CodeRate, 429, subject.DeadRate, "over the tenant's rate of messages or bytes; the description says when to retry"},
	{CodeProducerRate, 429, subject.DeadRate, "over the producer's own rate of messages or bytes; the description says when to retry"},
	{CodeNoLeader, 503, "", "the stream has no leader at this moment; retry with the same message id"},
	{CodeStreamFull, 503, "", "the stream holds its share of the tenant's storage; from 80 % on STATE takes updates of known entities only"},
	{CodeNodeFull, 503, "", "a node's store is nearly full; the description names the node"},
}

func rowOf(c Code) Row {
	for _, r := range Table {
		if r.Code == c {
			return r
		}
	}
	return Row{Code: c, Status: 400}
}

// Refusal is why a message was not let in.
type Refusal struct {
	Row
	Description string
	Detail      string // what of a rate was exceeded, for the metric
}

// Refuse returns the refusal with code c; the description is for a person.
func Refuse(c Code, format string, args ...any) *Refusal {
	return &Refusal{Row: rowOf(c), Description: fmt.Sprintf(format, args...)}
}

// PubAck is the answer that a stock client takes for a JetStream API error.
func (r *Refusal) PubAck(stream string) []byte {
	type apiError struct {
		Code        int    `json:"code"`
		ErrCode     Code   `json:"err_code"`
		Description string `json:"description"`
	}
	data, _ := json.Marshal(struct {
		Error  apiError `json:"error"`
		Stream string   `json:"stream"`
		Seq    uint64   `json:"seq"`
	}{apiError{r.Status, r.Code, r.Description}, stream, 0}) // numbers and strings only
	return data
}
