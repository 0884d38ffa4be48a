package pages

import (
	"html/template"
	"iter"
	"slices"
	"strings"

	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

// row is a row of a table with access by column name.
type row struct {
	table  *stats.Table
	values []any
}

// rows returns the rows of a table, which may be nil.
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

// maxRows is the number of rows of a table that a page shows. The CSV file has the others.
const maxRows = 400

// tableView is the HTML form of a table.
type tableView struct {
	Caption string
	Head    []columnHead
	Rows    [][]tableCell
	All     int // number of rows of the table, if not all are shown
}

// Long reports whether the table scrolls in a window of its own.
func (g *tableView) Long() bool { return len(g.Rows) > 16 }

// Count describes how many rows there are.
func (g *tableView) Count() string {
	if g.All > 0 {
		return "The first " + formatNumber(int64(len(g.Rows))) + " of " + formatNumber(int64(g.All)) + " rows. Scroll within the table to see them; the CSV file has all rows."
	}
	return formatNumber(int64(len(g.Rows))) + " rows. Scroll within the table to see all."
}

// Body returns the markup of the rows. Cells are most of a page, and a template would take
// ten times as long for them.
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
	Class string // n aligns to the right, g is for charts
}

type tableCell struct {
	Text    string
	Class   string
	Drawing template.HTML
}

// write writes the markup of the cell.
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

// leftAligned reports whether values of a kind are aligned to the left.
func leftAligned(k stats.Kind) bool { return k == stats.Text || k == stats.Yes }

func alignment(k stats.Kind) string {
	if leftAligned(k) {
		return ""
	}
	return "n"
}

// newTableView returns the view of a whole table.
func newTableView(t *stats.Table) *tableView {
	all := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		all[i] = c.Name
	}
	return newColumnsView(t, all...)
}

// newColumnsView returns a view of some columns of a table, except those that it lacks.
// The first column is aligned to the left.
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

// addCharts inserts a column of charts, at least one for each row.
func (g *tableView) addCharts(at int, title string, drawings []template.HTML) *tableView {
	at = min(at, len(g.Head))
	g.Head = slices.Insert(g.Head, at, columnHead{title, "g"})
	for i := range g.Rows {
		g.Rows[i] = slices.Insert(g.Rows[i], at, tableCell{Class: "g", Drawing: drawings[i]})
	}
	return g
}
