package stats

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"relcheck/checker/stats/rollup"
)

const (
	// deviations of a normal distribution to both sides hold 95 % of it.
	deviations = 1.96
	// leastBeyond is how many observations have to lie beyond a percentile, on
	// average, for the ranks around it to be about normally distributed.
	leastBeyond = 5
)

// bucketWidth is the logarithm of how much a heap may be off, for being put into a bucket.
var bucketWidth = math.Log((1 + rollup.HeapError) / (1 - rollup.HeapError))

// percentiles are those that two versions are compared by.
var percentiles = []struct {
	name string
	q    float64
}{{"p50", 0.50}, {"p90", 0.90}, {"p95", 0.95}, {"p99", 0.99}}

func (v *View) heapChange(t *Table) {
	from, to, err := v.compared()
	if err != nil {
		t.remark(err.Error())
		return
	}
	was, now := v.sampleOf(from), v.sampleOf(to)
	for _, p := range percentiles {
		old, is := was.interval(p.q), now.interval(p.q)
		change, low, high := is.against(old)
		certain := old.enough && is.enough && (low > 0 || high < 0)
		t.row(p.name, from.name, to.name, old.value, is.value, orNil(change, !math.IsNaN(change)),
			orNil(low, !math.IsNaN(low)), orNil(high, !math.IsNaN(high)), certain)
	}
}

// side is one of two that are compared.
type side struct {
	name string // of a version, or of a line
	heapSum
	builds []*build
}

// gather returns the side that some builds make up.
func (v *View) gather(name string, is func(*build) bool) side {
	s := side{name: name}
	for i := range v.builds {
		if b := &v.builds[i]; is(b) {
			s.add(b)
			s.builds = append(s.builds, b)
		}
	}
	return s
}

// compared returns the two sides that were asked for, or else the two versions
// that most ids told a heap of, the older one first.
func (v *View) compared() (from, to side, err error) {
	if v.Query.Compare == [2]string{} {
		return v.mostTold()
	}
	from, noFrom := v.side(v.Query.Compare[0])
	to, noTo := v.side(v.Query.Compare[1])
	if noFrom != nil && noTo != nil {
		return from, to, fmt.Errorf("%w; %w", noFrom, noTo)
	}
	return from, to, cmp.Or(noFrom, noTo)
}

// side sums up what was asked for, be it as rare as it may.
func (v *View) side(asked string) (side, error) {
	line, reports := askedLine(asked), int64(0)
	name := cmp.Or(line, v.published.shown(asked))
	s := v.gather(name, func(b *build) bool {
		return line != "" && Line(b.Version) == line || line == "" && (b.version.name == name || v.published.shown(b.Version) == name)
	})
	for _, b := range s.builds {
		reports += b.Reports
	}
	switch {
	case reports == 0:
		return s, fmt.Errorf("nobody reported %s in the range", s.name)
	case s.Total() == 0:
		return s, fmt.Errorf("no report of %s in the range told a heap", s.name)
	}
	return s, nil
}

func (v *View) mostTold() (from, to side, err error) {
	piles := v.heapSums(len(v.used), func(b *build) int { return b.version.place })
	var told []*version
	for _, one := range v.ladder {
		if piles[one.place].Total() > 0 {
			told = append(told, one)
		}
	}
	if len(told) < 2 {
		return from, to, errors.New("it takes two versions of which a heap was reported in the range")
	}
	slices.SortStableFunc(told, func(a, b *version) int {
		return cmp.Compare(piles[b.place].instances, piles[a.place].instances)
	})
	older, newer := told[0], told[1]
	if older.place < newer.place {
		older, newer = newer, older
	}
	of := func(one *version) side { return v.gather(one.name, func(b *build) bool { return b.version == one }) }
	return of(older), of(newer), nil
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
	down := math.Hypot(ln(i.value, i.low), ln(old.high, old.value)) + bucketWidth
	up := math.Hypot(ln(i.high, i.value), ln(old.value, old.low)) + bucketWidth
	return math.Expm1(ratio), math.Expm1(ratio - down), math.Expm1(ratio + up)
}
