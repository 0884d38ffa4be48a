package fleet_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/stats/fleet"
	"relcheck/checker/stats/rollup"
	"relcheck/checker/version"
)

// The reports of a fleet must be valid, sorted by time, and similar to real ones.
func TestReports(t *testing.T) {
	f := fleet.Fleet{Seed: 1, Instances: 300, Every: 6 * time.Hour}
	days, ids, last := map[rollup.Day]int{}, map[uuid.UUID]rollup.Build{}, int64(0)
	n, heapless, zero := 0, 0, 0
	for r := range f.Reports() {
		if r.At < last || r.ID.Version() != 4 || r.ID.Variant() != uuid.RFC4122 || !checker.ValidVersion(r.Build.Version) {
			t.Fatalf("got report %+v, want valid fields and a time from %d on", r, last)
		}
		if build, ok := ids[r.ID]; ok && build != r.Build {
			t.Fatalf("instance %s: got builds %v and %v, want one", r.ID, build, r.Build)
		}
		n, last, ids[r.ID] = n+1, r.At, r.Build
		days[rollup.DayOf(time.Unix(r.At, 0))]++
		switch {
		case r.Heap == nil:
			heapless++
		case *r.Heap == 0:
			zero++
		case *r.Heap < 0:
			t.Errorf("got heap size %d, want at least 0", *r.Heap)
		}
	}
	if len(days) != 400 || !f.Range().Contains(slices.Max(slices.Collect(maps.Keys(days)))) {
		t.Errorf("got reports on %d days, want 400 in %v", len(days), f.Range())
	}
	if heapless < n/50 || heapless > n/10 || zero == 0 {
		t.Errorf("got %d of %d reports without a heap size and %d with size 0, want 2 %% to 10 %% and some", heapless, n, zero)
	}
	if len(ids) < 20_000 || len(ids) > n/2 {
		t.Errorf("got %d instances in %d reports, want at least 20,000 and at most half as many", len(ids), n)
	}
}

// Instances must adopt new versions, but not all of them.
func TestAdoption(t *testing.T) {
	f := fleet.Fleet{Seed: 2, Every: 24 * time.Hour}
	releases := f.Releases()
	latest := releases[len(releases)-1].Tag
	first, last := map[string]int{}, map[string]int{}
	for r := range f.Reports() {
		switch r.At / 86400 {
		case int64(f.Range().From):
			first["v"+(version.Scheme{}).Trim(r.Build.Version)]++
		case int64(f.Range().To):
			last["v"+(version.Scheme{}).Trim(r.Build.Version)]++
		}
	}
	if first[latest] > 0 || last[latest] == 0 || len(last) < 10 || len(releases) < 15 {
		t.Errorf("%s: got %d reports on the first day, versions %v on the last, and %d releases; want 0, at least 10 with %[1]s, and at least 15", latest, first[latest], last, len(releases))
	}
}

// A few instances of a fleet of any size must run unreleased versions, and these must
// be no more than a service distinguishes on a day.
func TestUnreleasedBuilds(t *testing.T) {
	f := fleet.Fleet{Seed: 4, Days: 7, Instances: 20_000, Growth: 1, Every: 12 * time.Hour}
	published := map[string]bool{}
	for _, r := range f.Releases() {
		published[strings.TrimPrefix(r.Tag, "v")] = true
	}
	builds, n, all := map[rollup.Build]bool{}, 0, 0
	for r := range f.Reports() {
		if all++; !published[strings.TrimPrefix(r.Build.Version, "v")] {
			builds[r.Build] = true
			n++
		}
	}
	if len(builds) < 30 || len(builds) > rollup.MaxUnreleasedBuilds || n < all/50 || n > all/20 {
		t.Errorf("got %d of %d reports from %d unreleased builds, want 2 %% to 5 %% from 30 to %d", n, all, len(builds), rollup.MaxUnreleasedBuilds)
	}
}

// The same seed must generate the same reports and checks, and another seed others.
func TestSeed(t *testing.T) {
	f := fleet.Fleet{Seed: 3, Days: 30, Instances: 50}
	if a, b := format(f), format(f); !slices.Equal(a, b) || len(a) < 1000 {
		t.Errorf("got %d and %d reports and checks for one seed, want the same, at least 1000", len(a), len(b))
	}
	other := f
	other.Seed++
	if slices.Equal(format(f), format(other)) {
		t.Error("got the same reports for two seeds, want others")
	}
	for range f.Reports() { // must be able to stop early
		break
	}
	for range f.Checks() {
		break
	}
}

// format formats all reports and checks of a fleet.
func format(f fleet.Fleet) (all []string) {
	for r := range f.Reports() {
		heap := int64(-1)
		if r.Heap != nil {
			heap = *r.Heap
		}
		all = append(all, fmt.Sprint(r.At, r.ID, r.Build, heap))
	}
	for c := range f.Checks() {
		all = append(all, fmt.Sprint(c))
	}
	return all
}

func BenchmarkReports(b *testing.B) {
	f := fleet.Fleet{Instances: 20_000, Growth: 1}
	b.ReportAllocs()
	n := 0
	for range f.Reports() {
		if n++; n == b.N {
			break
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "reports/s")
}
