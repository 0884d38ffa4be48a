package db_test

import (
	"context"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/simulate"
	"relcheck/checker/stats"
	"relcheck/checker/stats/fleet"
	"relcheck/db"
)

// populate records the reports of a fleet as reports of opa.
func populate(t testing.TB, s *db.Store, f fleet.Fleet) (reports int64) {
	t.Helper()
	ctx := context.Background()
	past := simulate.Past{Fleet: f, Product: "opa", Until: (f.Range().To + 1).Time()}
	if err := past.Publish(ctx, s); err != nil {
		t.Fatal(err)
	}
	reports, err := past.Fill(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	return reports
}

// fillLog fills a store with about n reports of 365 days, of the same 60 builds on
// each day, whatever n is. One in ten is of a program that reports once, the others
// are of servers that run for a month or so.
func fillLog(t testing.TB, s *db.Store, n int) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, uint64(n)))
	const days, versions = 365, 12
	platforms := []checker.Platform{linux, {OS: "linux", Arch: "arm64"}, {OS: "darwin", Arch: "arm64"}, {OS: "darwin", Arch: "amd64"}, {OS: "windows", Arch: "amd64"}}
	var releases []checker.Release
	for v := range versions {
		releases = append(releases, checker.Release{Version: fmt.Sprintf("v1.%d.0", v), Date: time.Now().AddDate(0, 0, -30*v)})
	}
	if _, err := s.PutReleases(context.Background(), "opa", releases, take); err != nil {
		t.Fatal(err)
	}
	each := n / days / versions / len(platforms) // a day
	servers := map[int][]uuid.UUID{}
	reports := func(yield func(db.Recorded) bool) {
		for day := today - days + 1; day <= today; day++ {
			for build := range versions * len(platforms) {
				for i := range each {
					r := db.Recorded{At: day.Time(), Platform: platforms[build%len(platforms)], Report: checker.Report{ID: uuid.New(), Version: releases[build/len(platforms)].Version}}
					if random.IntN(10) > 0 {
						server := i / 24
						for len(servers[build]) <= server {
							servers[build] = append(servers[build], uuid.New())
						}
						if random.IntN(30*24) == 0 {
							servers[build][server] = r.ID // has started anew
						}
						r.ID = servers[build][server]
					}
					heap := int64(20e6 * math.Exp(random.NormFloat64()/4) * float64(1+build%7))
					r.HeapUsageBytes = &heap
					if !yield(r) {
						return
					}
				}
			}
		}
	}
	if _, err := s.Backfill(context.Background(), "opa", reports, func(func(db.Checked) bool) {}); err != nil {
		t.Fatal(err)
	}
}

var statisticsOf = flag.Int("statistics", 0, "measure the figures of a year over a log of so many reports, beside one of 100,000")

// TestStatisticsTime prints how long the data of a product's page take for 365
// days, over a long log and over a short one with the same builds, in one run. It
// runs only when asked to: make bench.
func TestStatisticsTime(t *testing.T) {
	if *statisticsOf == 0 {
		t.Skip("a benchmark: run it with make bench")
	}
	const short, rounds = 100_000, 21
	logs := []int{short, *statisticsOf}
	stores := make([]*db.Store, len(logs))
	for i, n := range logs {
		stores[i] = open(t, filepath.Join(t.TempDir(), "a.db"))
		fillLog(t, stores[i], n)
		start := time.Now()
		folded := fold(t, stores[i])
		fmt.Printf("folded %d reports, %.0f a second\n", folded, float64(folded)/time.Since(start).Seconds())
	}
	catalog, err := stores[0].Catalog(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	times := make([][]time.Duration, len(logs))
	var ids [2]int64
	for range rounds {
		for i, s := range stores {
			start := time.Now()
			f := figures(t, s, 365)
			v := stats.NewView(catalog.Products[0], stats.Query{Range: f.Range}, f, today)
			v.Tables()
			times[i] = append(times[i], time.Since(start))
			ids[i] = f.Total()
		}
	}
	var median [2]time.Duration
	for i := range times {
		slices.Sort(times[i])
		median[i] = times[i][rounds/2]
		fmt.Printf("a year of %8d reports of %7d ids: %.0f ms\n", logs[i], ids[i], median[i].Seconds()*1e3)
	}
	fmt.Printf("ratio %.2f\n", float64(median[1])/float64(median[0]))
}
