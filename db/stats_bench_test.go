package db_test

import (
	"context"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/stats"
	"relcheck/checker/stats/fleet"
	"relcheck/db"
)

// populate records the reports of a fleet as reports of opa.
func populate(t testing.TB, s *db.Store, f fleet.Fleet) (reports int64) {
	t.Helper()
	ctx := context.Background()
	if _, err := s.PutReleases(ctx, "opa", f.Releases(), take); err != nil {
		t.Fatal(err)
	}
	for _, r := range f.Releases() {
		if r.Withdrawn {
			if err := s.Withdraw(ctx, "opa", r.Version, true); err != nil {
				t.Fatal(err)
			}
		}
	}
	n, err := s.Backfill(ctx, "opa", func(yield func(db.Recorded) bool) {
		for r := range f.Reports() {
			past := db.Recorded{At: time.Unix(r.At, 0), Platform: r.Build.Platform,
				Report: checker.Report{ID: r.ID, Version: r.Build.Version, HeapUsageBytes: r.Heap}}
			if !yield(past) {
				return
			}
		}
	}, func(yield func(db.Checked) bool) {
		for c := range f.Checks() {
			if !yield(db.Checked{Day: c.Day.Time(), Version: c.Build.Version, Platform: c.Build.Platform, Count: c.Count}) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// logOf fills a store with about n reports of 365 days, of the same 60 builds on
// each day, whatever n is. One in ten is of a program that reports once, the others
// are of servers that run for a month or so.
func logOf(t testing.TB, name string, n int) *db.Store {
	t.Helper()
	s := open(t, name)
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
	fold(t, s)
	return s
}

var reportsOfBench = flag.Int("reports", 0, "measure statistics over a log of so many reports")

func TestStatisticsBench(t *testing.T) {
	if *reportsOfBench == 0 {
		t.Skip()
	}
	for _, n := range []int{100_000, *reportsOfBench} {
		start := time.Now()
		name := fmt.Sprintf("/tmp/bench-%d.db", n)
		var s *db.Store
		if _, err := os.Stat(name); err == nil {
			s = open(t, name)
		} else {
			s = logOf(t, name, n)
		}
		fmt.Println(n, time.Since(start))
		for range 8 {
			start := time.Now()
			g := figures(t, s, 365)
			d := time.Since(start)
			start = time.Now()
			v := stats.NewView(checker.Listing{}, stats.Query{Range: g.Range}, g, today)
			v.Tables()
			fmt.Println("read in", d, "view", time.Since(start), len(g.Builds), "builds", g.Total())
		}
	}
}
