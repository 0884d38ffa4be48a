package rollup_test

import (
	"bytes"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"relcheck/checker/stats/rollup"
	"relcheck/checker/stats/statstest"
)

// encoded folds pages of reports of one day and build, one after another. It returns the
// rollup of the day, also encoded.
func encoded(t rapid.TB, pages ...[]rollup.Report) (*rollup.Rollup, []byte) {
	t.Helper()
	day := new(rollup.Rollup)
	for _, page := range pages {
		f := rollup.NewFold(63, nil)
		for _, r := range page {
			f.Add(r)
		}
		for _, part := range f.Days() {
			day.Merge(part)
		}
		data, err := day.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := day.UnmarshalBinary(data); err != nil {
			t.Fatal(err)
		}
	}
	data, err := day.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	return day, data
}

// serverAmongShortRuns returns reports of one instance that reports every hour, and of 19
// instances that report once and use a hundredth of its heap.
func serverAmongShortRuns() (all []rollup.Report) {
	heap := func(n int64) *int64 { return &n }
	for hour := range int64(24) {
		all = append(all, rollup.Report{At: start + hour*3600, Hash: key.Hash(numbered(0)), Heap: heap(1<<30 - hour<<20)})
	}
	for i := range 19 {
		all = append(all, rollup.Report{At: start, Hash: key.Hash(numbered(i + 1)), Heap: heap(10 << 20)})
	}
	return append(all, rollup.Report{At: start, Hash: key.Hash(numbered(99))})
}

// TestHeapsCountInstances checks that an instance counts once a day with its highest heap,
// regardless of the number of its reports and the pages they are in.
func TestHeapsCountInstances(t *testing.T) {
	all := serverAmongShortRuns()
	for name, pages := range map[string][][]rollup.Report{
		"one page":   {all},
		"duplicates": {all, all},
		"one each":   slices.Collect(slices.Chunk(all, 1)),
	} {
		day, _ := encoded(t, pages...)
		h := day.Heaps()
		if h.Total() != 20 || math.Abs(h.Quantile(0.5)/(10<<20)-1) > rollup.HeapError || math.Abs(h.Quantile(1)/(1<<30)-1) > rollup.HeapError {
			t.Errorf("%s: got %d instance-days, p50 %f, maximum %f, want 20, 10 MiB, 1 GiB", name, h.Total(), h.Quantile(0.5), h.Quantile(1))
		}
	}
}

// TestSamplePeaks checks that heaps of many instances are sampled, that the sample does not
// depend on the order and pages of reports, and that its size is limited.
func TestSamplePeaks(t *testing.T) {
	for _, instances := range []int{4096, 4097, 30_000, 200_000} {
		random := rand.New(rand.NewPCG(1, uint64(instances)))
		var all []rollup.Report
		for n := range instances {
			for range 1 + n%2 {
				heap := int64(1e8 * math.Exp(random.NormFloat64()))
				all = append(all, rollup.Report{At: start, Hash: key.Hash(numbered(n)), Heap: &heap})
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

		day, data := encoded(t, all)
		random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		other, _ := encoded(t, all[:len(all)/3], all[len(all)/3:], all[:1])
		h, tolerance := day.Heaps(), 0.0
		if !h.Equal(other.Heaps()) {
			t.Errorf("%d instances: heaps depend on the order of reports", instances)
		}
		if instances > 4096 {
			tolerance = 5 / math.Sqrt(2048)
		}
		if math.Abs(float64(h.Total())/float64(instances)-1) > tolerance {
			t.Errorf("got %d instance-days, want %d", h.Total(), instances)
		}
		for _, q := range []float64{0.5, 0.9, 0.99} {
			at := func(q float64) float64 { return float64(sorted[int(q*float64(len(sorted)-1))]) }
			spread := tolerance * math.Sqrt(q*(1-q))
			if got := h.Quantile(q); got < at(max(0, q-spread))*(1-1.01*rollup.HeapError) || got > at(min(1, q+spread))*(1+1.01*rollup.HeapError) {
				t.Errorf("%d instances: quantile %f: got %f, want %f", instances, q, got, at(q))
			}
		}
		if most := 24<<10 + 25*17<<10; len(data) > most { // the sample, and the sets of 25 classes
			t.Errorf("%d instances: got %d bytes, want at most %d", instances, len(data), most)
		}
	}
}

// TestLateReports checks that a week to which late reports are added equals the sum of its
// days.
func TestLateReports(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := someReports(t, 86400)
		early := all[:rapid.IntRange(0, len(all)).Draw(t, "early")]
		rollups := func(reports []rollup.Report) map[rollup.Slot]*rollup.Rollup {
			f := rollup.NewFold(63, nil)
			for _, r := range reports {
				f.Add(r)
			}
			return statstest.Rollups(f)
		}
		got, late := rollups(early), rollup.NewFold(63, nil)
		for _, r := range all[len(early):] {
			late.Add(r)
		}
		added := map[rollup.Slot]*rollup.Rollup{}
		for slot, part := range late.Days() {
			var before rollup.Heaps
			day := new(rollup.Rollup)
			if got[slot] != nil {
				before, day = got[slot].Heaps(), got[slot]
			}
			day.Merge(part)
			got[slot] = day
			rollup.AddLatePart(added, slot.In(rollup.OneWeek), part, day, before)
		}
		for slot, r := range added {
			if got[slot] != nil {
				r.Merge(roundTrip(t, got[slot]))
			}
			got[slot] = r
		}
		for slot, want := range rollups(all) {
			if slot.Span == rollup.FourWeeks {
				continue
			}
			if got := roundTrip(t, got[slot]); got.Reports != want.Reports || got.Instances() != want.Instances() || !got.Heaps().Equal(want.Heaps()) {
				t.Errorf("%v: got %d reports and heaps %v, want %d and %v", slot, got.Reports, flat(got.Heaps()), want.Reports, flat(want.Heaps()))
			}
		}
	})
}

// oldRollup is [serverAmongShortRuns] in formatReports, as an earlier version encoded it.
const oldRollup = "012c02d20c13ce03180300056624b7596f0c4d66444a59023aafef1d7651ef1f89d95830ab604e32babd5438028b0a465190b44baf" +
	"078b4e4feb348318b506958733a59d30df95a62f7db9c89d5d86c9847b47d86fa981e368823eeb91deeaf6190566702849e0"

// TestOldRollup checks that instances of a rollup of an earlier version count once, and that
// such a rollup can be merged with a new one.
func TestOldRollup(t *testing.T) {
	data, err := hex.DecodeString(oldRollup)
	if err != nil {
		t.Fatal(err)
	}
	var old rollup.Rollup
	if err := old.UnmarshalBinary(data); err != nil {
		t.Fatal(err)
	}
	p := rollup.Period{Span: rollup.OneDay, Day: start / 86400}
	var sum rollup.BuildTotals
	if err := rollup.NewMerger(p.Range(), rollup.MaxDay).MergeInto(&sum, []rollup.Encoded{{Period: p, Data: data}}); err != nil {
		t.Fatal(err)
	}
	if h := old.Heaps(); h.Total() != 20 || math.Abs(h.Quantile(0.5)/(10<<20)-1) > rollup.HeapError || !h.Equal(sum.Heaps) || !old.Approximate() || old.Instances() != 21 {
		t.Errorf("got %d instance-days of %d instances, p50 %f; merged heaps %v", h.Total(), old.Instances(), h.Quantile(0.5), flat(sum.Heaps))
	}
	fresh, _ := encoded(t, serverAmongShortRuns()[:30])
	var week rollup.Rollup
	week.AddPart(&old)
	fresh.Merge(&old)
	again, err := fresh.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	var back rollup.Rollup
	if err := back.UnmarshalBinary(again); err != nil {
		t.Fatal(err)
	}
	twice, _ := back.AppendBinary(nil)
	if h := back.Heaps(); h.Total() != 27 || back.Instances() != 21 || !back.Approximate() || !week.Approximate() || !bytes.Equal(again, twice) {
		t.Errorf("merged with 7 instance-days: got %d instance-days of %d instances, approximate %v, %v, want 27 of 21", h.Total(), back.Instances(), back.Approximate(), week.Approximate())
	}
}
