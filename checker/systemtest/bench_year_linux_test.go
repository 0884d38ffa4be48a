package systemtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
	"relcheck/checker/stats/statstest"
	"relcheck/checker/version"
	"relcheck/db"
)

// years measures how long it takes to compute a product's page of 365 days, with logs of
// increasing size and the same builds. It returns the files of the middle log and of the
// largest one.
func (b *bench) years() (middle, longest string) {
	sizes := []int{*benchLog / 100, *benchLog / 10, *benchLog}
	var files []string
	var trials []trial
	var notes []string
	for _, n := range sizes {
		file := filepath.Join(b.TempDir(), "year.db")
		s := b.open(file)
		defer s.Close()
		b.logProgress("filling a log of %s reports", stats.ShowNumber(int64(n)))
		b.fillYear(s, n)
		b.logProgress("folding them")
		b.foldAll(s)
		notes = append(notes, fmt.Sprintf("%s instances", stats.ShowNumber(b.year(s))))
		files = append(files, file)
		trials = append(trials, trial{yearOf(n), func() sample {
			begin := time.Now()
			b.year(s)
			return sample{took: time.Since(begin).Seconds() * 1e3}
		}})
	}
	b.logProgress("reading a year of each")
	measured := b.alternate(3*rounds, trials...)
	for i, n := range sizes {
		r := row{name: yearOf(n), figure: measured.median(yearOf(n), tookOf), unit: "ms", note: notes[i]}
		if i > 0 {
			r.ratio, r.small = measured.ratio(yearOf(n), yearOf(sizes[0]), tookOf), true
		}
		b.add(r)
	}
	return files[1], files[2]
}

func yearOf(reports int) string {
	return fmt.Sprintf("a year of %s reports", stats.ShowNumber(int64(reports)))
}

// year computes what a product's page shows of 365 days, and returns the number of
// instances.
func (b *bench) year(s *db.Store) (instances int64) {
	today := rollup.DayOf(time.Now())
	q := stats.Query{Range: rollup.Range{To: today}.Last(365)}
	f, err := s.Totals(b.Context(), "opa", q.Range, q.Keeps(version.Scheme{}))
	if err != nil {
		b.Fatal(err)
	}
	p := catalog.Product{Name: "opa"}
	stats.NewView(p, p.Rank(yearReleases()), q, f, today).Tables()
	return statstest.Instances(f)
}

const yearVersions = 12

func yearReleases() (all []catalog.Release) {
	for v := range yearVersions {
		all = append(all, catalog.Release{Tag: fmt.Sprintf("v1.%d.0", v), Date: time.Now().AddDate(0, 0, -30*v)})
	}
	return all
}

// fillYear fills a store with about n reports of the same 60 builds on each of 365 days.
// One in ten reports is of a program that reports once, the others are of servers that
// report every hour for about a month.
func (b *bench) fillYear(s *db.Store, n int) {
	releases := yearReleases()
	if _, err := s.ImportReleases(b.Context(), "opa", catalog.ListOf("test", releases...), true); err != nil {
		b.Fatal(err)
	}
	platforms := []checker.Platform{{OS: "linux", Arch: "amd64"}, {OS: "linux", Arch: "arm64"}, {OS: "darwin", Arch: "arm64"}, {OS: "darwin", Arch: "amd64"}, {OS: "windows", Arch: "amd64"}}
	const days, builds = 365, yearVersions * 5
	each := max(1, n/days/builds) // reports of a build per day
	servers := make([]uuid.UUID, builds*max(1, each/24))
	random := rand.New(rand.NewPCG(1, uint64(n)))
	yesterday := rollup.DayOf(time.Now()) - 1
	b.fill(s, func(yield func(db.Recorded) bool) {
		for i := range days * each * builds {
			build := i % builds
			id := &servers[i%len(servers)]
			if once := random.IntN(10) == 0; once {
				id = new(uuid.UUID)
			}
			if *id == uuid.Nil || random.IntN(30*24) == 0 { // a server starts or restarts
				*id = randomID(random)
			}
			heap := int64(20e6 * math.Exp(random.NormFloat64()/4) * float64(1+build%7))
			second := int64(i/builds%each) * (24 * 60 * 60) / int64(each)
			r := db.Recorded{At: (yesterday - days + 1 + rollup.Day(i/builds/each)).Time().Add(time.Duration(second) * time.Second), Platform: platforms[build%len(platforms)],
				Report: checker.Report{ID: *id, Version: releases[build/len(platforms)].Tag, HeapUsageBytes: &heap}}
			if !yield(r) {
				return
			}
		}
	})
}
