package stats_test

import (
	"fmt"
	"slices"
	"testing"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
	"relcheck/checker/stats/statstest"
)

// yearOf500Builds returns the totals of a year with 100 versions on five platforms, each with
// reports on 200 days.
func yearOf500Builds() (catalog.Listing, *rollup.Totals) {
	r := days("2025-04-01", "2026-03-31")
	l := catalog.Listing{}
	f := &rollup.Totals{Range: r, Known: r}
	for i := range 100 {
		l.Releases = append(l.Releases, release(fmt.Sprintf("v1.%d.0", i), (r.From+rollup.Day(3*i)).String()))
		for j, arch := range []string{"amd64", "arm64", "386", "arm", "s390x"} {
			b := rollup.BuildTotals{Build: rollup.Build{Version: fmt.Sprintf("1.%d.0", i), Platform: checker.Platform{OS: "linux", Arch: arch}}}
			fold := rollup.NewFold(20, map[uint64]rollup.Lifetime{})
			for n := range 1000 {
				heap := int64(1<<20) * int64(1+n%300)
				fold.Add(rollup.Report{At: r.From.Time().Unix(), Hash: hashKey.Hash(numbered(i*10_000 + j*1000 + n)), Heap: &heap})
			}
			rollups := map[rollup.Period]*rollup.Rollup{}
			for slot, rollup := range statstest.Rollups(fold) {
				rollups[slot.Period] = rollup
			}
			statstest.Sum(&b, rollup.Range{From: r.From, To: r.From}, rollups)
			for d := range rollup.Day(200) {
				b.Days = append(b.Days, rollup.Count{Day: r.From + rollup.Day(i) + d, Instances: 10, Reports: 100})
			}
			f.Builds = append(f.Builds, b)
		}
	}
	return l, f
}

// BenchmarkView fills the tables of a year with 500 builds.
func BenchmarkView(b *testing.B) {
	l, f := yearOf500Builds()
	q := stats.Query{Range: f.Range}
	b.Run("new", func(b *testing.B) {
		ranked := l.Rank(l.Releases)
		for b.Loop() {
			stats.NewView(l.Product, ranked, q, f, f.Range.To)
		}
	})
	b.Run("tables", func(b *testing.B) {
		v := newView(l, q, f, f.Range.To)
		for b.Loop() {
			v.Tables()
		}
	})
	for _, name := range stats.TableNames {
		b.Run(name, func(b *testing.B) {
			v := newView(l, q, f, f.Range.To)
			for b.Loop() {
				v.Table(name)
			}
		})
	}
}

// BenchmarkViewOfManyReleases fills the tables of a product with 100,000 releases, in use on
// 2,000 builds.
func BenchmarkViewOfManyReleases(b *testing.B) {
	r := days("2026-03-01", "2026-03-31")
	l := catalog.Listing{}
	f := &rollup.Totals{Range: r, Known: r}
	for i := range 100_000 {
		tag := fmt.Sprintf("v%d.%d.%d", i/2000, i/20%100, i%20)
		l.Releases = append(l.Releases, release(tag, (r.From-rollup.Day(3000-i/40)).String()))
		if i%50 == 0 {
			f.Builds = append(f.Builds, rollup.BuildTotals{Build: rollup.Build{Version: tag[1:], Platform: checker.Platform{OS: "linux", Arch: "amd64"}},
				Distinct: rollup.Distinct{Instances: 10, Exceed: []int64{0}}, Days: []rollup.Count{{Day: r.To, Instances: 10, Reports: 10}}})
		}
	}
	slices.Reverse(l.Releases) // newest first, as stores list them
	q := stats.Query{Range: f.Range}
	b.Run("new", func(b *testing.B) {
		ranked := l.Rank(l.Releases)
		for b.Loop() {
			stats.NewView(l.Product, ranked, q, f, f.Range.To)
		}
	})
	b.Run("tables", func(b *testing.B) {
		v := newView(l, q, f, f.Range.To)
		for b.Loop() {
			v.Tables()
		}
	})
}
