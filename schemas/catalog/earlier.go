package catalog

import (
	"embed"
	"fmt"
	"sync"

	"midplane/event"
	"midplane/schemas"
)

// earlierFiles are the versions before the present ones, earlier/TYPE-VERSION.json.
// A compatible change copies a type's file there before it changes the file.
//
//go:embed earlier/*.json
var earlierFiles embed.FS

var earlier = sync.OnceValues(loadEarlier)

// loadEarlier reads and compiles every version but the present ones.
func loadEarlier() (map[event.Type][]schemas.Entry, error) {
	all, err := loaded()
	if err != nil {
		return nil, err
	}
	out := map[event.Type][]schemas.Entry{}
	for _, now := range all {
		for version := 1; version < now.Version; version++ {
			name := fmt.Sprintf("earlier/%s-%d.json", now.Type, version)
			s, err := file(earlierFiles, name)
			if err != nil {
				return nil, err
			}
			if s.Type != now.Type || s.Version != version {
				return nil, fmt.Errorf("%s holds version %d of %s", name, s.Version, s.Type)
			}
			v, err := schemas.Compile(s)
			if err != nil {
				return nil, err
			}
			out[now.Type] = append(out[now.Type], schemas.Entry{Schema: s, Validator: v})
		}
	}
	return out, nil
}

// Versions returns the present versions of the types that have had more than one. A
// type that is not in it has version 1.
func Versions() map[event.Type]int {
	out := map[event.Type]int{}
	for _, s := range Schemas() {
		if s.Version > 1 {
			out[s.Type] = s.Version
		}
	}
	return out
}

// Earlier returns a type as it was at a version: the schema by which an older
// ingress checks that type. false means that there is none: the version is the
// present one or newer, or the type is not Midplane's. It panics as Schemas does.
func Earlier(t event.Type, version int) (schemas.Entry, bool) {
	all, err := earlier()
	if err != nil {
		panic("catalog: " + err.Error())
	}
	list := all[t]
	if len(list) == 0 || version > len(list) {
		return schemas.Entry{}, false
	}
	return list[max(version, 1)-1], true
}
