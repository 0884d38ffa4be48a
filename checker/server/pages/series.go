package pages

import (
	"strconv"

	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

// otherBuilds is the series of the builds of vendors and developers.
const otherBuilds = "other builds"

const (
	// maxGroups is the number of groups of launches, each with a color of its own.
	maxGroups = 6
	// ownGroups is the number of the newest launches with a group of their own if there are more
	// launches than groups. The next group has as many, and the last one all older ones.
	ownGroups = 4
)

// series assigns versions to the series of charts. A version has the same series and color
// in all ranges and with all filters, because both depend on the releases only.
type series struct {
	view   *stats.View
	names  []string       // newest first
	groups map[string]int // by launch: index in names
	known  map[string]int // by version; len(names) for other builds
}

func newSeries(v *stats.View) *series {
	s := &series{view: v, groups: map[string]int{}, known: map[string]int{rollup.Other: -1}}
	launches := v.Launches()
	for i := 0; i < len(launches); {
		size := 1
		switch {
		case len(launches) <= maxGroups || i < ownGroups:
		case i == ownGroups:
			size = min(ownGroups, len(launches)-ownGroups-1)
		default:
			size = len(launches) - i
		}
		name := launches[i].Name
		if size > 1 {
			name = launches[i+size-1].Name + " – " + name
			if i+size == len(launches) {
				name = launches[i].Name + " and older"
			}
		}
		for _, l := range launches[i : i+size] {
			s.groups[l.Name] = len(s.names)
		}
		s.names = append(s.names, name)
		i += size
	}
	return s
}

// index returns the index of the series of a version: len(s.names) for other builds.
func (s *series) index(version string) int {
	i, ok := s.known[version]
	if !ok {
		if i, ok = s.groups[s.view.LaunchOf(version)]; !ok {
			i = -1
		}
		s.known[version] = i
	}
	if i < 0 {
		return len(s.names)
	}
	return i
}

func (s *series) name(i int) string {
	if i == len(s.names) {
		return otherBuilds
	}
	return s.names[i]
}

func (s *series) class(i int) string {
	if i == len(s.names) {
		return "cx"
	}
	return "c" + strconv.Itoa(i)
}

// legend describes the series that are used.
func (s *series) legend(used func(i int) bool) (all []legendItem) {
	for i := range len(s.names) + 1 {
		if used(i) {
			all = append(all, legendItem{s.name(i), s.class(i)})
		}
	}
	return all
}
