package rollup

import (
	"slices"

	"github.com/google/uuid"
)

// Add adds an instance.
func (s *InstanceSet) Add(k Key, id uuid.UUID) { s.addHash(k.Hash(id)) }

// Equal reports whether the counts are equal.
func (h Heaps) Equal(other Heaps) bool { return slices.Equal(h.list(), other.list()) }

func (h Heaps) list() (all [][2]int64) {
	for bucket, n := range h.All() {
		all = append(all, [2]int64{int64(bucket), n})
	}
	return all
}

// Above returns the number of distinct instances that ever exceeded one of [HeapLimits].
func (r *Rollup) Above(limit int64) int64 {
	var t distinctCounter
	for _, h := range r.classes {
		if h.class > heapClassOf(&limit) {
			t.addSet(h.instances)
		}
	}
	return t.count()
}

// Approximate reports whether the rollup has approximate heaps of an earlier version of
// relcheck.
func (r *Rollup) Approximate() bool { return r.approximate }
