package pages

import (
	"cmp"
	"html/template"
	"net/url"
	"slices"
	"strconv"

	"relcheck/checker/stats"
)

type figure struct {
	Name, Title string
	Chart       template.HTML
	ChartTable  *tableView // a table with bars, shown in place of a chart
	Legend      []legendItem
	Table       *tableView
	CSV, JSON   string // URLs of the table in the API
	Form        *queryForm
	Answer      stats.Answer
	Half        bool // is half as wide as the page
}

// legendItem names the series of a color.
type legendItem struct{ Text, Class string }

// section is a section of a product's page: text, an optional form, and figures.
type section struct {
	ID, Title string
	Lead      []string
	Form      *queryForm
	Answer    stats.Answer
	Figures   []*figure
}

func (p *section) addFigures(all ...*figure) {
	for _, f := range all {
		if f != nil {
			p.Figures = append(p.Figures, f)
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

// builder builds the sections of a product's page from a view.
type builder struct {
	*stats.View
	root    string                  // see [Visitor]
	tables  map[string]*stats.Table // filled so far, by name
	invalid InvalidParams
	byLine  bool              // charts show minor lines, because there are too many versions
	colors  map[string]string // classes of versions, or of minor lines
	colored []string          // versions or lines with a color, newest first
}

const (
	// maxColors is the number of versions with a color of their own.
	maxColors = 6
	// minColoredShare is the minimum share of instances that these versions have.
	// Otherwise minor lines have the colors.
	minColoredShare = 0.6
)

func newBuilder(v *stats.View, root string, invalid InvalidParams) *builder {
	b := &builder{View: v, root: root, invalid: invalid, tables: map[string]*stats.Table{}}
	if b.assignColors("versions", stats.ColVersion) < minColoredShare {
		versions := *b
		b.byLine = true
		if b.assignColors("lines", stats.ColLine) == 0 {
			*b = versions
		}
	}
	return b
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

// assignColors gives colors to the most used versions or lines, and returns the share of
// instances that run them.
func (b *builder) assignColors(table string, column stats.Column) (covered float64) {
	b.colors, b.colored = map[string]string{}, nil
	var all []stats.Row
	for r := range b.Table(table).All() {
		if r.Text(column) != otherName {
			all = append(all, r)
		}
	}
	most := slices.Clone(all)
	slices.SortStableFunc(most, func(x, y stats.Row) int {
		return cmp.Compare(y.Number(stats.ColInstances), x.Number(stats.ColInstances))
	})
	least := int64(0)
	if len(most) > maxColors {
		least = most[maxColors-1].Number(stats.ColInstances)
	}
	for _, r := range all {
		if r.Number(stats.ColInstances) >= max(1, least) && len(b.colored) < maxColors {
			b.colors[r.Text(column)] = "c" + strconv.Itoa(len(b.colored))
			b.colored = append(b.colored, r.Text(column))
			covered += r.Float(stats.ColShare)
		}
	}
	return covered
}

// otherName is the series of everything without a color of its own.
const otherName = "other"

// series returns the series of a version in charts.
func (b *builder) series(version string) string {
	if b.byLine {
		version = b.Line(version)
	}
	if b.colors[version] == "" {
		return otherName
	}
	return version
}

func (b *builder) color(version string) string { return cmp.Or(b.colors[b.series(version)], "cx") }

// seriesKind returns what has colors.
func (b *builder) seriesKind() string {
	if b.byLine {
		return "minor line"
	}
	return "version"
}

// tableFigure returns a figure with a whole table, or nil if the table has no rows.
func (b *builder) tableFigure(name, title string) (*figure, *stats.Table) {
	f, t := b.emptyFigure(name, title)
	if f != nil {
		f.Table = newTableView(t)
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

// hiddenFields returns the parameters of the query, except a form's own.
func (b *builder) hiddenFields(own ...string) (all []formField) {
	values := b.Query.Values()
	for _, name := range []string{"days", "from", "to", "version", "os", "arch", "below", "above", "compare"} {
		if v := values.Get(name); v != "" && !slices.Contains(own, name) {
			all = append(all, formField{Name: name, Value: v})
		}
	}
	return all
}

// link returns the URL of the page with some parameters changed, or removed if empty.
func (b *builder) link(change map[string]string) string {
	values := b.Query.Values()
	for name, value := range change {
		if value == "" {
			values.Del(name)
		} else {
			values.Set(name, value)
		}
	}
	return Address(b.root+"/products/"+url.PathEscape(b.Product.Name), values)
}

// countAndShare formats a number of instances: 1,234 instances (12.3 %).
func countAndShare(n int64, share float64) string {
	return plural(n, "instance", "instances") + " (" + formatShare(share) + ")"
}
