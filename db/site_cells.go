package db

import (
	"context"
	"slices"

	"relcheck/checker/stats/rollup"
)

// Cells calls f with the counts of each period of a product that is over on a day, in the
// order of [rollup.Cell.Compare]. It does not include counts of sites. The reports must have
// been folded.
func (s *Store) Cells(ctx context.Context, product string, through rollup.Day, f func([]rollup.Cell) error) error {
	id, err := productID(ctx, s.read, product)
	if err != nil {
		return s.explain(err)
	}
	everything := func(rollup.Build) bool { return true }
	totals, err := s.TotalsAt(ctx, product, rollup.LocalSite, rollup.Range{From: through, To: through}, everything)
	if err != nil || totals.Known.Days() == 0 {
		return err
	}
	for from := rollup.FourWeeks.Start(totals.Known.From); from <= through; from += rollup.Day(rollup.FourWeeks) {
		r := rollup.Range{From: from, To: min(from+rollup.Day(rollup.FourWeeks)-1, through)}
		if totals, err = s.TotalsAt(ctx, product, rollup.LocalSite, r, everything); err != nil {
			return err
		}
		cells := cellMap{}
		cells.addTotals(totals)
		if err := s.addHeaps(ctx, cells, id, r); err != nil {
			return s.explain(err)
		}
		for sorted := cells.sorted(); len(sorted) > 0; {
			n := 1
			for n < len(sorted) && sorted[n].Period == sorted[0].Period {
				n++
			}
			if err := f(sorted[:n:n]); err != nil {
				return err
			}
			sorted = sorted[n:]
		}
	}
	return nil
}

// cellMap has the counts of builds in periods.
type cellMap map[cellKey]*rollup.Cell

type cellKey struct {
	rollup.Period
	rollup.Build
}

func (m cellMap) at(span rollup.Span, day rollup.Day, b rollup.Build) *rollup.Cell {
	key := cellKey{rollup.Period{Span: span, Day: day}, b}
	if m[key] == nil {
		m[key] = &rollup.Cell{Period: key.Period, Build: b}
	}
	return m[key]
}

// addTotals adds all counts of the periods within the range of totals.
func (m cellMap) addTotals(t *rollup.Totals) {
	for i := range t.Builds {
		b := &t.Builds[i]
		for _, span := range rollup.Spans {
			for _, c := range *b.Counts(span) {
				if (rollup.Period{Span: span, Day: c.Day}).Range().To <= t.Range.To && t.Range.Contains(c.Day) {
					cell := m.at(span, c.Day, b.Build)
					cell.Reports, cell.Instances, cell.Checks = c.Reports, c.Instances, c.Checks
				}
			}
		}
		for _, n := range b.Installations {
			if t.Range.Contains(n.Day) {
				m.at(rollup.OneDay, n.Day, b.Build).Installations = n.Installations
			}
		}
	}
}

// addHeaps adds the heaps of the days of a range.
func (s *Store) addHeaps(ctx context.Context, m cellMap, product int64, r rollup.Range) error {
	builds, err := queryMap(ctx, s.read, scanBuild, "SELECT id, version, os, arch FROM build WHERE product = $1", product)
	if err != nil {
		return err
	}
	return eachSketch(ctx, s.read, func(slot rollup.Slot, data []byte) error {
		var day rollup.Rollup
		if err := day.UnmarshalBinary(data); err != nil {
			return sketchError(slot, err)
		}
		m.at(slot.Span, slot.Day, builds[slot.Build]).Heaps = day.Heaps()
		return nil
	}, "product = $1 AND span = $2 AND day BETWEEN $3 AND $4", product, rollup.OneDay, r.From, r.To)
}

// sorted returns the counts in order, without empty ones.
func (m cellMap) sorted() (cells []rollup.Cell) {
	for _, c := range m {
		if !c.IsZero() {
			cells = append(cells, *c)
		}
	}
	slices.SortFunc(cells, func(a, b rollup.Cell) int { return a.Compare(&b) })
	return cells
}
