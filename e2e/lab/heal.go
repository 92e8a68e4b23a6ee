package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"midplane/api"
	"midplane/event"
	"midplane/internal/testcluster"
	"midplane/subject"
)

// What has to hold when a replica is damaged.
const (
	foundWithin = time.Minute
	healedPerGB = 5 * time.Minute
)

const (
	bulk       = "bulk" // a tenant, and its producer
	bulkType   = "bulk.piece.measured.v1"
	bulkStream = event.StreamMetrics
	pieceSize  = 64 << 10
)

const bulkSpec = `apiVersion: midplane/v1
kind: Tenant
id: ` + bulk + `
name: Bulk
quota: {messageRate: 20000, byteRate: 1GiB, producerByteRate: 1GiB, storage: 8GiB, messageSize: 128KiB}
schemas:
  - type: ` + bulkType + `
    kind: metric
    file: piece.json
    example: {data: x}
    line: "{data}"
sites: [{id: syd, name: Sydney}]
`

const bulkSchema = `{"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A piece", "type": "object", "required": ["data"],
  "additionalProperties": false, "properties": {"data": {"type": "string", "maxLength": 100000}}}`

// Fill stores as many bytes in METRICS of a tenant of its own.
type Fill struct{ Bytes int }

// Do fills.
func (f Fill) Do(ctx context.Context, w *World) error {
	files := map[string]string{bulk + ".yaml": bulkSpec, "piece.json": bulkSchema}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(w.sys.Dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	if _, err := w.sys.Run(ctx, "apply", "-f", filepath.Join(w.sys.Dir, bulk+".yaml")); err != nil {
		return err
	}
	creds := filepath.Join(w.sys.Dir, bulk+".creds")
	if _, err := w.sys.Run(ctx, "user", "create", "--tenant", bulk, "--role", "producer", bulk, "--out", creds); err != nil {
		return err
	}
	nc, err := w.sys.Connect(creds, bulk)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	body := fmt.Appendf(nil, `{"data":%q}`, strings.Repeat("x", pieceSize))
	const lanes = 16
	faults := make([]error, lanes)
	var lane sync.WaitGroup
	for l := range lanes {
		lane.Go(func() {
			for i := l; i < f.Bytes/pieceSize && faults[l] == nil; i += lanes {
				in := subject.In{Producer: bulk, Kind: event.KindMetric, Entity: event.Entity(fmt.Sprintf("e%d", l)), Type: bulkType}
				_, faults[l] = testcluster.Publish(ctx, js, &nats.Msg{Subject: in.String(), Header: nats.Header{event.HeaderMsgID: {fmt.Sprintf("%s/%d", bulk, i)}}, Data: body})
			}
		})
	}
	lane.Wait()
	w.note("%s holds %d MB more", bulkStream, f.Bytes>>20)
	return errors.Join(faults...)
}

// Mend damages a replica of what Fill has stored, while its node runs, and waits
// until it is found and until it is whole. It fails when one takes longer than it may.
type Mend struct{ Who Who }

// Do measures.
func (f Mend) Do(ctx context.Context, w *World) error {
	held, err := bulkReplicas(ctx, w)
	if err != nil {
		return err
	}
	gb := float64(held[0].Bytes) / 1e9
	if err := (Damage{f.Who, BulkBlock, Flip}).Do(ctx, w); err != nil {
		return err
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, 8*time.Minute)
	defer cancel()
	if err := w.sys.Await(ctx, func(ctx context.Context) error { return finds(ctx, w, true) }); err != nil {
		return fmt.Errorf("not found: %w", err)
	}
	found := time.Since(began)
	if err := w.sys.Await(ctx, func(ctx context.Context) error {
		now, err := bulkReplicas(ctx, w)
		if err != nil {
			return err
		}
		for _, r := range now {
			if r.State != api.ReplicaCurrent || r.Messages != held[0].Messages {
				return fmt.Errorf("%s is %s, with %d of %d messages", r.Node, r.State, r.Messages, held[0].Messages)
			}
		}
		return finds(ctx, w, false)
	}); err != nil {
		return fmt.Errorf("not whole again: %w", err)
	}
	healed := time.Since(began)
	per := time.Duration(float64(healed) / gb)
	w.note("%.0f MB: found after %.1f s, whole after %.1f s: %.0f s per GB", gb*1000, found.Seconds(), healed.Seconds(), per.Seconds())
	if found > foundWithin || per > healedPerGB {
		return fmt.Errorf("it may be found after %s, and take %s per GB: found after %s, %s per GB", foundWithin, healedPerGB, found, per)
	}
	return nil
}

// bulkReplicas returns what every node holds of what Fill has stored.
func bulkReplicas(ctx context.Context, w *World) ([]api.Replica, error) {
	var rows []api.Replica
	err := w.sys.Get(ctx, &rows, "replicas", "--tenant", bulk)
	rows = slices.DeleteFunc(rows, func(r api.Replica) bool { return r.Stream != bulkStream })
	if err == nil && len(rows) != len(w.sys.Nodes) {
		err = fmt.Errorf("%d replicas", len(rows))
	}
	return rows, err
}

// finds reports an error unless status has a problem with a replica, or has none.
func finds(ctx context.Context, w *World, problem bool) error {
	s, err := testcluster.StatusOf(ctx, w.sys.Machine)
	if err != nil {
		return err
	}
	there := slices.ContainsFunc(s.Problems, func(p api.Problem) bool {
		return p.Tenant == bulk && (p.Code == api.CodeReplicaDiverged || p.Code == api.CodeReplicaRepairing)
	})
	if there != problem {
		return fmt.Errorf("a problem with a replica: %v", there)
	}
	return nil
}
