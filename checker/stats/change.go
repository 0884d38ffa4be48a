package stats

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

const (
	// deviations of a normal distribution to both sides hold 95 % of it.
	deviations = 1.96
	// leastBeyond is how many observations have to lie beyond a percentile, on
	// average, for the ranks around it to be about normally distributed.
	leastBeyond = 5
)

// percentiles are those that two versions are compared by.
var percentiles = []struct {
	name string
	q    float64
}{{"p50", 0.50}, {"p90", 0.90}, {"p95", 0.95}, {"p99", 0.99}}

func (v *View) heapChange(t *Table) {
	piles := v.piles(len(v.used), func(b *build) int { return b.version.place })
	from, to, err := v.compared(piles)
	if err != nil {
		t.remark(err.Error())
		return
	}
	was, now := v.sampleOf(from, &piles[from.place]), v.sampleOf(to, &piles[to.place])
	for _, p := range percentiles {
		old, is := was.interval(p.q), now.interval(p.q)
		change, low, high := is.against(old)
		certain := old.enough && is.enough && (low > 0 || high < 0)
		t.row(p.name, from.name, to.name, old.value, is.value, orNil(change, !math.IsNaN(change)),
			orNil(low, !math.IsNaN(low)), orNil(high, !math.IsNaN(high)), certain)
	}
}

// compared returns the two versions that were asked for, or else the two that
// most ids told a heap of, the older one first.
func (v *View) compared(piles []pile) (from, to *version, err error) {
	if v.Query.Compare == [2]string{} {
		return v.mostTold(piles)
	}
	var both [2]*version
	for i, asked := range v.Query.Compare {
		name := v.published.shown(asked)
		at := slices.IndexFunc(v.used, func(one *version) bool { return one.name == name })
		if at < 0 || piles[at].total == 0 {
			return nil, nil, fmt.Errorf("no report of %s in the range told a heap", name)
		}
		both[i] = v.used[at]
	}
	return both[0], both[1], nil
}

func (v *View) mostTold(piles []pile) (from, to *version, err error) {
	var told []*version
	for _, one := range v.ladder {
		if piles[one.place].total > 0 {
			told = append(told, one)
		}
	}
	if len(told) < 2 {
		return nil, nil, fmt.Errorf("it takes two versions whose reports in the range told a heap")
	}
	slices.SortStableFunc(told, func(a, b *version) int {
		return cmp.Compare(piles[b.place].ids, piles[a.place].ids)
	})
	from, to = told[0], told[1]
	if from.place < to.place { // the newer of the two
		from, to = to, from
	}
	return from, to, nil
}

// against returns how much more i is than another one, and between what that
// lies: in logarithms, the deviations of two independent intervals add up in
// squares (Donner and Zou, Statistical Methods in Medical Research 2012). To
// that comes what the buckets may be off. All are NaN where a heap is 0, and the
// ends where one of theirs is.
func (i interval) against(old interval) (change, low, high float64) {
	if old.value <= 0 || i.value <= 0 {
		return math.NaN(), math.NaN(), math.NaN()
	}
	ln := func(a, b float64) float64 { return math.Log(a / b) }
	ratio := ln(i.value, old.value)
	if old.low <= 0 || i.low <= 0 {
		return math.Expm1(ratio), math.NaN(), math.NaN()
	}
	down := math.Hypot(ln(i.value, i.low), ln(old.high, old.value)) + logGamma
	up := math.Hypot(ln(i.high, i.value), ln(old.value, old.low)) + logGamma
	return math.Expm1(ratio), math.Expm1(ratio - down), math.Expm1(ratio + up)
}
