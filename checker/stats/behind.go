package stats

import (
	"fmt"
	"maps"
	"slices"

	"relcheck/checker/version"
)

// behindOf returns how far a version is behind, as values of a table.
func (v *View) behindOf(u *usedVersion) (releases, days any) {
	n, known := v.published.behind(u)
	d, dated := v.published.daysBehind(u)
	return orNil(n, known), orNil(d, dated)
}

func (v *View) deprecation(t *Table) {
	older := make([]int64, len(v.ordered)+1) // by n: instances of all comparable versions but the n newest
	for i, u := range slices.Backward(v.ordered) {
		older[i] = older[i+1] + u.instances
	}
	if unknown := v.instances - older[0]; unknown > 0 {
		t.addNote(fmt.Sprintf("not shown: %d instances whose version cannot be compared", unknown))
	}
	atLeast := v.atLeast()
	add := func(name string, limit version.Version) {
		n := older[atLeast(limit)]
		t.addRow(name, n, share(n, v.instances))
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
	instances, unknown := map[int64]int64{}, int64(0)
	for _, u := range v.usedVersions {
		if n, known := v.published.behind(u); known {
			instances[n] += u.instances
		} else {
			unknown += u.instances
		}
	}
	for _, releases := range slices.Sorted(maps.Keys(instances)) {
		if n := instances[releases]; n > 0 {
			t.addRow(releases, n, share(n, v.instances))
		}
	}
	if unknown > 0 {
		t.addRow(nil, unknown, share(unknown, v.instances))
	}
}

// daysBehindLimits has the last days of the rows of behind_days.
var daysBehindLimits = []int64{0, 30, 90, 180, 365}

func (v *View) behindDays(t *Table) {
	instances, unknown := make([]int64, len(daysBehindLimits)+1), int64(0)
	for _, u := range v.usedVersions {
		if days, known := v.published.daysBehind(u); known {
			at, _ := slices.BinarySearch(daysBehindLimits, days)
			instances[at] += u.instances
		} else {
			unknown += u.instances
		}
	}
	from := int64(0)
	for i, to := range daysBehindLimits {
		t.addRow(from, to, instances[i], share(instances[i], v.instances))
		from = to + 1
	}
	last := instances[len(daysBehindLimits)]
	t.addRow(from, nil, last, share(last, v.instances))
	if unknown > 0 {
		t.addRow(nil, nil, unknown, share(unknown, v.instances))
	}
}
