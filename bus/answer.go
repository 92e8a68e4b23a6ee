package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/fault"
	"midplane/streams"
)

// Ack is a PubAck.
type Ack struct {
	Stream    string `json:"stream"`
	Seq       uint64 `json:"seq"`
	Duplicate bool   `json:"duplicate"`
}

// ParseAck reads the answer to a publish. A nil error means that the message is
// on disk on two nodes. A refusal is classified by its err_code; the text of the
// error is the refusal's description.
func ParseAck(data []byte) (Ack, error) {
	var ack struct {
		Ack
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(data, &ack); err != nil {
		return Ack{}, fault.New(fault.Unavailable, "the answer is not a PubAck: %w", err)
	}
	if ack.Error != nil {
		return Ack{}, Classify(ack.Error)
	}
	if ack.Stream == "" {
		return Ack{}, fault.New(fault.Unavailable, "the answer names no stream")
	}
	return ack.Ack, nil
}

// retryIn is the text with which a refusal says how long to wait.
var retryIn = regexp.MustCompile(`retry in (\d{1,9}) ms`)

// RetryIn returns the text that says how long to wait before the next try,
// rounded up, for a refusal's description.
func RetryIn(wait time.Duration) string {
	return fmt.Sprintf("retry in %d ms", (wait+time.Millisecond-1)/time.Millisecond)
}

// RetryAfter returns how long a refusal asks to wait before the next try, 0
// when it does not say.
func RetryAfter(err error) time.Duration {
	var api *jetstream.APIError
	if !errors.As(err, &api) || api.Code != 429 {
		return 0
	}
	m := retryIn.FindStringSubmatch(api.Description)
	if m == nil {
		return 0
	}
	ms, _ := strconv.Atoi(m[1]) // digits, at most nine
	return min(time.Duration(ms)*time.Millisecond, maxRetryAfter)
}

// overLimit is the text with which a refusal names the limit that was exceeded.
var overLimit = regexp.MustCompile(`over the (producer|tenant)'s (message|byte) rate`)

// OverLimit returns the text that names an exceeded limit, for a refusal's
// description. limit is the name of the quota's field
// (api.LimitProducerMessages and so on).
func OverLimit(limit string) string {
	for text, l := range limits {
		if l == limit {
			return "over the " + text
		}
	}
	return "over " + limit
}

// LimitOf returns the limit that a refusal names, "" when it names none.
func LimitOf(err error) string {
	m := overLimit.FindStringSubmatch(err.Error())
	if m == nil {
		return ""
	}
	return limits[m[1]+"'s "+m[2]+" rate"]
}

var limits = map[string]string{
	"producer's message rate": api.LimitProducerMessages,
	"producer's byte rate":    api.LimitProducerBytes,
	"tenant's message rate":   api.LimitTenantMessages,
	"tenant's byte rate":      api.LimitTenantBytes,
}

// maxRetryAfter is the longest wait that an answer can ask for.
const maxRetryAfter = time.Minute

// CodeUnknownType is the err_code with which the ingress refuses a type that it
// does not know.
const CodeUnknownType = 24006

// UnknownType reports whether an error is a refusal of a type that the ingress does
// not know: its node may be older than the publisher.
func UnknownType(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == CodeUnknownType
}

// Classify gives a publish error its class. A refusal by the ingress is
// Invalid (400, 413), Denied (403), Exhausted (429) or Unavailable (503); no
// answer is Unavailable: the message may be stored, so the publisher tries again
// with the same id.
func Classify(err error) error {
	if err == nil {
		return nil
	}
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		if errors.Is(err, context.Canceled) {
			return err
		}
		return fault.Wrap(fault.Unavailable, err, "publish")
	}
	switch api.ErrorCode {
	case streams.CodeStreamFull, streams.CodeStorageFull, streams.CodeNoResources, streams.CodeTooMany:
		return fault.Wrap(fault.Exhausted, err, "publish")
	case streams.CodeSameInFlight, streams.CodeStreamOffline:
		return fault.Wrap(fault.Unavailable, err, "publish")
	}
	switch api.Code {
	case 400, 413:
		return fault.Wrap(fault.Invalid, err, "publish")
	case 403:
		return fault.Wrap(fault.Denied, err, "publish")
	case 429:
		return fault.Wrap(fault.Exhausted, err, "publish")
	case 404:
		return fault.Wrap(fault.NotFound, err, "publish")
	}
	return fault.Wrap(fault.Unavailable, err, "publish")
}
