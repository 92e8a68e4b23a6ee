package snmp

import (
	"maps"
	"slices"
	"strconv"

	"midplane/event"
)

// entPhysicalEntry is ENTITY-MIB's table of the parts a device is made of.
const entPhysicalEntry = ".1.3.6.1.2.1.47.1.1.1.1"

var entPhysical = table{entry: entPhysicalEntry, columns: []int{2, 5, 7, 10, 11, 13}, text: []int{2, 7, 10, 11, 13}}

// maxComponents is how many components an inventory carries: its message must
// stay well below the size that a tenant allows.
const maxComponents = 500

var physicalClass = map[uint64]string{
	3: "chassis", 6: "powerSupply", 7: "fan", 9: "module", 10: "port", 12: "cpu",
}

// componentList is what the table has, ordered by index.
type componentList []physical

type physical struct {
	event.Component
	software string
}

// components reads the table; an agent without one has no components.
func (s *session) components() (componentList, error) {
	rows, err := s.table(&entPhysical, 0)
	if err != nil {
		return nil, err
	}
	var out componentList
	for _, index := range slices.SortedFunc(maps.Keys(rows), compare) {
		if _, err := strconv.ParseUint(index, 10, 32); err != nil {
			continue // entPhysicalIndex is one number
		}
		r := rows[index]
		class, _ := number(r.at(5))
		c := physical{software: text(r.at(10)), Component: event.Component{
			Index: index, Class: physicalClass[class], Name: text(r.at(7)),
			Model: text(r.at(13)), Serial: text(r.at(11))}}
		if c.Name == "" {
			c.Name = text(r.at(2))
		}
		if c.worthTelling() {
			if c.Class == "" {
				c.Class = "other"
			}
			out = append(out, c)
		}
	}
	return out, nil
}

// worthTelling leaves out the hundreds of sensors, slots and ports that can be
// neither bought nor swapped.
func (c physical) worthTelling() bool {
	switch c.Class {
	case "", "port":
		return c.Serial != "" || c.Model != ""
	}
	return true
}

// addTo puts the components into an inventory. The first chassis is the
// device: its model, serial and software are the device's own.
func (l componentList) addTo(v *event.Inventory) {
	for i, c := range l {
		if i < maxComponents {
			v.Components = append(v.Components, c.Component)
		}
	}
	if i := slices.IndexFunc(l, func(c physical) bool { return c.Class == "chassis" }); i >= 0 {
		v.Model, v.Serial, v.OS = l[i].Model, l[i].Serial, l[i].software
	}
}
