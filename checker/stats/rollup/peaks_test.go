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
)

// encoded folds pages of reports of one day and build, one after another, and returns
// the rollup of the day and its form.
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

// An instance counts once a day, with the highest heap of that day, however often it
// reports, and whatever is folded with what.
func TestInstanceCountsOnceADay(t *testing.T) {
	all := serverAmongShortRuns()
	for name, pages := range map[string][][]rollup.Report{
		"at once":    {all},
		"twice":      {all, all},
		"each alone": slices.Collect(slices.Chunk(all, 1)),
	} {
		day, _ := encoded(t, pages...)
		h := day.Heaps()
		if h.Total() != 20 || math.Abs(h.Quantile(0.5)/(10<<20)-1) > rollup.HeapError || math.Abs(h.Quantile(1)/(1<<30)-1) > rollup.HeapError {
			t.Errorf("%s: %d instance-days, p50 %f, the highest %f", name, h.Total(), h.Quantile(0.5), h.Quantile(1))
		}
	}
}

// Of many instances a sample counts. It is the same in whatever order and parts the
// reports come, and is no larger for more.
func TestManyInstancesAreSampled(t *testing.T) {
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
			if got := h.Quantile(q); got < at(max(0, q-spread))*(1-1.01*rollup.HeapError) || got > at(min(1, q+spread))*(1+1.01*rollup.HeapError) {
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
		rollups := func(reports []rollup.Report) map[rollup.Slot]*rollup.Rollup {
			f := rollup.NewFold(63, nil)
			for _, r := range reports {
				f.Add(r)
			}
			return f.Rollups()
		}
		got, late := rollups(early), rollup.NewFold(63, nil)
		for _, r := range all[len(early):] {
			late.Add(r)
		}
		more := map[rollup.Slot]*rollup.Rollup{}
		for slot, part := range late.Days() {
			var before rollup.Heaps
			day := new(rollup.Rollup)
			if got[slot] != nil {
				before, day = got[slot].Heaps(), got[slot]
			}
			day.Merge(part)
			got[slot] = day
			rollup.AddLatePart(more, slot.In(rollup.OneWeek), part, day, before)
		}
		for slot, r := range more {
			if got[slot] != nil {
				r.Merge(kept(t, got[slot]))
			}
			got[slot] = r
		}
		for slot, want := range rollups(all) {
			if slot.Span == rollup.FourWeeks {
				continue
			}
			if is := kept(t, got[slot]); is.Reports != want.Reports || is.Instances() != want.Instances() || !is.Heaps().Equal(want.Heaps()) {
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
	var old rollup.Rollup
	if err := old.UnmarshalBinary(form); err != nil {
		t.Fatal(err)
	}
	p := rollup.Period{Span: rollup.OneDay, Day: start / 86400}
	var sum rollup.BuildTotals
	if err := rollup.NewMerger(p.Range(), rollup.MaxDay).MergeInto(&sum, []rollup.Encoded{{Period: p, Data: form}}); err != nil {
		t.Fatal(err)
	}
	if h := old.Heaps(); h.Total() != 20 || math.Abs(h.Quantile(0.5)/(10<<20)-1) > rollup.HeapError || !h.Equal(sum.Heaps) || !old.Approximate() || old.Instances() != 21 {
		t.Errorf("%d instance-days of %d ids, p50 %f; summed up %v", h.Total(), old.Instances(), h.Quantile(0.5), flat(sum.Heaps))
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
		t.Errorf("with 7 instances more, %d instance-days of %d ids; mixed: %v, %v", h.Total(), back.Instances(), back.Approximate(), week.Approximate())
	}
}
