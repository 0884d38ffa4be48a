package rollup_test

import (
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"relcheck/checker/stats/rollup"
	"relcheck/checker/stats/statstest"
)

// folded has the results of folding, as a store has them.
type folded struct {
	Counts map[rollup.Slot][3]int64 // reports, instances, instances above 1 MiB
	Heaps  map[rollup.Slot][]int64  // instance-days by bucket
	Starts map[rollup.Slot]rollup.Starts
}

// foldPages folds pages of reports one after another.
func foldPages(t *rapid.T, pages [][]rollup.Report, sample int) folded {
	rollups, lifetimes := map[rollup.Slot]*rollup.Rollup{}, map[uint64]rollup.Lifetime{}
	all := folded{map[rollup.Slot][3]int64{}, map[rollup.Slot][]int64{}, map[rollup.Slot]rollup.Starts{}}
	for _, page := range pages {
		f := rollup.NewFold(sample, lifetimes)
		for _, r := range page {
			f.Add(r)
		}
		for slot, r := range f.Days() {
			if rollups[slot] != nil {
				r.Merge(roundTrip(t, rollups[slot]))
			}
			rollups[slot] = r
		}
		for slot, n := range f.Starts {
			sum := all.Starts[slot]
			sum.Started += n.Started
			sum.Repeated += n.Repeated
			all.Starts[slot] = sum
		}
		maps.Copy(lifetimes, f.Changed)
	}
	for slot, day := range maps.Clone(rollups) {
		rollup.AddPart(rollups, slot.In(rollup.OneWeek), roundTrip(t, day))
		rollup.AddPart(rollups, slot.In(rollup.FourWeeks), roundTrip(t, day))
	}
	for slot, r := range rollups {
		all.Counts[slot] = [3]int64{r.Reports, r.Instances(), r.Above(1 << 20)}
		all.Heaps[slot] = flat(roundTrip(t, r).Heaps())
	}
	maps.DeleteFunc(all.Starts, func(_ rollup.Slot, s rollup.Starts) bool { return s == rollup.Starts{} })
	return all
}

// roundTrip encodes and decodes a rollup.
func roundTrip(t *rapid.T, r *rollup.Rollup) *rollup.Rollup {
	b, err := r.AppendBinary(nil)
	read := new(rollup.Rollup)
	if err == nil {
		err = read.UnmarshalBinary(b)
	}
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// start is the start of a day, in Unix seconds.
const start = 20_000 * 86400

// someReports returns reports of a few instances. The reports of an instance are in order of
// time, with at most maxPause seconds between them.
func someReports(t *rapid.T, maxPause int64) (all []rollup.Report) {
	for n := range rapid.IntRange(1, 12).Draw(t, "instances") {
		at := start + rapid.Int64Range(0, 3*86400).Draw(t, "start")
		for range rapid.IntRange(1, 6).Draw(t, "reports") {
			r := rollup.Report{At: at, Build: int64(n % 3), Hash: key.Hash(numbered(n))}
			if heap := rapid.Int64Range(-1, 1<<22).Draw(t, "heap"); heap >= 0 {
				r.Heap = &heap
			}
			all = append(all, r)
			at += rapid.Int64Range(0, maxPause).Draw(t, "pause")
		}
	}
	return all
}

// TestFoldPages checks that the result does not depend on the pages of reports.
func TestFoldPages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := someReports(t, 3*86400)
		if diff := cmp.Diff(foldPages(t, [][]rollup.Report{all}, 0), foldPages(t, cut(t, all), 0)); diff != "" {
			t.Error(diff)
		}
	})
}

// TestFoldOrder checks that the result does not depend on the order of reports, if no pause
// between them is longer than MaxSilence: several servers may fold their reports in any
// order.
func TestFoldOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := someReports(t, rollup.MaxSilence/6)
		want := foldPages(t, [][]rollup.Report{all}, 0)
		random := rand.New(rand.NewPCG(1, rapid.Uint64().Draw(t, "order")))
		random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		if diff := cmp.Diff(want, foldPages(t, cut(t, all), 0)); diff != "" {
			t.Error(diff)
		}
	})
}

func cut(t *rapid.T, all []rollup.Report) (pages [][]rollup.Report) {
	for len(all) > 0 {
		n := rapid.IntRange(1, len(all)).Draw(t, "page")
		pages, all = append(pages, all[:n]), all[n:]
	}
	return pages
}

// TestRepeatedReports checks that duplicate reports change no distinct counts, heaps or
// lifetimes.
func TestRepeatedReports(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := someReports(t, 86400)
		once, twice := foldPages(t, [][]rollup.Report{all}, 0), foldPages(t, [][]rollup.Report{all, all}, 0)
		for slot, n := range once.Counts {
			if got := twice.Counts[slot]; got != [3]int64{2 * n[0], n[1], n[2]} {
				t.Errorf("%v: got counts %v for duplicate reports, want %v", slot, got, [3]int64{2 * n[0], n[1], n[2]})
			}
		}
		if diff := cmp.Diff(once.Starts, twice.Starts) + cmp.Diff(once.Heaps, twice.Heaps); diff != "" {
			t.Error(diff)
		}
	})
}

func TestLifetimes(t *testing.T) {
	const hour, day = 3600, 86400
	for _, c := range []struct {
		name           string
		at             []int64 // seconds since start
		started, again map[int64]int64
	}{
		{"once", []int64{hour}, map[int64]int64{0: 1}, nil},
		{"sent twice within a minute", []int64{hour, hour + 2}, map[int64]int64{0: 1}, nil},
		{"again", []int64{hour, 2 * hour}, map[int64]int64{0: 1}, map[int64]int64{0: 1}},
		{"again on another day", []int64{23 * hour, 24 * hour}, map[int64]int64{0: 1}, map[int64]int64{0: 1}},
		{"in reverse order", []int64{25 * hour, 23 * hour}, map[int64]int64{0: 1}, map[int64]int64{0: 1}},
		{"after a long silence", []int64{hour, 5 * day}, map[int64]int64{0: 1, 5: 1}, nil},
		{"hourly for days", hourly(100), map[int64]int64{0: 1}, map[int64]int64{0: 1}},
	} {
		f := rollup.NewFold(0, nil)
		for _, at := range c.at {
			f.Add(rollup.Report{At: start + at, Hash: 1})
		}
		for d := range int64(10) {
			got := f.Starts[rollup.Slot{Period: rollup.Period{Span: rollup.OneDay, Day: start/86400 + rollup.Day(d)}}]
			if got != (rollup.Starts{Started: c.started[d], Repeated: c.again[d]}) {
				t.Errorf("%s: day %d: got %+v, want %d started and %d repeated", c.name, d, got, c.started[d], c.again[d])
			}
		}
	}
}

func hourly(n int64) (at []int64) {
	for i := range n {
		at = append(at, i*3600)
	}
	return at
}

// TestSampledLifetimes checks that a sample of instances gives the counts of all.
func TestSampledLifetimes(t *testing.T) {
	const instances, sample = 100_000, 4
	f := rollup.NewFold(sample, nil)
	for n := range instances {
		r := rollup.Report{At: start, Hash: key.Hash(numbered(n))}
		f.Add(r)
		if n%4 == 0 {
			r.At += 3600
			f.Add(r)
		}
	}
	got := f.Starts[rollup.Slot{Period: rollup.Period{Span: rollup.OneDay, Day: start / 86400}}]
	if share := float64(got.Repeated) / float64(got.Started); share < 0.23 || share > 0.27 || got.Started < instances*95/100 || got.Started > instances*105/100 {
		t.Errorf("got %+v, want about %d started and %d repeated", got, instances, instances/4)
	}
	if n := len(f.Changed); n > instances>>sample*11/10 {
		t.Errorf("got %d tracked lifetimes, want about %d", n, instances>>sample)
	}
}

// TestSum compares sums with merged rollups, of few and of many instances.
func TestSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rollup.Range{From: start / 86400, To: start/86400 + 30}
		random := rand.New(rand.NewPCG(2, rapid.Uint64().Draw(t, "seed")))
		instances := rapid.SampledFrom([]int{10, 1000, 5000, 40_000}).Draw(t, "instances")
		f := rollup.NewFold(63, nil)
		for range rapid.IntRange(0, 6000).Draw(t, "reports") {
			heap := random.Int64N(8 << 20)
			f.Add(rollup.Report{At: start + random.Int64N(31*86400), Hash: key.Hash(numbered(random.IntN(instances))), Heap: &heap})
		}
		rollups := map[rollup.Period]*rollup.Rollup{}
		for slot, rollup := range statstest.Rollups(f) {
			rollups[slot.Period] = rollup
		}
		var merged rollup.Rollup
		for _, p := range r.Cover(rollup.MaxDay) {
			if rollups[p] != nil {
				merged.AddPart(rollups[p])
			}
		}
		var sum rollup.BuildTotals
		statstest.Sum(&sum, r, rollups)
		if sum.Reports != merged.Reports || sum.Instances != merged.Instances() || sum.Heaps.Quantile(0.9) != merged.Heaps().Quantile(0.9) && merged.Reports > 0 {
			t.Errorf("got %d reports of %d instances, want %d of %d", sum.Reports, sum.Instances, merged.Reports, merged.Instances())
		}
		for i, limit := range rollup.HeapLimits() {
			if got, want := sum.Exceed[i+1], merged.Above(limit); got != want && got < 4000 {
				t.Errorf("limit %d: got %d instances above, want %d", limit, got, want)
			}
		}
	})
}

// TestDedupe checks that encoding keeps an instance with a varying heap only once, and does
// not change the counts.
func TestDedupe(t *testing.T) {
	constant, varied := rollup.NewFold(63, nil), rollup.NewFold(63, nil)
	for n := range 500 {
		for i := range int64(10) {
			low, heap := int64(64<<20), int64(1<<20)<<i
			hash := key.Hash(numbered(n))
			constant.Add(rollup.Report{At: start, Hash: hash, Heap: &low})
			varied.Add(rollup.Report{At: start, Hash: hash, Heap: &heap})
		}
	}
	slot := rollup.Slot{Period: rollup.Period{Span: rollup.OneDay, Day: start / 86400}}
	flat, err := statstest.Rollups(constant)[slot].AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := statstest.Rollups(varied)[slot]
	instances, above := r.Instances(), r.Above(128<<20)
	b, err := r.AppendBinary(nil)
	if err != nil || len(b) > len(flat)+100 {
		t.Errorf("got %d bytes, %v, want about %d", len(b), err, len(flat))
	}
	if r.Instances() != instances || r.Above(128<<20) != above || instances != 500 || above != 500 {
		t.Errorf("got %d instances and %d above before encoding, and %d and %d after it, want 500", instances, above, r.Instances(), r.Above(128<<20))
	}
}
