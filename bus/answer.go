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

	"midplane/fault"
)

// Codes of NATS' own that decide what an answer means, whatever its HTTP-like
// code says.
const (
	codeStreamFull    = 10077 // stream is full
	codeStorageFull   = 10002 // account's storage is used up
	codeNoResources   = 10047 // insufficient storage
	codeTooMany       = 10167 // stream's ingest queue is full
	codeSameInFlight  = 10158 // the same message id is being stored
	codeStreamOffline = 10118
)

// Ack is a PubAck.
type Ack struct {
	Stream    string `json:"stream"`
	Seq       uint64 `json:"seq"`
	Duplicate bool   `json:"duplicate"`
}

// ParseAck reads the answer to a publish. nil error means the message is on
// disk on two nodes. A refusal is classified by its err_code; the message of
// the error is the description for a person.
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

// retryIn is how a refusal says when to come back.
var retryIn = regexp.MustCompile(`retry in (\d{1,9}) ms`)

// RetryIn writes when to come back into a refusal's description, rounded up.
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

// maxRetryAfter bounds what is believed of an answer.
const maxRetryAfter = time.Minute

// Classify gives a publish error its class. A refusal by the ingress is
// Invalid (400, 413), Denied (403), Exhausted (429) or Unavailable (503); no
// answer is Unavailable: the message may be stored, and the same id is retried.
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
	switch int(api.ErrorCode) {
	case codeStreamFull, codeStorageFull, codeNoResources, codeTooMany:
		return fault.Wrap(fault.Exhausted, err, "publish")
	case codeSameInFlight, codeStreamOffline:
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
