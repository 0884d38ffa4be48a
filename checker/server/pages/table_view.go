package pages

import (
	"html/template"
	"slices"
	"strings"

	"relcheck/checker/stats"
)

func show(r stats.Row, c stats.Column) string { return formatValue(c.Kind, r.Value(c)) }

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

// newTableView returns the view of a table. The first column is aligned to the left.
func newTableView(t *stats.Table) *tableView {
	g := &tableView{Caption: t.Title}
	for i, c := range t.Columns {
		head := columnHead{Text: c.Head}
		if i > 0 && c.Kind != stats.Text && c.Kind != stats.Yes {
			head.Class = "n"
		}
		g.Head = append(g.Head, head)
	}
	if len(t.Rows) > maxRows {
		g.All = len(t.Rows)
	}
	for _, values := range t.Rows[:min(len(t.Rows), maxRows)] {
		line := make([]tableCell, len(values))
		for i, value := range values {
			line[i] = tableCell{Text: formatValue(t.Columns[i].Kind, value), Class: g.Head[i].Class}
		}
		g.Rows = append(g.Rows, line)
	}
	return g
}

// newColumnsView returns a view of some columns of a table.
func newColumnsView(t *stats.Table, columns ...stats.Column) *tableView {
	return newTableView(t.Select(columns...))
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
