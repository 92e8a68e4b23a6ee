package control

import (
	"maps"
	"slices"
)

// AdminVerbs lists what the admin door answers.
func AdminVerbs() []string { return slices.Sorted(maps.Keys(rooms{}.adminVerbs())) }
