package pages

import (
	"html/template"
	"net/url"
	"slices"

	"relcheck/checker/stats"
)

// figure is a chart, a table, or both, with its data in other formats.
type figure struct {
	Name, Title string
	Lead        string
	Chart       template.HTML
	ChartTable  *tableView // a table with bars, shown in place of a chart
	Legend      []legendItem
	Table       *tableView
	TableTitle  string // of the table below a chart; empty for the usual one
	CSV, JSON   string // URLs of the table in the API
	Form        *queryForm
	Answer      stats.Answer
	Half        bool // is half as wide as the page
}

// legendItem names the series of a color.
type legendItem struct{ Text, Class string }

// section is a part of the statistics with a page of its own.
type section struct {
	ID, Title string
	Lead      []string
	Cards     []card
	Figures   []*figure
}

func (p *section) addFigures(all ...*figure) {
	for _, f := range all {
		if f != nil {
			p.Figures = append(p.Figures, f)
		}
	}
}

// addHalves adds figures of half the width of the page.
func (p *section) addHalves(all ...*figure) {
	for _, f := range all {
		if f != nil {
			f.Half = true
		}
	}
	p.addFigures(all...)
}

// fillRows widens figures of half the width that would have an empty half beside them.
func (p *section) fillRows() {
	halves := 0
	for i, f := range p.Figures {
		if !f.Half {
			halves = 0
			continue
		}
		halves++
		if last := i+1 == len(p.Figures) || !p.Figures[i+1].Half; last && halves%2 == 1 {
			f.Half = false
		}
	}
}

// queryForm is a form that sets parameters of the query.
type queryForm struct {
	Anchor string // ID of the element that the form belongs to
	Hidden []formField
	Fields []formField
	Button string
	Error  string // about the values that were sent
}

// formField is an input field. List is the ID of a list of suggestions.
type formField struct{ Label, Name, Value, List string }

// builder builds the sections of a product's statistics from a view.
type builder struct {
	*stats.View
	root    string                  // see [Visitor]
	tables  map[string]*stats.Table // filled so far, by name
	invalid InvalidParams
	series  *series
}

func newBuilder(v *stats.View, root string, invalid InvalidParams) *builder {
	return &builder{View: v, root: root, invalid: invalid, tables: map[string]*stats.Table{}, series: newSeries(v)}
}

// Table returns a table of the view, which is filled once and only read.
func (b *builder) Table(name string) *stats.Table {
	t, known := b.tables[name]
	if !known {
		t = b.View.Table(name)
		b.tables[name] = t
	}
	return t
}

// launchKind returns what the series of charts are.
func (b *builder) launchKind() string {
	if b.ByLine() {
		return "minor line"
	}
	return "version"
}

// tableFigure returns a figure with a whole table, or nil if the table has no rows.
func (b *builder) tableFigure(name, title string) (*figure, *stats.Table) {
	f, t := b.emptyFigure(name, title)
	if f != nil {
		f.Table = newTableView(t.Shown())
	}
	return f, t
}

// emptyFigure returns a figure about a table without its content, or nil if the table has
// no rows.
func (b *builder) emptyFigure(name, title string) (*figure, *stats.Table) {
	t := b.Table(name)
	if t == nil || len(t.Rows) == 0 {
		return nil, nil
	}
	path, values := b.root+"/api/v1/products/"+url.PathEscape(b.Product.Name)+"/stats/"+name, b.Query.Values()
	f := &figure{Name: name, Title: title, JSON: Address(path, values)}
	values.Set("format", "csv")
	f.CSV = Address(path, values)
	return f, t
}

// firstDay reports whether all that is known is of the current day. There are no charts over
// time then.
func (b *builder) firstDay() bool { return b.Known.From >= b.Today }

// finishedDays returns a table without the current day, whose counts still grow, unless it
// is the only one.
func (b *builder) finishedDays(t *stats.Table) *stats.Table {
	finished := t.Filter(func(r stats.Row) bool { return r.Day(stats.ColDay) < b.Today })
	if len(finished.Rows) == 0 {
		return t
	}
	return finished
}

// hiddenFields returns the parameters of the query, except a form's own.
func (b *builder) hiddenFields(own ...string) (all []formField) {
	values := b.Query.Values()
	for _, name := range []string{"days", "from", "to", "version", "os", "arch", "site", "below", "above", "compare"} {
		if v := values.Get(name); v != "" && !slices.Contains(own, name) {
			all = append(all, formField{Name: name, Value: v})
		}
	}
	return all
}

// link returns the URL of a page of the product with some parameters of the query changed,
// or removed if empty.
func (b *builder) link(page string, change map[string]string) string {
	values := b.Query.Values()
	for name, value := range change {
		if value == "" {
			values.Del(name)
		} else {
			values.Set(name, value)
		}
	}
	path := b.root + "/products/" + url.PathEscape(b.Product.Name)
	if page != "" {
		path += "/" + page
	}
	return Address(path, values)
}

// countAndShare formats a number of what the view counts, see [stats.CountAndShare].
func (b *builder) countAndShare(n, share float64) string {
	return stats.CountAndShare(n, share, b.Remembers(), formatValue)
}
