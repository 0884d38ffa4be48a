package bundle

import (
	"errors"
	"fmt"
	"iter"
	"math"

	"relcheck/checker"
	"relcheck/checker/stats/rollup"
)

// Site describes the site whose counts a bundle contains.
type Site struct {
	Name      string     // chosen by the operator of the site
	Threshold int64      // all counts are multiples of it
	Through   rollup.Day // last day of the counts; it was over when the bundle was created
}

// Limits of a bundle of counts. Because of them, sums do not overflow.
const (
	maxCountsIndex = 512 << 20 // in bytes; a year of 300 builds takes about 20 MB
	maxCount       = 1e11
	maxBuilds      = 100_000 // of a product
)

// cell is a [rollup.Cell] in the index. Counts that are 0 are omitted.
type cell struct {
	From      string     `json:"from"`   // first day: 2026-01-31
	Period    string     `json:"period"` // see spanNames
	Version   string     `json:"version"`
	OS        string     `json:"os"`
	Arch      string     `json:"arch"`
	Reports   int64      `json:"reports,omitzero"`
	Instances int64      `json:"instances,omitzero"`
	Checks    int64      `json:"checks,omitzero"`
	Daily     int64      `json:"daily,omitzero"`
	Weekly    int64      `json:"weekly,omitzero"`
	Monthly   int64      `json:"monthly,omitzero"`
	New       int64      `json:"new,omitzero"`
	Back7     int64      `json:"back7,omitzero"`
	Back28    int64      `json:"back28,omitzero"`
	Heaps     [][2]int64 `json:"heaps,omitempty"` // pairs of bucket, see [rollup.HeapBucket], and count
}

// spanNames are the names of periods in the index.
var spanNames = map[rollup.Span]string{rollup.OneDay: "day", rollup.OneWeek: "week", rollup.FourWeeks: "four weeks"}

func newCell(c *rollup.Cell) *cell {
	n := c.Installations
	encoded := &cell{c.Day.String(), spanNames[c.Span], c.Version, c.OS, c.Arch, c.Reports, c.Instances, c.Checks, n.Daily, n.Weekly, n.Monthly, n.New, n.Back7, n.Back28, nil}
	for bucket, n := range c.Heaps.All() {
		encoded.Heaps = append(encoded.Heaps, [2]int64{int64(bucket), n})
	}
	return encoded
}

// decode returns the cell. It checks all that does not depend on other cells.
func (c *cell) decode(s *Site) (*rollup.Cell, error) {
	day, err := rollup.ParseDay(c.From)
	if err != nil {
		return nil, err
	}
	span := rollup.Span(0)
	for s, name := range spanNames {
		if name == c.Period {
			span = s
		}
	}
	d := &rollup.Cell{
		Period:  rollup.Period{Span: span, Day: day},
		Build:   rollup.Build{Version: c.Version, Platform: checker.Platform{OS: c.OS, Arch: c.Arch}},
		Reports: c.Reports, Instances: c.Instances, Checks: c.Checks,
		Installations: rollup.Installations{Daily: c.Daily, Weekly: c.Weekly, Monthly: c.Monthly, New: c.New, Back7: c.Back7, Back28: c.Back28},
	}
	switch {
	case span == 0:
		return nil, fmt.Errorf("%.100q is not a day, week or four weeks", c.Period)
	case day <= 0 || span.Start(day) != day:
		return nil, fmt.Errorf("no %s begins on %s", c.Period, day)
	case d.Range().To > s.Through:
		return nil, fmt.Errorf("its %s is not over on %s, the last day of the bundle", c.Period, s.Through)
	case !checker.ValidVersion(c.Version):
		return nil, fmt.Errorf("%.100q is not a version", c.Version)
	case d.Platform != checker.Other && !d.Platform.Known():
		return nil, fmt.Errorf("unknown platform %.100q", d.Platform)
	}
	for _, n := range d.Numbers() {
		if err := s.checkCount(*n); err != nil {
			return nil, err
		}
	}
	if err := c.decodeHeaps(d, s); err != nil {
		return nil, err
	}
	if d.IsZero() {
		return nil, errors.New("it has no counts")
	}
	if err := d.Check(); err != nil {
		return nil, err
	}
	return d, nil
}

func (c *cell) decodeHeaps(d *rollup.Cell, s *Site) error {
	last := int64(math.MinInt64)
	for _, h := range c.Heaps {
		bucket, n := h[0], h[1]
		if bucket <= last || !rollup.ValidBucket(bucket) || n == 0 {
			return fmt.Errorf("%d heaps in bucket %d are not valid or not in order", n, bucket)
		}
		if err := s.checkCount(n); err != nil {
			return err
		}
		d.Heaps.Add(int(bucket), n)
		last = bucket
	}
	return s.checkCount(d.Heaps.Total())
}

func (s *Site) checkCount(n int64) error {
	switch {
	case n < 0 || n > maxCount:
		return fmt.Errorf("a count of %d is not from 0 to %d", n, int64(maxCount))
	case n%s.Threshold != 0:
		return fmt.Errorf("a count of %d is not a multiple of the threshold %d", n, s.Threshold)
	}
	return nil
}

// cellCheck checks the cells of an index one by one.
type cellCheck struct {
	last   *rollup.Cell // of the product, or nil
	builds map[rollup.Build]bool
}

func (x *cellCheck) cell(c *cell, s *Site) error {
	d, err := c.decode(s)
	if err != nil {
		return err
	}
	if x.last != nil && x.last.Compare(d) >= 0 {
		return errors.New("it is listed twice or is not in order")
	}
	if x.builds[d.Build] = true; len(x.builds) > maxBuilds {
		return fmt.Errorf("the product has more than %d builds", maxBuilds)
	}
	x.last = d
	return nil
}

// Cell adds counts of the last product, in the order of [rollup.Cell.Compare].
func (w *Writer) Cell(c *rollup.Cell) error { return w.add(line{Cell: newCell(c)}) }

// Cells iterates over the counts of a product, in the order of [rollup.Cell.Compare].
func (b *Reader) Cells(p *Product) iter.Seq2[*rollup.Cell, error] {
	return func(yield func(*rollup.Cell, error) bool) {
		for l, err := range b.lines(p.releases) {
			if err == nil && l.Cell == nil {
				return
			}
			var c *rollup.Cell
			if err == nil {
				c, err = l.Cell.decode(b.Site)
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

// check returns an error if a site cannot have the values.
func (s *Site) check(h *Header) error {
	switch {
	case !rollup.ValidSite(s.Name):
		return fmt.Errorf("%.100q cannot be the name of a site", s.Name)
	case s.Threshold < 1 || s.Threshold > maxCount:
		return fmt.Errorf("the threshold %d is not from 1 to %d", s.Threshold, int64(maxCount))
	case s.Through <= 0 || s.Through >= rollup.DayOf(h.Created):
		return fmt.Errorf("%s was not over when the bundle was created, at %s", s.Through, h.Created)
	case h.Base != "":
		return errors.New("a bundle of counts has no base")
	case h.indexSize > maxCountsIndex:
		return fmt.Errorf("an index of %d bytes is too large for counts", h.indexSize)
	}
	return nil
}
