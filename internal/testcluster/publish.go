package testcluster

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

const (
	answerWithin = 5 * time.Second
	answerTries  = 6
)

// Publish publishes a message to a door and returns the answer. A stream whose
// leader changes does not answer what was under way, and then it is not known
// whether it was stored: as every producer must, Publish sends the message
// again under the same id. It returns the error of the last try when none of
// several tries was answered, or when the connection is gone.
func Publish(ctx context.Context, js jetstream.JetStream, m *nats.Msg) (*jetstream.PubAck, error) {
	if m.Header == nil {
		m.Header = nats.Header{}
	}
	if m.Header.Get(nats.MsgIdHdr) == "" {
		producer := strings.Split(m.Subject, ".")[1]
		m.Header.Set(nats.MsgIdHdr, producer+"/"+nuid.Next())
	}
	for try := 1; ; try++ {
		each, cancel := context.WithTimeout(ctx, answerWithin)
		ack, err := js.PublishMsg(each, m)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || try == answerTries || ctx.Err() != nil || !js.Conn().IsConnected() {
			return ack, err
		}
	}
}
