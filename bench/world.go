package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"midplane/internal/testcluster"
	"midplane/subject"
	"midplane/tenants"
	"midplane/tenants/account"
)

// eventType is the type the door is measured with: a device's event as a
// network produces them, every field constrained.
const eventType = "bench.device.event.v1"

const eventSchema = `{"type":"object","additionalProperties":false,
 "required":["device","name","status","counter","ratio","time","tags","location","message"],
 "properties":{
  "device":{"type":"string","minLength":1,"maxLength":120},
  "name":{"type":"string","maxLength":120,"pattern":"^[a-zA-Z0-9/._-]+$"},
  "status":{"enum":["up","down","testing","unknown"]},
  "counter":{"type":"integer","minimum":0},
  "ratio":{"type":"number","minimum":0,"maximum":1},
  "time":{"type":"string","format":"date-time"},
  "tags":{"type":"array","maxItems":8,"items":{"type":"string","maxLength":32}},
  "location":{"type":"object","additionalProperties":false,"required":["site","rack"],
   "properties":{"site":{"type":"string","maxLength":64},"rack":{"type":"integer","minimum":0,"maximum":999}}},
  "message":{"type":"string","maxLength":4096}}}`

// payload makes an event of exactly size bytes.
func payload(size, i int) []byte {
	const format = `{"device":"r%06d","name":"ge-0/0/%d","status":"down","counter":%d,"ratio":0.25,"time":"2026-01-31T12:00:00Z","tags":["core","edge"],"location":{"site":"syd","rack":%d},"message":"%s"}`
	make := func(pad string) string { return fmt.Sprintf(format, i%1000, i%48, i%1000, i%40+1, pad) }
	bare := len(make(""))
	return []byte(make(strings.Repeat("x", max(size-bare, 0))))
}

// world is a cluster with one tenant, a producer that goes through the door
// and one that goes straight to the stream.
type world struct {
	cluster  *testcluster.Cluster
	dir      string
	producer string // creds
	raw      *testcluster.Raw
}

const benchUser = "bench"

// ample is a quota that no benchmark but one about quotas comes near.
var ample = map[string]any{"storage": "8GiB", "messageRate": 1_000_000, "connections": 100, "messageSize": "256KiB"}

func benchTenant(id string, quota map[string]any) (*tenants.Spec, error) {
	example := string(payload(256, 1))
	spec := map[string]any{
		"apiVersion": tenants.APIVersion, "kind": tenants.KindTenant, "id": id, "name": id,
		"quota": quota,
		"sites": []any{map[string]any{"id": "syd", "name": "Sydney", "pollers": []any{map[string]any{"id": "syd-01"}}}},
		"schemas": []any{map[string]any{"type": eventType, "kind": "event", "version": 1, "schema": json.RawMessage(eventSchema),
			"example": json.RawMessage(example)}},
	}
	data, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	return tenants.ParseJSON(data)
}

func newWorld(ctx context.Context, opts testcluster.Options) (*world, error) {
	dir, err := os.MkdirTemp("", "midplane-bench-")
	if err != nil {
		return nil, err
	}
	spec, err := benchTenant("acme", ample)
	if err != nil {
		return nil, err
	}
	opts.Tenants = append(opts.Tenants, spec)
	c, err := testcluster.New(ctx, dir, opts)
	if err != nil {
		return nil, err
	}
	w := &world{cluster: c, dir: dir}
	if w.producer, err = c.User(ctx, "acme", account.RoleProducer, benchUser); err == nil {
		w.raw, err = c.Raw(ctx, "acme")
	}
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *world) close() {
	_ = w.cluster.Close() // what was measured has been printed
	_ = os.RemoveAll(w.dir)
}

// through and straight are the two orders that are compared.
func (w *world) through(round string, size, count, inFlight int) order {
	return order{Servers: w.cluster.Servers(), Creds: w.producer, User: benchUser, Subject: subject.InPrefix(benchUser) + "event.info.r%d." + eventType,
		MsgID: benchUser + "/" + round + "/", Size: size, Count: count, InFlight: inFlight, Entities: 1000}
}

func (w *world) straight(round string, size, count, inFlight int) order {
	return order{Servers: w.cluster.Servers(), Creds: w.raw.Creds, User: w.raw.User, Subject: w.raw.Capability.Prefix() + "event._.info.r%d." + eventType,
		MsgID: "raw/" + round + "/", Size: size, Count: count, InFlight: inFlight, Entities: 1000}
}
