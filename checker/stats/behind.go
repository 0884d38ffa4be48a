package stats

import (
	"fmt"
	"maps"
	"slices"

	"golang.org/x/mod/semver"

	"relcheck/checker"
)

// compareLines orders two versions by their minor lines.
func compareLines(a, b string) int { return semver.Compare(Line(a), Line(b)) }

// behindOf returns how far a version is behind, as values of a table.
func (v *View) behindOf(one *version) (releases, days any) {
	n, known := v.published.behind(one)
	d, dated := v.published.daysBehind(one)
	return orNil(n, known), orNil(d, dated)
}

func (v *View) deprecation(t *Table) {
	older := make([]int64, len(v.ladder)+1) // how many run none of the first n of the ladder, but one after
	for i, one := range slices.Backward(v.ladder) {
		older[i] = older[i+1] + one.ids
	}
	if unknown := v.ids - older[0]; unknown > 0 {
		t.remark(fmt.Sprintf("not shown: %d instances whose version cannot be compared", unknown))
	}
	for _, key := range v.below() {
		n := older[rungs(v.ladder, key)]
		t.row(v.published.shown(key), n, share(n, v.ids))
	}
}

// below returns the canonical versions below which support may end, newest first.
func (v *View) below() (keys []string) {
	for _, r := range v.published.all {
		keys = append(keys, r.key)
	}
	asked := checker.Canonical(v.Query.Below)
	if asked == "" || v.published.byKey[asked] != nil {
		return keys
	}
	at, _ := slices.BinarySearchFunc(keys, asked, func(key, asked string) int { return semver.Compare(asked, key) })
	return slices.Insert(keys, at, asked)
}

// byReleases returns how many ids are behind by how many releases, and of how
// many that is not known.
func (v *View) byReleases() (ids map[int64]int64, unknown int64) {
	ids = map[int64]int64{}
	for _, one := range v.used {
		if n, known := v.published.behind(one); known {
			ids[n] += one.ids
		} else {
			unknown += one.ids
		}
	}
	return ids, unknown
}

func (v *View) behind(t *Table) {
	ids, unknown := v.byReleases()
	for _, releases := range slices.Sorted(maps.Keys(ids)) {
		if n := ids[releases]; n > 0 {
			t.row(releases, n, share(n, v.ids))
		}
	}
	if unknown > 0 {
		t.row(nil, unknown, share(unknown, v.ids))
	}
}

// agesBehind are the days that one row of behind_days ends with.
var agesBehind = []int64{0, 30, 90, 180, 365}

func (v *View) behindDays(t *Table) {
	ids, unknown := make([]int64, len(agesBehind)+1), int64(0)
	for _, one := range v.used {
		if days, known := v.published.daysBehind(one); known {
			at, _ := slices.BinarySearch(agesBehind, days)
			ids[at] += one.ids
		} else {
			unknown += one.ids
		}
	}
	from := int64(0)
	for i, to := range agesBehind {
		t.row(from, to, ids[i], share(ids[i], v.ids))
		from = to + 1
	}
	last := ids[len(agesBehind)]
	t.row(from, nil, last, share(last, v.ids))
	if unknown > 0 {
		t.row(nil, nil, unknown, share(unknown, v.ids))
	}
}
