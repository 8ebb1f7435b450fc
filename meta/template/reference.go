package template

import (
	"maps"
	"slices"
)

// A Reference is what there is to know about a helper.
type Reference struct {
	Name, Group, Usage string
}

// References are all helpers, by group in the order of the documentation, then by name.
func References() []Reference {
	var all []Reference
	for _, group := range []string{logicGroup, accessGroup, listGroup, textGroup, numberGroup, peopleGroup, worldGroup} {
		for _, name := range slices.Sorted(maps.Keys(helpers)) {
			if helpers[name].group == group {
				all = append(all, Reference{name, group, helpers[name].usage})
			}
		}
	}
	return all
}
