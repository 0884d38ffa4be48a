package public

import (
	"maps"

	"relcheck/checker/stats/rollup"
)

// Cell is what the first report of a network on a day counts as, in each table.
type Cell struct {
	Line     string // a published minor line, or [rollup.Other]
	OS, Arch string
}

// Cells has the numbers of networks by the cells of each table.
type Cells struct {
	Lines map[string]int64 `json:"lines"`
	OS    map[string]int64 `json:"os"`
	Arch  map[string]int64 `json:"arch"`
}

// NewCells returns cells that are all zero.
func NewCells() Cells { return Cells{map[string]int64{}, map[string]int64{}, map[string]int64{}} }

func (c Cells) add(cell Cell) {
	c.Lines[cell.Line]++
	c.OS[cell.OS]++
	c.Arch[cell.Arch]++
}

func (c Cells) clone() Cells { return Cells{maps.Clone(c.Lines), maps.Clone(c.OS), maps.Clone(c.Arch)} }

func (c Cells) merge(other Cells) {
	for i, to := range c.tables() {
		for name, n := range other.tables()[i] {
			to[name] += n
		}
	}
}

func (c Cells) tables() [3]map[string]int64 { return [...]map[string]int64{c.Lines, c.OS, c.Arch} }

// Week has what was counted of a product in the seven days from a Monday.
type Week struct {
	First  rollup.Day
	Runs   []Run           // of the week
	Counts map[int64]Cells // of the product, by run; a run without any has none
}

// sum returns the sum of the days, and the number of seconds that were counted. Of several
// runs, the longest one supplies the day. Which one that is does not depend on reports: a run
// without reports also competes.
func (w *Week) sum() (total Cells, seconds int64) {
	longest := map[rollup.Day]Run{}
	for _, r := range w.Runs {
		best, found := longest[r.Day]
		if !found || r.Seconds > best.Seconds || r.Seconds == best.Seconds && r.ID < best.ID {
			longest[r.Day] = r
		}
	}
	total = NewCells()
	for _, r := range longest {
		total.merge(w.Counts[r.ID])
		seconds += r.Seconds
	}
	return total, seconds
}
