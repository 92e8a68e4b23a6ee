package channel

import (
	"context"
	"reflect"
	"time"

	"github.com/nats-io/nats.go"

	"midplane/api"
	"midplane/fault"
	"midplane/schemas/catalog"
)

// reporting reports to the control plane every five seconds and when the
// configuration has changed; what is as it was, at every other of these times. That
// it does not answer is asking's to log.
func (c *Channel) reporting(ctx context.Context, nc *nats.Conn, client *api.Channel, now <-chan struct{}, status func() api.PollerReport) error {
	var last api.PollerReport // that arrived
	var at time.Time
	for {
		r := c.withUnderstands(status())
		if nc.IsConnected() && (time.Since(at) > reportEvery*3/2 || changed(r, last)) {
			if err := report(ctx, client, r); err == nil {
				last, at = r, time.Now()
			} else if ctx.Err() == nil {
				c.log.Debug("report", "error", err)
			}
		}
		timer := time.NewTimer(c.place(reportEvery))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-now:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return nil
		}
	}
}

// changed reports whether two reports differ in more than how far each stream is,
// which is of interest only with the rest.
func changed(a, b api.PollerReport) bool {
	a.Outgoing, b.Outgoing = nil, nil
	return !reflect.DeepEqual(a, b)
}

// withUnderstands returns the report as all nodes read it: with what this poller
// understands, or without what an older one refuses.
func (c *Channel) withUnderstands(r api.PollerReport) api.PollerReport {
	c.mu.Lock()
	formats := c.have.Formats
	c.mu.Unlock()
	if formats.Number(api.FormatChannel) < 2 {
		r.Held, r.Thinned, r.Overflow, r.Outgoing = nil, nil, nil, nil
		return r
	}
	r.Formats, r.Types = api.CurrentFormats(), catalog.Versions()
	return r
}

func report(ctx context.Context, client *api.Channel, r api.PollerReport) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	err := client.Do(ctx, api.ChannelStatus, r, nil)
	if (r.Held != nil || r.Thinned != nil || r.Overflow != nil || r.Outgoing != nil || r.Formats != nil) && fault.Is(err, fault.Invalid) { // an older node, which does not know the fields
		r.Held, r.Thinned, r.Overflow, r.Outgoing, r.Formats, r.Types = nil, nil, nil, nil, nil, nil
		err = client.Do(ctx, api.ChannelStatus, r, nil)
	}
	return err
}
