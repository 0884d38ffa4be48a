package rollup

import (
	"cmp"
	"regexp"
	"slices"
	"time"
)

// LocalSite selects the counts of the store itself, without its sites.
const LocalSite = "local"

var siteName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// ValidSite reports whether a site can have a name.
func ValidSite(name string) bool { return siteName.MatchString(name) && name != LocalSite }

// Site is another store whose counts were added to this one.
type Site struct {
	Name     string
	Store    string // ID of the store
	Key      string // that has signed its last bundle
	Products []SiteProduct
}

// SiteProduct is the last bundle of a site that was applied to a product.
type SiteProduct struct {
	Product   string
	Threshold int64 // all counts of the bundle are multiples of it
	Through   Day   // last day of the counts
	Sequence  int64
	Bundle    string // ID of the bundle
	Created   time.Time
	Applied   time.Time
}

// AddSite adds the counts of a build at a site to the totals of a range. The cells are of
// this build and in order.
//
// Distinct instances of several periods cannot be added up. For a range, AddSite therefore
// adds the largest number of a day, week or four weeks within the range: there were at
// least as many.
func (b *BuildTotals) AddSite(r Range, cells []Cell) {
	if b.Exceed == nil {
		b.Exceed = make([]int64, len(heapLimits)+1)
	}
	exceed, instances := make([]int64, len(heapLimits)+1), largest(cells, r)
	for i := range cells {
		c := &cells[i]
		if days := r.WithFinished(c.Span); days.Contains(c.Day) && days.Contains(c.Range().To) {
			counts := b.Counts(c.Span)
			*counts = append(*counts, Count{Day: c.Day, Reports: c.Reports, Instances: c.Instances, Checks: c.Checks})
		}
		if c.Installations != (Installations{}) && r.WithInstallations().Contains(c.Day) {
			b.Installations = append(b.Installations, DayInstallations{c.Day, c.Installations})
		}
		if c.Span == OneDay && r.Contains(c.Day) {
			b.Reports += c.Reports
			b.Heaps.Merge(c.Heaps)
			c.Heaps.maxExceed(exceed, c.Daily)
		}
	}
	for _, s := range Spans {
		counts := b.Counts(s)
		*counts = mergeDays(*counts, func(c *Count) Day { return c.Day }, func(c *Count, other Count) {
			c.Reports += other.Reports
			c.Instances += other.Instances
			c.Checks += other.Checks
			c.Started += other.Started
			c.Repeated += other.Repeated
		})
	}
	b.Installations = mergeDays(b.Installations, func(n *DayInstallations) Day { return n.Day }, func(n *DayInstallations, other DayInstallations) { n.Add(other.Installations) })
	for i, n := range exceed {
		b.Exceed[i] += min(n, instances)
	}
	b.Instances += instances
	for i, into := range b.Recent.windows() {
		*into += largest(cells, windows(r)[i+1])
	}
}

// largest returns the largest number of instances of a period within a range.
func largest(cells []Cell, r Range) (n int64) {
	for i := range cells {
		if days := cells[i].Range(); r.From <= days.From && days.To <= r.To {
			n = max(n, cells[i].Instances)
		}
	}
	return n
}

// mergeDays sorts a list by day and adds up elements of the same day.
func mergeDays[T any](list []T, day func(*T) Day, add func(to *T, other T)) (merged []T) {
	slices.SortStableFunc(list, func(a, b T) int { return cmp.Compare(day(&a), day(&b)) })
	for _, one := range list {
		if last := len(merged) - 1; last >= 0 && day(&merged[last]) == day(&one) {
			add(&merged[last], one)
		} else {
			merged = append(merged, one)
		}
	}
	return merged
}

// limitBuckets are the buckets of the heapLimits.
var limitBuckets = func() (all []int) {
	for _, limit := range heapLimits {
		all = append(all, HeapBucket(limit))
	}
	return all
}()

// maxExceed raises the elements of exceed, see [Distinct], to the numbers of the heaps of a
// day. As many of them as there were installations may be theirs.
func (h Heaps) maxExceed(exceed []int64, installations int64) {
	above, class := int64(0), len(limitBuckets)
	for i := len(h.counts) - 1; i >= 0; i-- {
		for class > 0 && h.low+i <= limitBuckets[class-1] {
			exceed[class] = max(exceed[class], above-installations)
			class--
		}
		above += h.counts[i]
	}
	for ; class >= 0; class-- {
		exceed[class] = max(exceed[class], above-installations)
	}
}
