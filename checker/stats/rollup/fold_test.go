package rollup_test

import (
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"relcheck/checker/stats/rollup"
)

// folded is what some reports came to, as a store keeps it.
type folded struct {
	Counts map[rollup.Slot][3]int64 // reports, ids, ids above 1 MiB
	Heaps  map[rollup.Slot][]int64  // instance-days by bucket
	Starts map[rollup.Slot]rollup.Starts
}

// foldPages folds pages of reports one after another.
func foldPages(t *rapid.T, pages [][]rollup.Report, sample int) folded {
	rollups, lives := map[rollup.Slot]*rollup.Rollup{}, map[uint64]rollup.Lifetime{}
	all := folded{map[rollup.Slot][3]int64{}, map[rollup.Slot][]int64{}, map[rollup.Slot]rollup.Starts{}}
	for _, page := range pages {
		f := rollup.NewFold(sample, lives)
		for _, r := range page {
			f.Add(r)
		}
		for slot, r := range f.Days() {
			if rollups[slot] != nil {
				r.Merge(kept(t, rollups[slot]))
			}
			rollups[slot] = r
		}
		for slot, n := range f.Starts {
			sum := all.Starts[slot]
			sum.Started += n.Started
			sum.Repeated += n.Repeated
			all.Starts[slot] = sum
		}
		maps.Copy(lives, f.Changed)
	}
	for slot, day := range maps.Clone(rollups) {
		rollup.AddPart(rollups, slot.In(rollup.OneWeek), kept(t, day))
		rollup.AddPart(rollups, slot.In(rollup.FourWeeks), kept(t, day))
	}
	for slot, r := range rollups {
		all.Counts[slot] = [3]int64{r.Reports, r.Instances(), r.Above(1 << 20)}
		all.Heaps[slot] = flat(kept(t, r).Heaps())
	}
	maps.DeleteFunc(all.Starts, func(_ rollup.Slot, s rollup.Starts) bool { return s == rollup.Starts{} })
	return all
}

// kept returns a rollup as it is when it was stored and read.
func kept(t *rapid.T, r *rollup.Rollup) *rollup.Rollup {
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

// start is the first moment of a day.
const start = 20_000 * 86400

// someReports are of few ids, in the order of time by id, and at most so many
// seconds apart.
func someReports(t *rapid.T, apart int64) (all []rollup.Report) {
	ids := rapid.IntRange(1, 12).Draw(t, "instances")
	for id := range ids {
		at := start + rapid.Int64Range(0, 3*86400).Draw(t, "start")
		for range rapid.IntRange(1, 6).Draw(t, "reports") {
			r := rollup.Report{At: at, Build: int64(id % 3), Hash: key.Hash(numbered(id))}
			if heap := rapid.Int64Range(-1, 1<<22).Draw(t, "heap"); heap >= 0 {
				r.Heap = &heap
			}
			all = append(all, r)
			at += rapid.Int64Range(0, apart).Draw(t, "pause")
		}
	}
	return all
}

// However reports are cut into pages, they add up to the same.
func TestFoldDoesNotDependOnPages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := someReports(t, 3*86400)
		if diff := cmp.Diff(foldPages(t, [][]rollup.Report{all}, 0), foldPages(t, cut(t, all), 0)); diff != "" {
			t.Error(diff)
		}
	})
}

// Nor does it matter in what order they come, as when a server folds those of
// another one later, as long as no silence seems to lie between them.
func TestFoldDoesNotDependOnOrder(t *testing.T) {
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

// Reports that come twice change no distinct count, and nobody's life.
func TestRepeatedReports(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := someReports(t, 86400)
		once, twice := foldPages(t, [][]rollup.Report{all}, 0), foldPages(t, [][]rollup.Report{all, all}, 0)
		for slot, n := range once.Counts {
			if got := twice.Counts[slot]; got != [3]int64{2 * n[0], n[1], n[2]} {
				t.Errorf("%v became %v", n, got)
			}
		}
		if diff := cmp.Diff(once.Starts, twice.Starts) + cmp.Diff(once.Heaps, twice.Heaps); diff != "" {
			t.Error(diff)
		}
	})
}

func TestLives(t *testing.T) {
	const hour, day = 3600, 86400
	for _, c := range []struct {
		name           string
		at             []int64 // after the first moment of a day
		started, again map[int64]int64
	}{
		{"once", []int64{hour}, map[int64]int64{0: 1}, nil},
		{"sent twice", []int64{hour, hour + 2}, map[int64]int64{0: 1}, nil},
		{"again", []int64{hour, 2 * hour}, map[int64]int64{0: 1}, map[int64]int64{0: 1}},
		{"again on another day", []int64{23 * hour, 24 * hour}, map[int64]int64{0: 1}, map[int64]int64{0: 1}},
		{"the second first", []int64{25 * hour, 23 * hour}, map[int64]int64{0: 1}, map[int64]int64{0: 1}},
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
				t.Errorf("%s: on day %d %+v", c.name, d, got)
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

// A sample stands for all.
func TestSampledLives(t *testing.T) {
	const ids, sample = 100_000, 4
	f := rollup.NewFold(sample, nil)
	for n := range ids {
		r := rollup.Report{At: start, Hash: key.Hash(numbered(n))}
		f.Add(r)
		if n%4 == 0 {
			r.At += 3600
			f.Add(r)
		}
	}
	got := f.Starts[rollup.Slot{Period: rollup.Period{Span: rollup.OneDay, Day: start / 86400}}]
	if share := float64(got.Repeated) / float64(got.Started); share < 0.23 || share > 0.27 || got.Started < ids*95/100 || got.Started > ids*105/100 {
		t.Errorf("%+v of %d", got, ids)
	}
	if n := len(f.Changed); n > ids>>sample*11/10 {
		t.Errorf("%d of %d ids are followed", n, ids)
	}
}

// What is summed up at once is what merging comes to, of few ids and of many.
func TestSumIsMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rollup.Range{From: start / 86400, To: start/86400 + 30}
		random := rand.New(rand.NewPCG(2, rapid.Uint64().Draw(t, "seed")))
		ids := rapid.SampledFrom([]int{10, 1000, 5000, 40_000}).Draw(t, "instances")
		f := rollup.NewFold(63, nil)
		for range rapid.IntRange(0, 6000).Draw(t, "reports") {
			heap := random.Int64N(8 << 20)
			f.Add(rollup.Report{At: start + random.Int64N(31*86400), Hash: key.Hash(numbered(random.IntN(ids))), Heap: &heap})
		}
		rollups := map[rollup.Period]*rollup.Rollup{}
		for slot, rollup := range f.Rollups() {
			rollups[slot.Period] = rollup
		}
		var merged rollup.Rollup
		for _, p := range r.Cover(rollup.MaxDay) {
			if rollups[p] != nil {
				merged.AddPart(rollups[p])
			}
		}
		var sum rollup.BuildTotals
		sum.Sum(r, rollups)
		if sum.Reports != merged.Reports || sum.Instances != merged.Instances() || sum.Heaps.Quantile(0.9) != merged.Heaps().Quantile(0.9) && merged.Reports > 0 {
			t.Errorf("%d reports of %d ids, want %d of %d", sum.Reports, sum.Instances, merged.Reports, merged.Instances())
		}
		for i, limit := range rollup.HeapLimits() {
			if got, want := sum.Exceed[i+1], merged.Above(limit); got != want && got < 4000 {
				t.Errorf("%d exceed %d, want %d", got, limit, want)
			}
		}
	})
}

// An id whose heap varies is kept once: counts stay what they are, and the bytes
// are fewer.
func TestRollupIsThin(t *testing.T) {
	var one, varied rollup.Fold = *rollup.NewFold(63, nil), *rollup.NewFold(63, nil)
	for n := range 500 {
		for i := range int64(10) {
			low, heap := int64(64<<20), int64(1<<20)<<i
			hash := key.Hash(numbered(n))
			one.Add(rollup.Report{At: start, Hash: hash, Heap: &low})
			varied.Add(rollup.Report{At: start, Hash: hash, Heap: &heap})
		}
	}
	slot := rollup.Slot{Period: rollup.Period{Span: rollup.OneDay, Day: start / 86400}}
	flat, err := one.Rollups()[slot].AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := varied.Rollups()[slot]
	ids, above := r.Instances(), r.Above(128<<20)
	b, err := r.AppendBinary(nil)
	if err != nil || len(b) > len(flat)+100 {
		t.Errorf("%d bytes instead of %d, %v", len(b), len(flat), err)
	}
	if r.Instances() != ids || r.Above(128<<20) != above || ids != 500 || above != 500 {
		t.Errorf("%d ids and %d above became %d and %d", ids, above, r.Instances(), r.Above(128<<20))
	}
}
