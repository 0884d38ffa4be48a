package stats

import (
	"cmp"
	"iter"
	"slices"

	"relcheck/checker/stats/rollup"
	"relcheck/checker/version"
)

// Query selects the statistics of a product.
type Query struct {
	rollup.Range
	LastDays int // number of days if the range was given as the last days; 0 if it was given as dates
	Filter
	Site    string    // a site, [rollup.LocalSite] for the store without its sites, or empty for all
	Below   string    // count the instances of older versions than this; empty for the latest release
	Above   int64     // count the instances with more bytes of heap than this; 0 for none
	Compare [2]string // versions or minor lines whose heaps are compared; empty for the two most used versions
}

// Filter selects builds. Empty fields select all.
type Filter struct {
	Version  string // a version (v1.2.3) or minor line (v1.2, 2026.05), with or without its prefix and leading v
	OS, Arch string
}

// Keeps returns a function that reports whether the filter selects a build of a product
// with that scheme of tags.
func (f Filter) Keeps(s version.Scheme) func(rollup.Build) bool {
	selects := selector(s, f.Version)
	return func(b rollup.Build) bool {
		return (f.OS == "" || f.OS == b.OS) && (f.Arch == "" || f.Arch == b.Arch) && (f.Version == "" || selects(b.Version))
	}
}

// Values of the column period of the table summary.
const (
	LastDay    = "day"
	Last7Days  = "7 days"
	Last28Days = "28 days"
	WholeRange = "range"
)

// Values of the column what of the table latest.
const (
	LatestRelease    = "latest release"
	LatestLine       = "latest minor line"
	Older            = "older"
	Unknown          = "unknown"
	WithdrawnRelease = "withdrawn release"
)

// Kind is the kind of the values in a column. It determines how they are shown.
type Kind int

// The kinds of columns, with the Go type of their values. Unknown values are nil.
const (
	Text   Kind = iota // string; hostile ones are possible
	Date               // Day
	Number             // int64: a count
	Mean               // float64: a count, the mean of several days
	Share              // float64, from 0 to 1
	Change             // float64: 0.12 is 12 % more
	Bytes              // float64: bytes of heap
	Yes                // bool
)

// Column is a column of a table.
type Column struct {
	Name string // in JSON, CSV and documentation; stable: "released"
	Kind Kind
	Head string // for people: "Released"
}

// Table is one kind of statistics. The API, the pages and the command line show the same
// tables.
type Table struct {
	Name    string // in URLs; stable: "versions"
	Title   string // for people: "Versions"
	Note    string // one sentence: what is counted, and how exactly
	Columns []Column
	Rows    [][]any // a value for each column, see [Kind]

	scheme        version.Scheme // of the product's tags
	installations bool           // they answer questions, see [View.Counted]
}

// Index returns the index of a column. It panics if the table does not have it.
func (t *Table) Index(c Column) int {
	i := slices.Index(t.Columns, c)
	if i < 0 {
		panic("stats: table " + t.Name + " has no column " + c.Name)
	}
	return i
}

// Has reports whether the table has a column.
func (t *Table) Has(c Column) bool { return slices.Contains(t.Columns, c) }

// All returns the rows. The table may be nil.
func (t *Table) All() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		if t == nil {
			return
		}
		for _, values := range t.Rows {
			if !yield(Row{t, values}) {
				return
			}
		}
	}
}

// MostFirst returns a table sorted by a column of the kind Number or Mean, the highest counts
// first.
func (t *Table) MostFirst(c Column) *Table {
	sorted := *t
	sorted.Rows = slices.Clone(t.Rows)
	slices.SortStableFunc(sorted.Rows, func(a, b []any) int { return cmp.Compare(Row{t, b}.Count(c), Row{t, a}.Count(c)) })
	return &sorted
}

// Any reports whether a column of the kind Yes is true in a row.
func (t *Table) Any(c Column) bool {
	for r := range t.All() {
		if r.Yes(c) {
			return true
		}
	}
	return false
}

// Filter returns a table of the rows that keep selects.
func (t *Table) Filter(keep func(Row) bool) *Table {
	kept := *t
	kept.Rows = nil
	for r := range t.All() {
		if keep(r) {
			kept.Rows = append(kept.Rows, r.Values)
		}
	}
	return &kept
}

// Select returns a table of some of the columns.
func (t *Table) Select(columns ...Column) *Table {
	selected := *t
	selected.Columns, selected.Rows = columns, make([][]any, len(t.Rows))
	for _, c := range columns {
		at := t.Index(c)
		for i, row := range t.Rows {
			selected.Rows[i] = append(selected.Rows[i], row[at])
		}
	}
	return &selected
}

// Shown returns the table without the columns of a population that it does not count: of
// installations if they are unknown, or of instances if there are installations only.
func (t *Table) Shown() *Table {
	unused := func(columns ...Column) bool {
		for _, c := range columns {
			if !t.Has(c) {
				return false
			}
			for _, row := range t.Rows {
				if v := row[t.Index(c)]; v != nil && v != int64(0) && v != 0.0 {
					return false
				}
			}
		}
		return len(t.Rows) > 0
	}
	hidden := []Column{ColMeanInstallations, ColInstallationShare}
	if t.Has(ColInstallations) {
		hidden[0] = ColInstallations
	}
	if !unused(hidden...) {
		if hidden = []Column{ColInstances, ColShare}; !t.Has(ColInstallationShare) || !unused(hidden...) {
			return t
		}
	}
	return t.Select(slices.DeleteFunc(slices.Clone(t.Columns), func(c Column) bool { return slices.Contains(hidden, c) })...)
}

// Row is a row of a table. Its methods panic if the table does not have the column, or if
// values of the column have another type. For an unknown value they return zero.
type Row struct {
	table  *Table
	Values []any
}

// Value returns the value in a column, or nil if it is unknown.
func (r Row) Value(c Column) any { return r.Values[r.table.Index(c)] }

// Known reports whether the value in a column is known.
func (r Row) Known(c Column) bool { return r.Value(c) != nil }

// Text returns the value in a column of the kind Text.
func (r Row) Text(c Column) string { return value[string](r, c) }

// Number returns the value in a column of the kind Number.
func (r Row) Number(c Column) int64 { return value[int64](r, c) }

// Count returns the value in a column of the kind Number or Mean.
func (r Row) Count(c Column) float64 {
	if c.Kind == Mean {
		return r.Float(c)
	}
	return float64(r.Number(c))
}

// Float returns the value in a column of the kind Mean, Share, Change or Bytes.
func (r Row) Float(c Column) float64 { return value[float64](r, c) }

// Day returns the value in a column of the kind Date.
func (r Row) Day(c Column) rollup.Day { return value[rollup.Day](r, c) }

// Yes returns the value in a column of the kind Yes.
func (r Row) Yes(c Column) bool { return value[bool](r, c) }

func value[T any](r Row, c Column) (v T) {
	if r.Known(c) {
		v = r.Value(c).(T)
	}
	return v
}
