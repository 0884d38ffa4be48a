// Package public counts the networks that report a product, and makes one document a week of
// them, with noise that limits what anyone can learn about a single network.
//
// A network is a /24 of IPv4 or a /48 of IPv6. Its first report of a day adds 1 to a cell of each
// of three tables: published minor lines, operating systems and architectures. A document has
// the means of seven days, with noise: see [Scale].
package public

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"relcheck/checker"
	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

// Document has the public figures of a product and week. It is made once and never changes.
type Document struct {
	Product   string   `json:"product"`
	From      string   `json:"from"`  // Monday: 2026-11-23
	To        string   `json:"to"`    // Sunday
	Hours     int64    `json:"hours"` // of 168 in which a server has counted
	Threshold int64    `json:"threshold"`
	Note      string   `json:"note"`
	Networks  *int64   `json:"networks"` // null below the threshold
	Lines     []Figure `json:"lines"`    // newest first
	OS        []Figure `json:"os"`       // highest first
	Arch      []Figure `json:"arch"`     // highest first
}

// Figure is the figure of a cell. Figures below the threshold are left out.
type Figure struct {
	Name     string `json:"name"`
	Networks int64  `json:"networks"`
}

const note = "Mean number of networks a day from which the product was reported, with random noise. A network is an IPv4 /24 or IPv6 /48. Figures below the threshold are left out."

// New makes the document of a week. lines are the published minor lines, newest first. Everything
// in the document is computed from the noisy sums of cells that reports do not determine: all
// lines, all platforms of Go, and other.
func New(product string, w *Week, lines []string, threshold int64, random io.Reader) *Document {
	sums, seconds := w.sum()
	d := &Document{Product: product, From: w.First.String(), To: (w.First + 6).String(), Hours: min(7*24, (seconds+1800)/3600), Threshold: threshold, Note: note}
	d.Lines, _ = d.figures(sums.Lines, lines, random)
	d.OS, _ = d.figures(sums.OS, oses, random)
	var all int64
	d.Arch, all = d.figures(sums.Arch, Arches, random)
	if n := mean(all); n >= threshold { // each network is in one cell of a table
		d.Networks = &n
	}
	for _, figures := range [][]Figure{d.OS, d.Arch} {
		slices.SortStableFunc(figures, func(a, b Figure) int { return cmp.Compare(b.Networks, a.Networks) })
	}
	return d
}

// Arches and oses are the cells of their tables, besides other.
var (
	Arches = names(func(p checker.Platform) string { return p.Arch })
	oses   = names(func(p checker.Platform) string { return p.OS })
)

func names(of func(checker.Platform) string) []string {
	all := map[string]bool{}
	for _, p := range checker.Platforms() {
		all[of(p)] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// figures returns the figures of the cells with some names, and other, that reach the threshold.
// total is the noisy sum of all cells.
func (d *Document) figures(sums map[string]int64, names []string, random io.Reader) (shown []Figure, total int64) {
	shown = []Figure{}
	add := func(name string, sum int64) {
		sum += noise(random)
		total += sum
		if f := mean(sum); f >= d.Threshold {
			shown = append(shown, Figure{name, f})
		}
	}
	other := int64(0)
	for name, n := range sums { // such as a line that is not published any more
		if name == rollup.Other || !slices.Contains(names, name) {
			other += n
		}
	}
	for _, name := range names {
		if name != rollup.Other {
			add(name, sums[name])
		}
	}
	add(rollup.Other, other)
	return shown, total
}

// mean returns a seventh, rounded.
func mean(sum int64) int64 { return int64(math.Round(float64(sum) / 7)) }

// Encode returns the document as JSON.
func (d *Document) Encode() []byte {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		panic(err) // of strings and numbers
	}
	return append(text, '\n')
}

// Decode parses what [Document.Encode] returned.
func Decode(text []byte) (*Document, error) {
	d := new(Document)
	if err := json.Unmarshal(text, d); err != nil {
		return nil, fmt.Errorf("public document: %w", err)
	}
	return d, nil
}

// The columns of [Table].
var (
	ColWeek     = stats.Column{Name: "week", Kind: stats.Date, Head: "Week from"}
	ColTable    = stats.Column{Name: "table", Kind: stats.Text, Head: "Table"}
	ColName     = stats.Column{Name: "name", Kind: stats.Text, Head: "Name"}
	ColNetworks = stats.Column{Name: "networks", Kind: stats.Number, Head: "Networks a day"}
)

// Table returns all figures of documents as one table.
func Table(all ...*Document) *stats.Table {
	t := &stats.Table{Name: "public", Title: "Public figures", Note: note, Columns: []stats.Column{ColWeek, ColTable, ColName, ColNetworks}}
	for _, d := range all {
		week := d.Week()
		if d.Networks != nil {
			t.Rows = append(t.Rows, []any{week, "all", "", *d.Networks})
		}
		for _, part := range []struct {
			name    string
			figures []Figure
		}{{"lines", d.Lines}, {"os", d.OS}, {"arch", d.Arch}} {
			for _, f := range part.figures {
				t.Rows = append(t.Rows, []any{week, part.name, f.Name, f.Networks})
			}
		}
	}
	return t
}

// Week returns the first day of the document.
func (d *Document) Week() rollup.Day {
	day, _ := rollup.ParseDay(d.From) // which New has written
	return day
}
