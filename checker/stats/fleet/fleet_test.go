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
	"relcheck/checker/stats"
	"relcheck/checker/stats/fleet"
)

func TestReportsAreThoseOfAFleet(t *testing.T) {
	f := fleet.Fleet{Seed: 1, Instances: 300, Every: 6 * time.Hour}
	days, ids, last := map[stats.Day]int{}, map[uuid.UUID]stats.Build{}, int64(0)
	n, heapless, zero := 0, 0, 0
	for r := range f.Reports() {
		if r.At < last || r.ID.Version() != 4 || r.ID.Variant() != uuid.RFC4122 || !checker.ValidVersion(r.Build.Version) {
			t.Fatalf("a report %+v after %d", r, last)
		}
		if was, ok := ids[r.ID]; ok && was != r.Build {
			t.Fatalf("id %s was %v and is %v", r.ID, was, r.Build)
		}
		n, last, ids[r.ID] = n+1, r.At, r.Build
		days[stats.DayOf(time.Unix(r.At, 0))]++
		switch {
		case r.Heap == nil:
			heapless++
		case *r.Heap == 0:
			zero++
		case *r.Heap < 0:
			t.Errorf("heap of %d", *r.Heap)
		}
	}
	if len(days) != 400 || !f.Range().Has(slices.Max(slices.Collect(maps.Keys(days)))) {
		t.Errorf("reports of %d days", len(days))
	}
	if heapless < n/50 || heapless > n/10 || zero == 0 {
		t.Errorf("%d of %d have no heap, %d one of 0", heapless, n, zero)
	}
	if len(ids) < 20_000 || len(ids) > n/2 {
		t.Errorf("%d ids in %d reports", len(ids), n)
	}
}

// What people run changes from version to version, and some never change.
func TestVersionsAreTakenUp(t *testing.T) {
	f := fleet.Fleet{Seed: 2, Every: 24 * time.Hour}
	releases := f.Releases()
	latest := releases[len(releases)-1].Version
	first, last := map[string]int{}, map[string]int{}
	for r := range f.Reports() {
		switch r.At / 86400 {
		case int64(f.Range().From):
			first[checker.Canonical(r.Build.Version)]++
		case int64(f.Range().To):
			last[checker.Canonical(r.Build.Version)]++
		}
	}
	if first[latest] > 0 || last[latest] == 0 || len(last) < 10 || len(releases) < 15 {
		t.Errorf("%s: %d, then %d of %v, %d releases", latest, first[latest], last[latest], last, len(releases))
	}
}

// Some run what nobody has published. They are as many as a service tells apart on
// a day, however large the fleet is.
func TestUnpublishedBuildsAreFew(t *testing.T) {
	f := fleet.Fleet{Seed: 4, Days: 7, Instances: 20_000, Growth: 1, Every: 12 * time.Hour}
	published := map[string]bool{}
	for _, r := range f.Releases() {
		published[strings.TrimPrefix(r.Version, "v")] = true
	}
	builds, n, all := map[stats.Build]bool{}, 0, 0
	for r := range f.Reports() {
		if all++; !published[strings.TrimPrefix(r.Build.Version, "v")] {
			builds[r.Build] = true
			n++
		}
	}
	if len(builds) < 30 || len(builds) > stats.MaxUnpublished || n < all/50 || n > all/20 {
		t.Errorf("%d of %d reports are of %d unpublished builds, want 30 to %d", n, all, len(builds), stats.MaxUnpublished)
	}
}

func TestFleetIsRepeatable(t *testing.T) {
	f := fleet.Fleet{Seed: 3, Days: 30, Instances: 50}
	if a, b := told(f), told(f); !slices.Equal(a, b) || len(a) < 1000 {
		t.Errorf("%d reports and checks, then %d others", len(a), len(b))
	}
	other := f
	other.Seed++
	if slices.Equal(told(f), told(other)) {
		t.Error("two seeds make one fleet")
	}
	for range f.Reports() { // stops when it is not wanted any more
		break
	}
	for range f.Checks() {
		break
	}
}

func told(f fleet.Fleet) (all []string) {
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
