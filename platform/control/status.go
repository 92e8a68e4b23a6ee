package control

import (
	"context"
	"sort"
	"time"

	"midplane/api"
	"midplane/event"
	"midplane/platform/control/registry"
	"midplane/streams"
)

func (c *Control) nodeStatus(_ context.Context, _ string, _ struct{}) (any, error) {
	return c.clusterStatus(), nil
}

// urgency orders problems, most urgent first.
func urgency(severity string) int { return event.Severity(severity).Level() }

func sortStatus(s *api.ClusterStatus) {
	sort.Slice(s.Nodes, func(i, j int) bool { return s.Nodes[i].ID < s.Nodes[j].ID })
	sort.Slice(s.Primaries, func(i, j int) bool { return s.Primaries[i].ID < s.Primaries[j].ID })
	sort.SliceStable(s.Problems, func(i, j int) bool {
		a, b := s.Problems[i], s.Problems[j]
		if urgency(a.Severity) != urgency(b.Severity) {
			return urgency(a.Severity) < urgency(b.Severity)
		}
		if a.Tenant != b.Tenant {
			return a.Tenant < b.Tenant
		}
		return a.Message < b.Message
	})
}

// primaryCursors returns how far each known primary has committed a stream. One
// that has none in this tenant, or one of another incarnation, has read nothing.
func (c *Control) primaryCursors(t *registry.Tenant, stream string) (out []streams.Cursor) {
	told := registry.Collect[registry.CursorStatus](c.reg, "cursor."+string(t.ID)+".")
	for name := range registry.Collect[time.Time](c.reg, "primary.") {
		// Dead letters have no obligatory reader.
		cursor := streams.Cursor{Owner: "primary " + name, Hold: stream != event.StreamDead}
		for _, at := range told[name].Value.Cursors {
			if at.Stream == stream && at.Incarnation == t.Account.Incarnations[stream] {
				cursor.Seq = at.Seq
			}
		}
		out = append(out, cursor)
	}
	return out
}
