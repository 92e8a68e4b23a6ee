package primaries

import (
	"time"

	"midplane/event"
	"midplane/platform/registry"
	"midplane/streams"
)

// Cursors returns how far each known primary has committed a stream. One
// that has none in this tenant, or one of another incarnation, has read nothing.
func Cursors(reg *registry.Registry, t *registry.Tenant, stream string) (out []streams.Cursor) {
	cursors := registry.Collect[registry.CursorStatus](reg, "cursor."+string(t.ID)+".")
	for name := range registry.Collect[time.Time](reg, "primary.") {
		// Dead letters have no obligatory reader.
		cursor := streams.Cursor{Owner: "primary " + name, Hold: stream != event.StreamDead}
		for _, at := range cursors[name].Value.Cursors {
			if at.Stream == stream && at.Incarnation == t.Account.Incarnations[stream] {
				cursor.Seq = at.Seq
			}
		}
		out = append(out, cursor)
	}
	return out
}

// Live reports whether a primary reported in the last while.
func Live(reg *registry.Registry, name string, within time.Duration) bool {
	_, seen, ok := registry.Get[time.Time](reg, registry.PrimaryKey(name))
	return ok && time.Since(seen) < within
}
