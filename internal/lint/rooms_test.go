package lint

import (
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// roomOf is what a part of a folder may touch: other rooms of the same folder,
// and bodies of the house (layer 3). What is below the bodies, every room may
// import.
type roomOf struct{ rooms, bodies []string }

// folders are the folders of rooms. "." is the folder itself: it puts its rooms
// together, and no room imports it. "X/..." is each package below X that has no
// line of its own. A package that is not in the table is not a room and may not be
// there.
var folders = map[string]map[string]roomOf{
	"platform/ingress": {
		".":     {rooms: []string{"admit"}, bodies: []string{"platform/registry"}},
		"admit": {},
	},
	"cmd/midplane": {
		".":                       {rooms: []string{"change", "look", "people", "serve", "setup", "shell", "shell/connect", "shell/output"}, bodies: []string{"console/access"}},
		"shell":                   {rooms: []string{"shell/connect", "shell/output"}},
		"shell/connect":           {},
		"shell/output":            {},
		"shell/output/outputtest": {rooms: []string{"shell/output"}},
		"look":                    {rooms: []string{"shell", "shell/connect", "shell/output"}},
		"change":                  {rooms: []string{"shell", "shell/connect", "shell/output"}},
		"people":                  {rooms: []string{"shell", "shell/connect", "shell/output"}, bodies: []string{"console/access"}},
		"setup":                   {rooms: []string{"shell", "shell/connect", "shell/output"}, bodies: []string{"platform/deployment"}},
		"serve": {rooms: []string{"shell", "shell/connect", "shell/output"},
			bodies: []string{"console", "console/access", "platform", "platform/deployment", "poller", "poller/embedded", "poller/join", "primary"}},
	},
	"platform/control": controlRooms,
	"poller":           pollerRooms,
	"primary":          primaryRooms,
}

// controlRooms are the rooms of the control plane.
var controlRooms = map[string]roomOf{
	".":           {rooms: []string{"accounts", "alarm", "auditlog", "canary", "channel", "connections", "dial", "drain", "lease", "load", "missing", "primaries", "probe", "reconcile", "replicas", "secrets", "service", "specs", "status", "trim", "upgrade", "users", "watchdog"}, bodies: []string{"platform/registry"}},
	"accounts":    {rooms: []string{"service"}, bodies: []string{"platform/registry"}},
	"alarm":       {bodies: []string{"platform/registry"}},
	"auditlog":    {bodies: []string{"platform/node", "platform/registry"}},
	"canary":      {bodies: []string{"platform/registry"}},
	"channel":     {rooms: []string{"users"}, bodies: []string{"platform/registry"}},
	"connections": {rooms: []string{"dial"}, bodies: []string{"platform/node", "platform/registry"}},
	"dial":        {bodies: []string{"platform/registry"}},
	"drain":       {bodies: []string{"platform/node", "platform/registry"}},
	"lease":       {bodies: []string{"platform/registry"}},
	"load":        {rooms: []string{"dial"}, bodies: []string{"platform/node", "platform/registry"}},
	"missing":     {bodies: []string{"platform/node", "platform/registry"}},
	"primaries":   {bodies: []string{"platform/registry"}},
	"probe":       {bodies: []string{"platform/registry"}},
	"reconcile":   {rooms: []string{"accounts", "alarm", "dial", "primaries"}, bodies: []string{"platform/registry"}},
	"replicas":    {rooms: []string{"dial", "service"}, bodies: []string{"platform/node", "platform/registry"}},
	"secrets":     {rooms: []string{"service"}, bodies: []string{"platform/registry"}},
	"service":     {rooms: []string{"auditlog"}, bodies: []string{"platform/registry"}},
	"specs":       {bodies: []string{"platform/registry"}},
	"status":      {rooms: []string{"accounts", "auditlog", "canary", "lease", "primaries", "secrets", "service", "watchdog"}, bodies: []string{"platform/node", "platform/registry"}},
	"trim":        {rooms: []string{"primaries"}, bodies: []string{"platform/node", "platform/registry"}},
	"upgrade":     {bodies: []string{"platform/registry"}},
	"users":       {rooms: []string{"service"}, bodies: []string{"platform/registry"}},
	"watchdog":    {bodies: []string{"platform/node", "platform/registry"}},
}

// primaryRooms are the rooms of a primary. What reads and what answers know the
// store's interfaces; the folder itself opens an implementation.
var primaryRooms = map[string]roomOf{
	".":               {rooms: []string{"consume", "query", "repair", "store", "store/sqlite"}},
	"consume":         {rooms: []string{"fold", "store"}},
	"query":           {rooms: []string{"store"}},
	"repair":          {rooms: []string{"fold", "store"}},
	"fold":            {},
	"store":           {rooms: []string{"fold"}},
	"store/index":     {rooms: []string{"fold", "store"}},
	"store/sqlite":    {rooms: []string{"fold", "store", "store/index"}},
	"store/storetest": {rooms: []string{"fold", "store"}},
}

// pollerRooms are the rooms of a poller. They do not know each other, except that
// heartbeat reads the runs of schedule: the folder itself hands the outbox to
// forward, and what schedule finds to the outbox.
var pollerRooms = map[string]roomOf{
	".":                   {rooms: []string{"change", "channel", "collect", "forward", "heartbeat", "outbox", "schedule"}},
	"change":              {},
	"channel":             {},
	"collect":             {},
	"collect/...":         {rooms: []string{"collect"}}, // a collector
	"collect/all":         {rooms: []string{"collect", "collect/..."}},
	"collect/collecttest": {rooms: []string{"collect"}},
	"embedded":            {}, // how a poller is made is given to it
	"forward":             {},
	"join":                {},
	"outbox":              {},
	"pollertest":          {rooms: []string{"outbox"}},
	"heartbeat":           {rooms: []string{"collect", "schedule"}},
	"schedule":            {rooms: []string{"collect"}},
}

func TestRoomsKeepToTheirTable(t *testing.T) {
	used := map[string]bool{}
	goFiles(t, func(file, dir string) {
		if strings.HasSuffix(file, "_test.go") {
			return
		}
		folder, name := folderOf(dir)
		if folder == "" {
			return
		}
		may, known := folders[folder][name]
		if !known {
			t.Errorf("%s is no room of %s; add it to folders", dir, folder)
			return
		}
		used[folder+"/"+name] = true
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imp := range f.Imports {
			p, _ := strconv.Unquote(imp.Path.Value)
			to, ours := strings.CutPrefix(p, module)
			if !ours {
				continue
			}
			if in, other := folderOf(to); in == folder {
				if !slices.Contains(may.rooms, other) {
					t.Errorf("%s: room %s may not import room %s", file, name, other)
				}
			} else if layers[room(to)] == layers["platform"] && !slices.Contains(may.bodies, to) {
				t.Errorf("%s: room %s may not import %s", file, name, to)
			}
		}
	})
	for folder, rooms := range folders {
		for name := range rooms {
			if !used[folder+"/"+name] {
				t.Errorf("there is no room %s of %s", name, folder)
			}
		}
	}
}

func has(rooms map[string]roomOf, name string) bool {
	_, ok := rooms[name]
	return ok
}

// folderOf returns the folder of rooms that a package is in, and its room.
func folderOf(dir string) (folder, name string) {
	for folder := range folders {
		if dir == folder {
			return folder, "."
		}
		if name, ok := strings.CutPrefix(dir, folder+"/"); ok {
			if below := path.Dir(name) + "/..."; !has(folders[folder], name) && has(folders[folder], below) {
				name = below
			}
			return folder, name
		}
	}
	return "", ""
}
