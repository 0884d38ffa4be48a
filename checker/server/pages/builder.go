package pages

import (
	"cmp"
	"html/template"
	"net/url"
	"slices"
	"strconv"

	"relcheck/checker/stats"
)

// tableFigure is one chart or table on a page, with where to get its data.
type figure struct {
	Name, Title string
	Chart       template.HTML
	ChartTable  *tableView // in the place of a chart
	Legend      []legendItem
	Table       *tableView
	Sources     []sourceLinks
	Form        *queryForm
	Answer      *stats.Answer
	Half        bool // has room beside another
}

// legendItem names a colour.
type legendItem struct{ Text, Class string }

// sourceLinks is where a table can be had from.
type sourceLinks struct{ Name, Text, CSV, JSON string }

// section is a section of a page: words, perhaps a question, and figures.
type section struct {
	ID, Title string
	Lead      []string
	Form      *queryForm
	Answer    *stats.Answer
	Figures   []*figure
}

// addFigures puts in those figures that there are.
func (p *section) addFigures(all ...*figure) {
	for _, f := range all {
		if f != nil {
			p.Figures = append(p.Figures, f)
		}
	}
}

// queryForm is a form that asks for more.
type queryForm struct {
	Anchor string // where on the page it stands
	Hidden []formField
	Fields []formField
	Button string
	Error  string // with what was asked last
}

// formField is one of a form.
type formField struct{ Label, Name, Value, List string }

// answerSentence is the sentence that a table has for a query, or nil.
func answerSentence(q stats.Query, t *stats.Table) *stats.Answer {
	if a := q.Answer(t, formatValue); a.Text != "" {
		return &a
	}
	return nil
}

// builder makes the figures of one view.
type builder struct {
	*stats.View
	public  bool
	tables  map[string]*stats.Table // that were asked for, by their names
	invalid InvalidParams
	byLine  bool              // versions are too many: charts show their minor lines
	colors  map[string]string // of versions, or of lines
	colored []string          // those that have a colour of their own, newest first
}

const (
	// maxColors is how many versions have one of their own.
	maxColors = 6
	// minColoredShare is which share of the ids they have to have, or else it is lines
	// that have the colours.
	minColoredShare = 0.6
)

func newBuilder(v *stats.View, public bool) *builder {
	b := &builder{View: v, public: public, tables: map[string]*stats.Table{}}
	if b.assignColors("versions", "version") < minColoredShare {
		versions := *b
		b.byLine = true
		if b.assignColors("lines", "line") == 0 {
			*b = versions
		}
	}
	return b
}

// Table is that of the view, filled once for all that show it. It is only read.
func (b *builder) Table(name string) *stats.Table {
	t, known := b.tables[name]
	if !known {
		t = b.View.Table(name)
		b.tables[name] = t
	}
	return t
}

// assignColors gives colours to what most ids run, and returns the share of those.
func (b *builder) assignColors(table, column string) (covered float64) {
	b.colors, b.colored = map[string]string{}, nil
	var all []row
	for r := range rows(b.Table(table)) {
		if r.text(column) != otherName {
			all = append(all, r)
		}
	}
	most := slices.Clone(all)
	slices.SortStableFunc(most, func(x, y row) int { return cmp.Compare(y.number("ids"), x.number("ids")) })
	least := int64(0)
	if len(most) > maxColors {
		least = most[maxColors-1].number("ids")
	}
	for _, r := range all {
		if r.number("ids") >= max(1, least) && len(b.colored) < maxColors {
			b.colors[r.text(column)] = "c" + strconv.Itoa(len(b.colored))
			b.colored = append(b.colored, r.text(column))
			covered += r.float("share")
		}
	}
	return covered
}

// otherName is what all that has no colour of its own is shown as.
const otherName = "other"

// series is what a version counts as in a chart.
func (b *builder) series(version string) string {
	if b.byLine {
		version = stats.Line(version)
	}
	if b.colors[version] == "" {
		return otherName
	}
	return version
}

// color is the class of the color of a version.
func (b *builder) color(version string) string { return cmp.Or(b.colors[b.series(version)], "cx") }

// seriesKind names what has the colours.
func (b *builder) seriesKind() string {
	if b.byLine {
		return "minor line"
	}
	return "version"
}

// tableFigure returns the figure that shows all of a table, or nil if there is none.
func (b *builder) tableFigure(name, title string) (*figure, *stats.Table) {
	f, t := b.emptyFigure(name, title)
	if f != nil {
		f.Table = newTableView(t)
	}
	return f, t
}

// emptyFigure is figure without what it shows.
func (b *builder) emptyFigure(name, title string) (*figure, *stats.Table) {
	t := b.Table(name)
	if t == nil || len(t.Rows) == 0 {
		return nil, nil
	}
	return &figure{Name: name, Title: title, Sources: []sourceLinks{b.sourceLinks(name, "")}}, t
}

// sourceLinks is where the API has a table for the same question.
func (b *builder) sourceLinks(name, text string) sourceLinks {
	path, values := "/api/v1/products/"+url.PathEscape(b.Product.Name)+"/stats/"+name, b.Query.Values()
	json := address(path, values)
	values.Set("format", "csv")
	return sourceLinks{name, text, address(path, values), json}
}

// hiddenFields are the parameters of the query that a form leaves as they are.
func (b *builder) hiddenFields(own ...string) (all []formField) {
	values := b.Query.Values()
	for _, name := range []string{"days", "from", "to", "version", "os", "arch", "below", "above", "compare"} {
		if v := values.Get(name); v != "" && !slices.Contains(own, name) {
			all = append(all, formField{Name: name, Value: v})
		}
	}
	return all
}

// link is the page with some parameters changed; those without a value are left out.
func (b *builder) link(change map[string]string) string {
	values := b.Query.Values()
	for name, value := range change {
		if value == "" {
			values.Del(name)
		} else {
			values.Set(name, value)
		}
	}
	return address("/products/"+url.PathEscape(b.Product.Name), values)
}

// countAndShare writes a number of them with their share: 1,234 ids (12.3 %).
func countAndShare(n int64, share float64) string {
	return plural(n, "instance", "instances") + " (" + formatShare(share) + ")"
}
