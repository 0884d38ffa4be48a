package server

import (
	"maps"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"relcheck/checker/catalog"
)

type release struct {
	catalog.Release
	key string // the canonical version
}

// published reports whether a version is the tag of release r, with or without a
// leading "v". No release has a tag if r is nil.
func (r *release) published(version string) bool {
	return r != nil && strings.TrimPrefix(r.Version, "v") == strings.TrimPrefix(version, "v")
}

// releases are the releases of a product, by canonical version and in order. They are
// immutable.
type releases struct {
	byKey  map[string]*release
	sorted []*release // newest first
}

func (l releases) with(changed []*release) releases {
	byKey := make(map[string]*release, len(l.byKey)+len(changed))
	maps.Copy(byKey, l.byKey)
	for _, r := range changed {
		byKey[r.key] = r
	}
	slices.SortFunc(changed, newestFirst) // so that the first releases of a product are appended
	sorted := slices.Clone(l.sorted)
	for _, r := range changed {
		if i, found := slices.BinarySearchFunc(sorted, r, newestFirst); found {
			sorted[i] = r
		} else {
			sorted = slices.Insert(sorted, i, r)
		}
	}
	return releases{byKey, sorted}
}

func newestFirst(a, b *release) int { return semver.Compare(b.key, a.key) }
