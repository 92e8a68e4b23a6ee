// Command publish is a stock NATS client that publishes two events into a
// tenant: one that obeys its schema and one that does not. It shows that the
// cluster enforces the schema: the client uses no code of Midplane, and the
// refusal is an ordinary JetStream API error.
//
//	midplane user create --tenant acme --role producer door-1 --out door-1.creds
//	go run ./docs/examples/publish -creds door-1.creds
//
// It imports the NATS client only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func main() {
	server := flag.String("server", "nats://127.0.0.1:4222", "client URL of a node")
	creds := flag.String("creds", "door-1.creds", "the producer's .creds file")
	name := flag.String("name", "door-1", "the producer's name")
	flag.Parse()
	if err := publish(os.Stdout, *server, *creds, *name); err != nil {
		fmt.Fprintln(os.Stderr, "publish:", err)
		os.Exit(1)
	}
}

// publish writes each message and the cluster's answer to w.
func publish(w io.Writer, server, creds, name string) error {
	nc, err := nats.Connect(server,
		nats.UserCredentials(creds),
		// A user may listen below its own inbox only; with the default prefix
		// no answer would arrive.
		nats.CustomInboxPrefix("_INBOX."+name))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	// in.<producer>.event.<severity>.<entity>.<type>
	subject := "in." + name + ".event.notice.loading-bay.acme.door.opened.v1"
	for _, payload := range []string{
		`{"door": "loading-bay", "by": "card 4711"}`,
		`{"door": "loading-bay", "by": 4711}`,
	} {
		ack, err := js.Publish(ctx, subject, []byte(payload))
		var refused *jetstream.APIError
		switch {
		case err == nil:
			fmt.Fprintf(w, "%s\n  stored in %s as %d\n", payload, ack.Stream, ack.Sequence)
		case errors.As(err, &refused):
			fmt.Fprintf(w, "%s\n  refused: %d/%d %s\n", payload, refused.Code, refused.ErrorCode, refused.Description)
		default:
			return err
		}
	}
	return nil
}
