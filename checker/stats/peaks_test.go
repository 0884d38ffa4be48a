package stats_test

import (
	"bytes"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"relcheck/checker/stats"
)

// encoded folds pages of reports of one day and build, one after another, and returns
// the rollup of the day and its form.
func encoded(t failer, pages ...[]stats.Report) (*stats.Rollup, []byte) {
	t.Helper()
	day := new(stats.Rollup)
	for _, page := range pages {
		f := stats.NewFold(63, nil)
		for _, r := range page {
			f.Add(r)
		}
		for _, part := range f.Days() {
			day.Merge(part)
		}
		form, err := day.AppendBinary(nil)
		if err != nil {
			t.Fatalf("%v", err)
		}
		if err := day.UnmarshalBinary(form); err != nil {
			t.Fatalf("%v", err)
		}
	}
	form, err := day.AppendBinary(nil)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return day, form
}

// serverAmongShortRuns has one instance that reports every hour, and 19 that report
// once and use a hundredth of the heap.
func serverAmongShortRuns() (all []stats.Report) {
	heap := func(n int64) *int64 { return &n }
	for hour := range int64(24) {
		all = append(all, stats.Report{At: start + hour*3600, Hash: key.Hash(numbered(0)), Heap: heap(1<<30 - hour<<20)})
	}
	for i := range 19 {
		all = append(all, stats.Report{At: start, Hash: key.Hash(numbered(i + 1)), Heap: heap(10 << 20)})
	}
	return append(all, stats.Report{At: start, Hash: key.Hash(numbered(99))})
}

// An instance counts once a day, with the highest heap of that day, however often it
// reports, and whatever is folded with what.
func TestInstanceCountsOnceADay(t *testing.T) {
	all := serverAmongShortRuns()
	for name, pages := range map[string][][]stats.Report{
		"at once":    {all},
		"twice":      {all, all},
		"each alone": slices.Collect(slices.Chunk(all, 1)),
	} {
		day, _ := encoded(t, pages...)
		h := day.Heaps()
		if h.Total() != 20 || math.Abs(h.Quantile(0.5)/(10<<20)-1) > stats.HeapError || math.Abs(h.Quantile(1)/(1<<30)-1) > stats.HeapError {
			t.Errorf("%s: %d instance-days, p50 %f, the highest %f", name, h.Total(), h.Quantile(0.5), h.Quantile(1))
		}
	}
	var reports []sent
	for range 24 {
		reports = append(reports, sent{"2026-03-02", 0, 0, "v1.0.0", "linux/amd64", 1 << 30})
	}
	reports = append(reports, sent{"2026-03-02", 1, 19, "v1.0.0", "linux/amd64", 10 << 20}, sent{"2026-03-03", 0, 0, "v1.0.0", "linux/amd64", 1 << 30})
	r := days("2026-03-01", "2026-03-03")
	expect(t, stats.NewView(product(), stats.Query{Range: r}, figures(r, reports), r.To+1), "heap", `
		- - - 20 21 1.05e+07 1.05e+07 1.07e+09 1.07e+09
		v1.0.0 - - 20 21 1.05e+07 1.05e+07 1.07e+09 1.07e+09
		- linux amd64 20 21 1.05e+07 1.05e+07 1.07e+09 1.07e+09
		v1.0.0 linux amd64 20 21 1.05e+07 1.05e+07 1.07e+09 1.07e+09`)
}

// Of many instances a sample counts. It is the same in whatever order and parts the
// reports come, and is no larger for more.
func TestManyInstancesAreSampled(t *testing.T) {
	for _, instances := range []int{4096, 4097, 30_000, 200_000} {
		random := rand.New(rand.NewPCG(1, uint64(instances)))
		var all []stats.Report
		for n := range instances {
			for range 1 + n%2 {
				heap := int64(1e8 * math.Exp(random.NormFloat64()))
				all = append(all, stats.Report{At: start, Hash: key.Hash(numbered(n)), Heap: &heap})
			}
		}
		peaks := map[uint64]int64{}
		for _, r := range all {
			peaks[r.Hash] = max(peaks[r.Hash], *r.Heap)
		}
		var sorted []int64
		for _, heap := range peaks {
			sorted = append(sorted, heap)
		}
		slices.Sort(sorted)

		day, form := encoded(t, all)
		random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		other, _ := encoded(t, all[:len(all)/3], all[len(all)/3:], all[:1])
		h, off := day.Heaps(), 0.0
		if !h.Equal(other.Heaps()) {
			t.Errorf("%d instances: another order has other heaps", instances)
		}
		if instances > 4096 {
			off = 5 / math.Sqrt(2048)
		}
		if math.Abs(float64(h.Total())/float64(instances)-1) > off {
			t.Errorf("%d instances count as %d", instances, h.Total())
		}
		for _, q := range []float64{0.5, 0.9, 0.99} {
			at := func(q float64) float64 { return float64(sorted[int(q*float64(len(sorted)-1))]) }
			spread := off * math.Sqrt(q*(1-q))
			if got := h.Quantile(q); got < at(max(0, q-spread))*(1-1.01*stats.HeapError) || got > at(min(1, q+spread))*(1+1.01*stats.HeapError) {
				t.Errorf("%d instances: the quantile %f is %f, want %f", instances, q, got, at(q))
			}
		}
		if most := 24<<10 + 25*17<<10; len(form) > most { // the sample, and the ids of 25 classes
			t.Errorf("%d instances take %d bytes", instances, len(form))
		}
	}
}

// What comes in late is added to a week that has been summed up: it is what its days
// are together.
func TestLateReports(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := someReports(t, 86400)
		early := all[:rapid.IntRange(0, len(all)).Draw(t, "early")]
		rollups := func(reports []stats.Report) map[stats.Slot]*stats.Rollup {
			f := stats.NewFold(63, nil)
			for _, r := range reports {
				f.Add(r)
			}
			return f.Rollups()
		}
		got, late := rollups(early), stats.NewFold(63, nil)
		for _, r := range all[len(early):] {
			late.Add(r)
		}
		more := map[stats.Slot]*stats.Rollup{}
		for slot, part := range late.Days() {
			var before stats.Heaps
			day := new(stats.Rollup)
			if got[slot] != nil {
				before, day = got[slot].Heaps(), got[slot]
			}
			day.Merge(part)
			got[slot] = day
			stats.SumMoreInto(more, slot.Longer(stats.OneWeek), part, day, before)
		}
		for slot, r := range more {
			if got[slot] != nil {
				r.Merge(kept(t, got[slot]))
			}
			got[slot] = r
		}
		for slot, want := range rollups(all) {
			if slot.Span == stats.FourWeeks {
				continue
			}
			if is := kept(t, got[slot]); is.Reports != want.Reports || is.IDs() != want.IDs() || !is.Heaps().Equal(want.Heaps()) {
				t.Errorf("%v has %d reports and heaps %v, want %d and %v", slot, is.Reports, flat(is.Heaps()), want.Reports, flat(want.Heaps()))
			}
		}
	})
}

// oldForm is what an earlier version has written of [serverAmongShortRuns], in whose
// heaps each report counted.
const oldForm = "012c02d20c13ce03180300056624b7596f0c4d66444a59023aafef1d7651ef1f89d95830ab604e32babd5438028b0a465190b44baf" +
	"078b4e4feb348318b506958733a59d30df95a62f7db9c89d5d86c9847b47d86fa981e368823eeb91deeaf6190566702849e0"

// From a rollup of an earlier version, each instance counts once, too. It goes on to
// be read with what is merged into it.
func TestOldRollup(t *testing.T) {
	form, err := hex.DecodeString(oldForm)
	if err != nil {
		t.Fatal(err)
	}
	var old stats.Rollup
	if err := old.UnmarshalBinary(form); err != nil {
		t.Fatal(err)
	}
	p := stats.Period{Span: stats.OneDay, Day: start / 86400}
	var sum stats.BuildFigures
	if err := stats.NewSums(p.Range(), stats.Ever).Of(&sum, []stats.Written{{Period: p, Form: form}}); err != nil {
		t.Fatal(err)
	}
	if h := old.Heaps(); h.Total() != 20 || math.Abs(h.Quantile(0.5)/(10<<20)-1) > stats.HeapError || !h.Equal(sum.Heaps) || !old.Mixed() || old.IDs() != 21 {
		t.Errorf("%d instance-days of %d ids, p50 %f; summed up %v", h.Total(), old.IDs(), h.Quantile(0.5), flat(sum.Heaps))
	}
	fresh, _ := encoded(t, serverAmongShortRuns()[:30])
	var week stats.Rollup
	week.Sum(&old)
	fresh.Merge(&old)
	again, err := fresh.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	var back stats.Rollup
	if err := back.UnmarshalBinary(again); err != nil {
		t.Fatal(err)
	}
	twice, _ := back.AppendBinary(nil)
	if h := back.Heaps(); h.Total() != 27 || back.IDs() != 21 || !back.Mixed() || !week.Mixed() || !bytes.Equal(again, twice) {
		t.Errorf("with 7 instances more, %d instance-days of %d ids; mixed: %v, %v", h.Total(), back.IDs(), back.Mixed(), week.Mixed())
	}
}
