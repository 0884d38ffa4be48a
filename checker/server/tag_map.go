package server

import (
	"maps"

	"relcheck/checker/catalog"
)

// tagMap maps tags to releases. A changed copy shares most of it, because copying a map
// of all releases for each change would take more time than the change itself.
type tagMap struct {
	base   map[string]*catalog.Ranked // shared by copies
	recent map[string]*catalog.Ranked // takes precedence; nil removes a tag
}

func (m tagMap) get(tag string) *catalog.Ranked {
	if r, ok := m.recent[tag]; ok {
		return r
	}
	return m.base[tag]
}

// set changes the map. Copies that were made before do not change.
func (m tagMap) set(tag string, r *catalog.Ranked) { m.recent[tag] = r }

// copy returns a copy that can be changed. It copies recent changes only, until they are
// so many that a new base costs less over time.
func (m tagMap) copy() tagMap {
	if n := len(m.recent); n*n < len(m.base) {
		return tagMap{m.base, maps.Clone(m.recent)}
	}
	base := make(map[string]*catalog.Ranked, len(m.base)+len(m.recent))
	maps.Copy(base, m.base)
	maps.Copy(base, m.recent)
	maps.DeleteFunc(base, func(_ string, r *catalog.Ranked) bool { return r == nil })
	return tagMap{base, map[string]*catalog.Ranked{}}
}
