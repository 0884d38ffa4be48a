package rollup

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"relcheck/checker"
)

// Cell has the counts of a build in a period. It contains nothing about single instances, so
// that it can leave the store that has counted them.
type Cell struct {
	Period
	Build
	Reports   int64
	Instances int64 // distinct in the period
	// The following fields are only of days.
	Checks int64
	Installations
	Heaps Heaps // instance-days: see [Rollup.Heaps]
}

// OtherBuild is the build that has the counts of cells that are not shown.
var OtherBuild = Build{Version: Other, Platform: checker.Other}

// Compare compares builds by version and platform, as text.
func (b Build) Compare(c Build) int {
	return cmp.Or(strings.Compare(b.Version, c.Version), strings.Compare(b.OS, c.OS), strings.Compare(b.Arch, c.Arch))
}

// Compare compares cells by the first day, the span and the build.
func (c *Cell) Compare(d *Cell) int {
	return cmp.Or(cmp.Compare(c.Day, d.Day), cmp.Compare(c.Span, d.Span), c.Build.Compare(d.Build))
}

// Numbers returns pointers to all counts of the cell, except of heaps.
func (c *Cell) Numbers() []*int64 {
	n := &c.Installations
	return []*int64{&c.Reports, &c.Instances, &c.Checks, &n.Daily, &n.Weekly, &n.Monthly, &n.New, &n.Back7, &n.Back28}
}

// IsZero reports whether nothing is counted.
func (c *Cell) IsZero() bool {
	return !slices.ContainsFunc(c.Numbers(), func(n *int64) bool { return *n != 0 }) && c.Heaps.Total() == 0
}

// Add adds the counts of another cell.
func (c *Cell) Add(other *Cell) {
	numbers := c.Numbers()
	for i, n := range other.Numbers() {
		*numbers[i] += *n
	}
	c.Heaps.Merge(other.Heaps)
}

// HideSmall returns the cells of one period without small counts: every count that it
// returns is a multiple of the threshold, so that neither a count nor a sum or difference of
// counts is between 0 and the threshold.
//
// Each count is rounded down; of installations, new and returning ones are, so that what
// remains has no more new ones than installations. What remains of all builds is added up for
// [OtherBuild] and rounded down, too. Therefore, the sum over all builds is the true sum,
// rounded down to a multiple of the threshold. A build with fewer instances and fewer installations than the
// threshold is not named. Its checks are shown if released reports that its version is
// public anyway. [OtherBuild] has reports and heaps only if it has enough instances or
// installations. Heaps are replaced by medians, each of as many heaps as the threshold. With
// threshold 1, nothing is hidden.
func HideSmall(cells []Cell, threshold int64, released func(version string) bool) (shown []Cell) {
	var other Cell
	for _, c := range cells {
		if c.Build == OtherBuild {
			other.Add(&c)
			continue
		}
		rest := c
		named := threshold <= 1 || c.has(threshold)
		numbers := c.Numbers()
		for i, n := range rest.Numbers() {
			if named || n == &rest.Checks && released(c.Version) {
				*n %= threshold
			}
			*numbers[i] -= *n
		}
		remaining := rest.withNew()
		for i, n := range c.withNew() {
			if *remaining[i] < rest.New && *n > c.New {
				*n, *remaining[i] = *n-threshold, *remaining[i]+threshold
			}
		}
		if c.Heaps = (Heaps{}); named {
			c.Heaps, rest.Heaps = rest.Heaps.medians(threshold)
		}
		other.Add(&rest)
		if !c.IsZero() {
			shown = append(shown, c)
		}
	}
	if len(cells) > 0 {
		other.Period, other.Build = cells[0].Period, OtherBuild
	}
	if threshold > 1 && !other.has(threshold) {
		other.Reports, other.Heaps = 0, Heaps{}
	}
	for _, n := range other.Numbers() {
		*n -= *n % threshold
	}
	if other.Heaps, _ = other.Heaps.medians(threshold); !other.IsZero() {
		shown = append(shown, other)
	}
	slices.SortFunc(shown, func(a, b Cell) int { return a.Compare(&b) })
	return shown
}

// withNew returns pointers to the counts of installations that include the new ones.
func (n *Installations) withNew() []*int64 { return []*int64{&n.Daily, &n.Weekly, &n.Monthly} }

// Check returns an error if a build cannot have these counts. Those of [OtherBuild] may be sums
// of what [HideSmall] has left.
func (c *Cell) Check() error {
	negative := func(n *int64) bool { return *n < 0 }
	possible := c.Installations.Possible()
	if c.Build == OtherBuild {
		possible = !slices.ContainsFunc(c.withNew(), func(n *int64) bool { return *n < c.New })
	}
	switch {
	case slices.ContainsFunc(c.Numbers(), negative):
		return errors.New("a count is negative")
	case c.Span != OneDay && (c.Checks != 0 || !c.Installations.IsZero() || c.Heaps.Total() != 0):
		return errors.New("only days can have checks, installations and heaps")
	case !possible:
		return fmt.Errorf("the counts of installations contradict each other: %+v", c.Installations)
	}
	return nil
}

// has reports whether there are at least n instances or n installations.
func (c *Cell) has(n int64) bool { return c.Instances >= n || c.Daily >= n }

// medians divides the heaps, in ascending order, into groups of size n, and returns the
// median of each, n times. It also returns the heaps that are left.
func (h Heaps) medians(n int64) (medians, rest Heaps) {
	var median int // bucket of the group's median
	for bucket, left := range h.All() {
		for left > 0 {
			if rest.total == 0 && left >= n {
				medians.Add(bucket, left-left%n)
				left %= n
				continue
			}
			added := min(left, n-rest.total)
			if half := (n + 1) / 2; rest.total < half && rest.total+added >= half {
				median = bucket
			}
			rest.Add(bucket, added)
			if left -= added; rest.total == n {
				medians.Add(median, n)
				rest = Heaps{}
			}
		}
	}
	return medians, rest
}
