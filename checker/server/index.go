package server

import (
	"iter"
	"maps"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"relcheck/checker/catalog"
)

// index is an immutable map. A changed index shares the map all with the one before, and
// holds recent changes in a second map, where nil is a removed value.
type index[T any] struct{ all, recent map[string]*T }

// recentMost is the maximum number of recent changes for a number of values.
func recentMost(all int) int { return 16 + all/64 }

// find returns the value with a name, or nil.
func (x index[T]) find(name string) *T {
	if v, ok := x.recent[name]; ok {
		return v
	}
	return x.all[name]
}

// with returns the index after some changes. A nil value removes a name.
func (x index[T]) with(changed map[string]*T) index[T] {
	if len(x.recent)+len(changed) <= recentMost(len(x.all)) {
		recent := make(map[string]*T, len(x.recent)+len(changed))
		maps.Copy(recent, x.recent)
		maps.Copy(recent, changed)
		return index[T]{x.all, recent}
	}
	all := make(map[string]*T, len(x.all)+len(changed))
	maps.Copy(all, x.all)
	maps.Copy(all, x.recent)
	maps.Copy(all, changed)
	maps.DeleteFunc(all, func(_ string, v *T) bool { return v == nil })
	return index[T]{all, nil}
}

// values returns all names and values in no particular order.
func (x index[T]) values() iter.Seq2[string, *T] {
	return func(yield func(string, *T) bool) {
		for name, v := range x.recent {
			if v != nil && !yield(name, v) {
				return
			}
		}
		for name, v := range x.all {
			if _, changed := x.recent[name]; !changed && !yield(name, v) {
				return
			}
		}
	}
}

// release is a release of a snapshot.
type release struct {
	catalog.Release
	key string // the canonical version
}

// published reports whether a version is the tag of release r, with or without a
// leading "v". No release has a tag if r is nil.
func (r *release) published(version string) bool {
	return r != nil && strings.TrimPrefix(r.Version, "v") == strings.TrimPrefix(version, "v")
}

// releases are the releases of a product, by canonical version and in order. Like an
// index, they share what has not changed.
type releases struct {
	index[release]
	all, recent []*release // newest first
	count       int
}

// with returns the releases after adding or replacing some.
func (l releases) with(changed []*release) releases {
	byKey := make(map[string]*release, len(changed))
	for _, r := range changed {
		if byKey[r.key] = r; l.find(r.key) == nil {
			l.count++
		}
	}
	l.index = l.index.with(byKey)
	slices.SortFunc(changed, newestFirst)
	l.recent = merge(l.recent, changed)
	if len(l.recent) > recentMost(len(l.all)) {
		l.all, l.recent = merge(l.all, l.recent), nil
	}
	return l
}

// newest returns the releases, newest first.
func (l releases) newest() iter.Seq[*release] {
	return func(yield func(*release) bool) {
		all := l.all
		for _, r := range l.recent {
			for len(all) > 0 && newestFirst(all[0], r) < 0 {
				if !yield(all[0]) {
					return
				}
				all = all[1:]
			}
			if len(all) > 0 && newestFirst(all[0], r) == 0 {
				all = all[1:]
			}
			if !yield(r) {
				return
			}
		}
		for _, r := range all {
			if !yield(r) {
				return
			}
		}
	}
}

func newestFirst(a, b *release) int { return semver.Compare(b.key, a.key) }

// merge returns sorted releases after adding or replacing those in changed, also sorted.
func merge(releases, changed []*release) []*release {
	merged := make([]*release, 0, len(releases)+len(changed))
	for _, r := range changed {
		i, found := slices.BinarySearchFunc(releases, r, newestFirst)
		merged = append(append(merged, releases[:i]...), r)
		if found {
			i++
		}
		releases = releases[i:]
	}
	return append(merged, releases...)
}
