package pages

import (
	"html/template"
	"slices"
	"strings"

	"relcheck/checker/stats"
)

func show(r stats.Row, c stats.Column) string { return formatValue(c.Kind, r.Value(c)) }

const (
	// maxRows is the number of rows of a table that a page shows. The CSV file has the others.
	maxRows = 400
	// firstRows is the number of rows that are shown at once. The others can be opened.
	firstRows = 8
)

// tableView is the HTML form of a table.
type tableView struct {
	Caption string
	Head    []columnHead
	Rows    [][]tableCell
	All     int  // number of rows of the table, if not all are shown
	Whole   bool // all rows are shown at once
	Dense   bool // has many columns
}

// More describes the rows that are not shown at once, if there are any.
func (g *tableView) More() string {
	switch n := len(g.Rows) - firstRows; {
	case g.Whole || n <= 2:
		return ""
	case g.All > 0:
		return "Show " + formatNumber(int64(n)) + " of " + formatNumber(int64(g.All-firstRows)) + " more rows; the CSV file has all"
	default:
		return "Show " + formatNumber(int64(n)) + " more rows"
	}
}

// Body returns the markup of the rows that are shown at once.
func (g *tableView) Body() template.HTML {
	if g.More() == "" {
		return rowsHTML(g.Rows)
	}
	return rowsHTML(g.Rows[:firstRows])
}

// Rest returns the markup of the other rows.
func (g *tableView) Rest() template.HTML { return rowsHTML(g.Rows[firstRows:]) }

// rowsHTML returns the markup of rows. Cells are most of a page, and a template would take
// ten times as long for them.
func rowsHTML(rows [][]tableCell) template.HTML {
	var b strings.Builder
	for _, line := range rows {
		b.WriteString("\n<tr>")
		for i, c := range line {
			c.write(&b, i == 0)
		}
		b.WriteString("</tr>")
	}
	return template.HTML(b.String())
}

// columnHead is the head of a column. Of its classes, n aligns to the right, g is for
// charts, and x is hidden in narrow windows.
type columnHead struct{ Text, Class string }

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
			if value == false {
				line[i].Text = "" // so that the others are easier to see
			}
		}
		g.Rows = append(g.Rows, line)
	}
	return g
}

// newColumnsView returns a view of some columns of a table.
func newColumnsView(t *stats.Table, columns ...stats.Column) *tableView {
	g := newTableView(t.Select(columns...))
	if i := slices.Index(columns, stats.ColInstallationShare); i >= 0 && !slices.Contains(columns, stats.ColShare) {
		g.Head[i].Text = stats.ColShare.Head // the column before names what it is of
	}
	return g
}

// whole shows all rows at once.
func (g *tableView) whole() *tableView {
	g.Whole = true
	return g
}

// wideOnly hides columns in narrow windows, by their heads.
func (g *tableView) wideOnly(columns ...stats.Column) *tableView {
	for i, head := range g.Head {
		if slices.ContainsFunc(columns, func(c stats.Column) bool { return c.Head == head.Text }) {
			g.Head[i].Class = strings.TrimSpace(head.Class + " x")
			for _, line := range g.Rows {
				line[i].Class = strings.TrimSpace(line[i].Class + " x")
			}
		}
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
