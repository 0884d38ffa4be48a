package pages

import (
	"html/template"
	"iter"
	"slices"
	"strings"

	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

// row is a row of a table whose values are found by the names of their columns.
type row struct {
	table  *stats.Table
	values []any
}

// rows yields the rows of a table; none of one that there is not.
func rows(t *stats.Table) iter.Seq[row] {
	return func(yield func(row) bool) {
		if t == nil {
			return
		}
		for _, values := range t.Rows {
			if !yield(row{t, values}) {
				return
			}
		}
	}
}

func (r row) value(column string) any {
	i := slices.IndexFunc(r.table.Columns, func(c stats.Column) bool { return c.Name == column })
	if i < 0 {
		return nil
	}
	return r.values[i]
}

func (r row) has(column string) bool { return r.value(column) != nil }

func (r row) text(column string) string {
	s, _ := r.value(column).(string)
	return s
}

func (r row) number(column string) int64 {
	n, _ := r.value(column).(int64)
	return n
}

func (r row) float(column string) float64 {
	f, _ := r.value(column).(float64)
	return f
}

func (r row) day(column string) rollup.Day {
	d, _ := r.value(column).(rollup.Day)
	return d
}

func (r row) show(column string) string {
	i := slices.IndexFunc(r.table.Columns, func(c stats.Column) bool { return c.Name == column })
	if i < 0 {
		return unknown
	}
	return formatValue(r.table.Columns[i].Kind, r.values[i])
}

// maxRows is how many rows of a table a page shows. The others can be had as CSV.
const maxRows = 400

// tableView is a table as a page shows it.
type tableView struct {
	Caption string
	Head    []columnHead
	Rows    [][]tableCell
	All     int // rows of the table, if those of the grid are only the first ones
}

// Long tells whether the grid scrolls in a window of its own.
func (g *tableView) Long() bool { return len(g.Rows) > 16 }

// Count says how many rows there are.
func (g *tableView) Count() string {
	if g.All > 0 {
		return "The first " + formatNumber(int64(len(g.Rows))) + " of " + formatNumber(int64(g.All)) + " rows. Scroll within the table to see them; the CSV file has all rows."
	}
	return formatNumber(int64(len(g.Rows))) + " rows. Scroll within the table to see all."
}

// Body is the grid's rows as markup. Most of a page are cells, and a template would
// take ten times as long for them.
func (g *tableView) Body() template.HTML {
	var b strings.Builder
	for _, line := range g.Rows {
		b.WriteString("\n<tr>")
		for i, c := range line {
			c.write(&b, i == 0)
		}
		b.WriteString("</tr>")
	}
	return template.HTML(b.String())
}

type columnHead struct {
	Text  string
	Class string // n for what is aligned to the right, g for a drawing
}

type tableCell struct {
	Text    string
	Class   string
	Drawing template.HTML
}

// write writes the cell, which heads its row or does not.
func (c tableCell) write(b *strings.Builder, heads bool) {
	name, rest := "td", ""
	if heads {
		name, rest = "th", ` scope="row"`
	}
	b.WriteString("<" + name + rest)
	if c.Class != "" {
		b.WriteString(` class="` + template.HTMLEscapeString(c.Class) + `"`)
	}
	b.WriteString(">" + string(c.Drawing) + template.HTMLEscapeString(c.Text) + "</" + name + ">")
}

// leftAligned tells whether values of a kind are aligned to the left.
func leftAligned(k stats.Kind) bool { return k == stats.Text || k == stats.Yes }

func alignment(k stats.Kind) string {
	if leftAligned(k) {
		return ""
	}
	return "n"
}

// newTableView shows all of a table.
func newTableView(t *stats.Table) *tableView {
	all := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		all[i] = c.Name
	}
	return newColumnsView(t, all...)
}

// newColumnsView shows some columns of a table, as far as it has them. What a row is
// about stands first, to the left.
func newColumnsView(t *stats.Table, columns ...string) *tableView {
	g := &tableView{Caption: t.Title}
	var shown []int
	for _, name := range columns {
		i := slices.IndexFunc(t.Columns, func(c stats.Column) bool { return c.Name == name })
		if i < 0 {
			continue
		}
		one := columnHead{t.Columns[i].Head, alignment(t.Columns[i].Kind)}
		if len(shown) == 0 {
			one.Class = ""
		}
		shown, g.Head = append(shown, i), append(g.Head, one)
	}
	if len(t.Rows) > maxRows {
		g.All = len(t.Rows)
	}
	for _, values := range t.Rows[:min(len(t.Rows), maxRows)] {
		line := make([]tableCell, len(shown))
		for j, i := range shown {
			line[j] = tableCell{Text: formatValue(t.Columns[i].Kind, values[i]), Class: g.Head[j].Class}
		}
		g.Rows = append(g.Rows, line)
	}
	return g
}

// addCharts puts a column of drawings into a grid, one for each of its rows or more.
func (g *tableView) addCharts(at int, title string, drawings []template.HTML) *tableView {
	at = min(at, len(g.Head))
	g.Head = slices.Insert(g.Head, at, columnHead{title, "g"})
	for i := range g.Rows {
		g.Rows[i] = slices.Insert(g.Rows[i], at, tableCell{Class: "g", Drawing: drawings[i]})
	}
	return g
}
