package stats

import (
	"maps"
	"slices"

	"relcheck/checker/printable"
	"relcheck/checker/version"
)

// behindOf returns how far a version is behind, as values of a table.
func (v *View) behindOf(u *usedVersion) (releases, days any) {
	n, known := v.published.behind(u)
	d, dated := v.published.daysBehind(u)
	return orNil(n, known), orNil(d, dated)
}

func (v *View) deprecation(t *Table) {
	older := make([]usage, len(v.ordered)+1) // by n: usage of all comparable versions but the n newest
	for i, u := range slices.Backward(v.ordered) {
		older[i] = older[i+1]
		older[i].add(u.usage)
	}
	if unknown := v.instances - older[0].instances; unknown > 0 {
		t.addNote("not shown: " + printable.Count(unknown, "instance") + " whose version cannot be compared")
	}
	atLeast := v.atLeast()
	add := func(name string, limit version.Version) {
		v.addUsed(t, []any{name}, older[atLeast(limit)])
	}
	requested, at := v.published.scheme.Reported(v.Query.Below), -1
	switch {
	case v.Query.Below == "" || v.published.release(v.Query.Below) != nil:
	case requested.Ordered():
		at = v.published.firstNotNewer(requested)
	default:
		t.addNote(v.Query.Below + " cannot be compared with versions")
	}
	for i, r := range v.published.ranked {
		if i == at {
			add(v.published.displayName(v.Query.Below), requested)
		}
		if r.Version.Ordered() {
			add(r.Tag, r.Version)
		}
	}
	if at == len(v.published.ranked) {
		add(v.published.displayName(v.Query.Below), requested)
	}
}

func (v *View) behind(t *Table) {
	used, unknown := map[int64]usage{}, usage{}
	for _, u := range v.usedVersions {
		if n, known := v.published.behind(u); known {
			sum := used[n]
			sum.add(u.usage)
			used[n] = sum
		} else {
			unknown.add(u.usage)
		}
	}
	for _, releases := range slices.Sorted(maps.Keys(used)) {
		if n := used[releases]; n != (usage{}) {
			v.addUsed(t, []any{releases}, n)
		}
	}
	if unknown != (usage{}) {
		v.addUsed(t, []any{nil}, unknown)
	}
}

// daysBehindLimits has the last days of the rows of behind_days.
var daysBehindLimits = []int64{0, 30, 90, 180, 365}

func (v *View) behindDays(t *Table) {
	used, unknown := make([]usage, len(daysBehindLimits)+1), usage{}
	for _, u := range v.usedVersions {
		if days, known := v.published.daysBehind(u); known {
			at, _ := slices.BinarySearch(daysBehindLimits, days)
			used[at].add(u.usage)
		} else {
			unknown.add(u.usage)
		}
	}
	from := int64(0)
	for i, to := range daysBehindLimits {
		v.addUsed(t, []any{from, to}, used[i])
		from = to + 1
	}
	v.addUsed(t, []any{from, nil}, used[len(daysBehindLimits)])
	if unknown != (usage{}) {
		v.addUsed(t, []any{nil, nil}, unknown)
	}
}
