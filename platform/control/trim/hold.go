package trim

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"midplane/fault"
	"midplane/platform/registry"
	"midplane/streams"
)

// hold keeps for the status that the duplicate window holds a full stream, and until
// when, and that it does so no longer.
func (r *Trimmer) hold(ctx context.Context, t *registry.Tenant, js jetstream.JetStream, in streams.Trim, d streams.Decision, young time.Duration) error {
	key := registry.HeldKey(string(t.ID), in.Kind.Stream())
	old, _, known := registry.Get[registry.Held](r.cfg.Registry, key)
	if d.HeldBy != streams.HeldByWindow || in.Share <= 0 || in.Bytes*100 <= uint64(in.Share)*streams.TrimAbove {
		if !known {
			return nil
		}
		return r.cfg.Registry.DropStatus(ctx, key)
	}
	first, err := streams.GetMessage(ctx, js.Conn(), in.Kind.Stream(), streams.Get{Seq: max(d.PurgeTo, in.First), Next: ">", NoHeaders: true})
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "the first message inside the duplicate window")
	}
	until := first.Time.Add(young).UTC().Truncate(time.Second)
	if known && old.Until.Equal(until) {
		return nil
	}
	_, err = r.cfg.Registry.PutStatus(ctx, key, registry.Held{Until: until})
	return err
}
