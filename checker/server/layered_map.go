package server

import (
	"iter"
	"maps"
)

// layeredMap is a map whose changed copies share most of it, because copying a map of all
// releases for each change would take more time than the change itself.
type layeredMap[V any] struct {
	base   map[string]*V // shared by copies
	recent map[string]*V // takes precedence; nil removes a key
}

func (m layeredMap[V]) get(key string) *V {
	if v, ok := m.recent[key]; ok {
		return v
	}
	return m.base[key]
}

// set sets the value of a key; nil removes it. The map must be a copy that has no copies
// yet.
func (m layeredMap[V]) set(key string, v *V) { m.recent[key] = v }

// copy returns a copy that can be changed. It copies recent changes only, until they are
// so many that a new base costs less over time.
func (m layeredMap[V]) copy() layeredMap[V] {
	if n := len(m.recent); n*n < len(m.base) {
		return layeredMap[V]{m.base, maps.Clone(m.recent)}
	}
	base := make(map[string]*V, len(m.base)+len(m.recent))
	maps.Insert(base, m.all())
	return layeredMap[V]{base, map[string]*V{}}
}

// all iterates over the map.
func (m layeredMap[V]) all() iter.Seq2[string, *V] {
	return func(yield func(string, *V) bool) {
		for key, v := range m.base {
			if _, changed := m.recent[key]; !changed && !yield(key, v) {
				return
			}
		}
		for key, v := range m.recent {
			if v != nil && !yield(key, v) {
				return
			}
		}
	}
}

// values returns all values, in no order.
func (m layeredMap[V]) values() (all []*V) {
	for _, v := range m.all() {
		all = append(all, v)
	}
	return all
}
