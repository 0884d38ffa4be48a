package stats_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"relcheck/checker/catalog"
	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

var fortnight = days("2026-03-02", "2026-03-15")

// users are those of one version: ids that report once, and servers that report
// every so often on every day.
type users struct {
	version       string
	first         int // number of an id
	once, servers int
	aDay          int // reports of a server
	median        float64
	times         float64 // as much heap as others take, of a server
}

// draw makes their reports. Heaps are log-normal, and those of a server about
// the same in all its reports. One in 200 of the ids that report once does so
// twice, at the same time.
func (u users) draw(random *rand.Rand) (all []sent) {
	report := func(d rollup.Day, id int, heap float64) {
		all = append(all, sent{d.String(), u.first + id, u.first + id, u.version, "linux/amd64", int64(heap)})
	}
	for id := range u.once {
		heap, d := u.median*math.Exp(0.4*random.NormFloat64()), fortnight.From+rollup.Day(random.IntN(fortnight.Days()))
		report(d, id, heap)
		if random.IntN(200) == 0 {
			report(d, id, heap)
		}
	}
	for id := range u.servers {
		heap := u.median * u.times * math.Exp(0.4*random.NormFloat64())
		for d := fortnight.From; d <= fortnight.To; d++ {
			for range u.aDay {
				report(d, u.once+id, heap*math.Exp(0.03*random.NormFloat64()))
			}
		}
	}
	return all
}

// certainties counts how often a change of each percentile is certain, between
// users of two versions.
func certainties(random *rand.Rand, runs int, old, is users) map[any]int {
	certain := map[any]int{"p50": 0, "p90": 0, "p95": 0, "p99": 0}
	old.version, is.version, is.first = "v1.0.0", "v1.1.0", 1_000_000
	for range runs {
		f := figures(fortnight, append(old.draw(random), is.draw(random)...))
		v := stats.NewView(catalog.Listing{}, stats.Query{Range: fortnight}, f, fortnight.To+1)
		for _, row := range v.Table("heap_change").Rows {
			if row[8].(bool) {
				certain[row[0]]++
			}
		}
	}
	return certain
}

// Servers send most of the reports, however few they are. What is the same
// differs for certain only in one of 20 cases.
func TestSameHeapIsNotCertain(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for _, times := range []float64{1, 60} {
		for _, servers := range []int{0, 3, 10, 30, 100} {
			const runs = 40
			u := users{once: 400, servers: servers, aDay: 4, median: 1e6, times: times}
			for p, n := range certainties(random, runs, u, u) {
				if n > runs/10 {
					t.Errorf("%d servers that take %.0f times as much: %s was certain %d times of %d", servers, times, p, n, runs)
				}
			}
		}
	}
}

// A few thousand ids are enough for a change by 12 % to be certain.
func TestChangedHeapIsCertain(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	for name, u := range map[string]users{
		"checks":             {once: 4000},
		"servers":            {servers: 3500, aDay: 2},
		"servers and checks": {once: 5000, servers: 3500, aDay: 2},
	} {
		const runs = 4
		u.median, u.times = 1e8, 1
		is := u
		is.median *= 1.12
		if certain := certainties(random, runs, u, is); certain["p50"] < runs || certain["p95"] < runs-1 {
			t.Errorf("%s: it was certain %v times of %d", name, certain, runs)
		}
	}
}
