package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"midplane/api"
	"midplane/fault"
)

// Level is the record of the last upgrade that was ended: what may be stored and
// sent. Without a record that is what v0.1.0 understands.
type Level struct {
	api.Understands
	Ended time.Time `json:"ended"`
	By    string    `json:"by"`
}

// levelKey is beside the admins' records: v0.1.0 takes no notice of it there.
var levelKey = "upgrade." + string(Operators)

// LevelRecords are the one record of the last upgrade that was ended.
type LevelRecords struct{ in bucket }

// Get returns the record as this node has it, and its revision; 0 when there
// is none. The error says that a newer version wrote what cannot be read here.
func (r *LevelRecords) Get() (Level, uint64, error) {
	var l Level
	e, ok := r.in.mirror.Get(levelKey)
	if !ok {
		return l, 0, nil
	}
	err := decode(e.Value, &l)
	return l, e.Revision, fault.Wrap(fault.Other, err, "the record of the last upgrade")
}

// Put stores the record by compare-and-set.
func (r *LevelRecords) Put(ctx context.Context, l Level, rev uint64) (uint64, error) {
	return r.in.cas(ctx, levelKey, l, rev, "the record of the last upgrade")
}

// PrimaryUnderstandsKey is where a primary's Understands is kept in STATUS, beside
// PrimaryKey, whose value v0.1.0 reads.
func PrimaryUnderstandsKey(primary string) string { return "understands." + primary }

// understandsFor is how much older than its last report of a cursor a primary's report
// of what it understands may be: one that reports cursors only is of v0.1.0, also
// when a newer version ran there before.
const understandsFor = time.Minute

// Primaries returns what every registered primary understands. One that does not
// report it is of v0.1.0.
func (r *Registry) Primaries() map[string]Seen[api.Understands] {
	out := map[string]Seen[api.Understands]{}
	reported := collect[api.Understands](r.Status, PrimaryUnderstandsKey(""))
	for name, p := range collect[time.Time](r.Status, PrimaryKey("")) {
		understands := reported[name]
		if p.Seen.Sub(understands.Seen) > understandsFor {
			understands.Value = api.Understands{}
		}
		out[name] = Seen[api.Understands]{Value: understands.Value, Seen: p.Seen}
	}
	return out
}

// Understands is what a node with this presence understands.
func (p Presence) Understands() api.Understands {
	return api.Understands{Version: p.Version, Formats: p.Formats, Types: p.Types}
}

// NodeFormats returns the formats that every live node understands.
func (r *Registry) NodeFormats() api.Formats {
	var all []api.Understands
	for _, n := range r.LiveNodes() {
		all = append(all, n.Understands())
	}
	return api.Lowest(all...).Formats
}

// InUse returns what is stored and sent: what was ended last, where every live
// node and every registered primary understands it.
func (r *Registry) InUse() api.Understands {
	level, _, err := r.Levels.Get()
	if err != nil {
		return api.Understands{}
	}
	all := []api.Understands{level.Understands}
	for _, n := range r.LiveNodes() {
		all = append(all, n.Understands())
	}
	for _, p := range r.Primaries() {
		all = append(all, p.Value)
	}
	return api.Lowest(all...)
}

// Unbounded reports whether tenants' streams are to have no limit of their own
// (api.FormatSpace): once that is in use, and as long as every live node's doors
// keep the shares. Primaries have no part in it.
func (r *Registry) Unbounded() (bool, error) { return nodesAgree(r, api.FormatSpace) }

// Probed reports whether there may be a tenant of the system's own
// (api.FormatProbe): an older node would take it for a customer.
func Probed(r *Registry) (bool, error) { return nodesAgree(r, api.FormatProbe) }

// nodesAgree reports whether an operator has ended an upgrade to a version that has
// number 2 of a format, and every live node has it.
func nodesAgree(r *Registry, format string) (bool, error) {
	const number = 2
	level, _, err := r.Levels.Get()
	if err != nil || level.Formats.Number(format) < number {
		return false, err
	}
	for _, n := range r.LiveNodes() {
		if n.Formats.Number(format) < number {
			return false, nil
		}
	}
	return true, nil
}

// decode reads a value of REGISTRY. A version that adds a field which restricts a
// right writes the number of its format into the value (top-level "format"): who
// does not know the number would grant more than was meant, and does not read it.
func decode(data []byte, v any) error {
	if bytes.Contains(data, []byte(`"format"`)) {
		var head struct {
			Format json.RawMessage `json:"format"`
		}
		var format int
		known := api.CurrentFormats().Number(api.FormatRegistry)
		if json.Unmarshal(data, &head) == nil && len(head.Format) > 0 && (json.Unmarshal(head.Format, &format) != nil || format > known) {
			return fault.WithHint(fault.New(fault.Unavailable, "it has format %s, and this version reads up to %d", head.Format, known), "start a newer version of this node")
		}
	}
	return json.Unmarshal(data, v)
}
