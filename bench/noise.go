package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/event"
	"midplane/subject"
)

// noise are producers that publish at a rate without regard to the answers, over
// a connection each to every node, until they are stopped.
type noise struct{ subprocess }

// startNoise runs the order's producer in a process of its own.
func startNoise(ctx context.Context, o order) (*noise, error) {
	sub, err := startSub(ctx, childArg, o)
	return &noise{sub}, err
}

// stop ends it and returns what it did.
func (n *noise) stop() (report, error) {
	var r report
	if err := n.in.Close(); err != nil {
		return r, err
	}
	if err := json.NewDecoder(n.out).Decode(&r); err != nil {
		return r, fmt.Errorf("noise: %w", err)
	}
	if r.Error != "" {
		return r, fmt.Errorf("noise: %s", r.Error)
	}
	return r, n.cmd.Wait()
}

// makeNoise is the child's part: it publishes until standard input ends.
func makeNoise(o order, r *report) error {
	done := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // its end is the message
		close(done)
	}()
	var sent, accepted, refused, lost atomic.Int64
	type mouth struct {
		nc          *nats.Conn
		user, inbox string
	}
	var mouths []mouth
	for _, v := range o.Voices {
		for _, server := range o.Servers {
			nc, err := nats.Connect(server, nats.UserCredentials(v.Creds), nats.CustomInboxPrefix(subject.InboxPrefix(v.User)), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1), nats.RetryOnFailedConnect(true),
				nats.DisconnectErrHandler(func(*nats.Conn, error) { lost.Add(1) }), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
			if err != nil {
				return err
			}
			defer nc.Close()
			inbox := fmt.Sprintf("%s.noise%d", subject.InboxPrefix(v.User), len(mouths))
			if _, err := nc.Subscribe(inbox, func(m *nats.Msg) {
				if strings.Contains(string(m.Data), `"error"`) {
					refused.Add(1)
				} else {
					accepted.Add(1)
				}
			}); err != nil {
				return err
			}
			mouths = append(mouths, mouth{nc, v.User, inbox})
		}
	}
	began, used := time.Now(), cpu()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; {
		select {
		case <-done:
			r.Seconds, r.CPU = time.Since(began).Seconds(), (cpu() - used).Seconds()
			r.Sent, r.Accepted, r.Refused, r.Lost = sent.Load(), accepted.Load(), refused.Load(), lost.Load()
			return nil
		case <-tick.C:
		}
		for due := int(time.Since(began).Seconds() * float64(o.Rate)); n < due; n++ {
			via := mouths[n%len(mouths)]
			m := message(o, n)
			m.Subject = strings.Replace(m.Subject, subject.InPrefix(event.Producer(o.User)), subject.InPrefix(event.Producer(via.user)), 1)
			m.Header["Nats-Msg-Id"] = []string{fmt.Sprintf("%s/%d-%d", via.user, began.UnixNano(), n)}
			m.Reply = via.inbox
			if via.nc.PublishMsg(m) == nil {
				sent.Add(1)
			}
		}
	}
}
