package pages

import (
	"cmp"
	"html/template"
	"net/url"
	"slices"
	"strconv"

	"relcheck/checker/stats"
)

// figure is one chart or table on a page, with where to get its data.
type figure struct {
	Name, Title, Note string
	Chart             template.HTML
	Mix               *grid // in the place of a chart
	Legend            []legend
	Grid              *grid
	Sources           []origin
	Ask               *ask
	Answer            *stats.Answer
	Half              bool // has room beside another
}

// legend names a colour.
type legend struct{ Text, Class string }

// origin is where a table can be had from.
type origin struct{ Name, Text, CSV, JSON string }

// part is a section of a page: words, perhaps a question, and figures.
type part struct {
	ID, Title string
	Lead      []string
	Ask       *ask
	Answer    *stats.Answer
	Figures   []*figure
}

// add puts in those figures that there are.
func (p *part) add(all ...*figure) {
	for _, f := range all {
		if f != nil {
			p.Figures = append(p.Figures, f)
		}
	}
}

// ask is a form that asks for more.
type ask struct {
	Anchor string // where on the page it stands
	Hidden []field
	Fields []field
	Button string
	Wrong  string // with what was asked last
}

// field is one of a form.
type field struct{ Label, Name, Value, List string }

// answerTo is the sentence that a table has for a query, or nil.
func answerTo(q stats.Query, t *stats.Table) *stats.Answer {
	if a := q.Answer(t, show); a.Text != "" {
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
	colour  map[string]string // of versions, or of lines
	top     []string          // those that have a colour of their own, newest first
}

const (
	// colours is how many versions have one of their own.
	colours = 6
	// enough is which share of the ids they have to have, or else it is lines
	// that have the colours.
	enough = 0.6
)

func newBuilder(v *stats.View, public bool) *builder {
	b := &builder{View: v, public: public, tables: map[string]*stats.Table{}}
	if b.paint("versions", "version") < enough {
		versions := *b
		b.byLine = true
		if b.paint("lines", "line") == 0 {
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

// paint gives colours to what most ids run, and returns the share of those.
func (b *builder) paint(table, column string) (covered float64) {
	b.colour, b.top = map[string]string{}, nil
	var all []row
	for r := range rows(b.Table(table)) {
		if r.text(column) != other {
			all = append(all, r)
		}
	}
	most := slices.Clone(all)
	slices.SortStableFunc(most, func(x, y row) int { return cmp.Compare(y.number("ids"), x.number("ids")) })
	least := int64(0)
	if len(most) > colours {
		least = most[colours-1].number("ids")
	}
	for _, r := range all {
		if r.number("ids") >= max(1, least) && len(b.top) < colours {
			b.colour[r.text(column)] = "c" + strconv.Itoa(len(b.top))
			b.top = append(b.top, r.text(column))
			covered += r.float("share")
		}
	}
	return covered
}

// other is what all that has no colour of its own is shown as.
const other = "other"

// band is what a version counts as in a chart.
func (b *builder) band(version string) string {
	if b.byLine {
		version = stats.Line(version)
	}
	if b.colour[version] == "" {
		return other
	}
	return version
}

// class is the colour of a version.
func (b *builder) class(version string) string { return cmp.Or(b.colour[b.band(version)], "cx") }

// painted names what has the colours.
func (b *builder) painted() string {
	if b.byLine {
		return "minor line"
	}
	return "version"
}

// figure returns the figure that shows all of a table, or nil if there is none.
func (b *builder) figure(name, title string) (*figure, *stats.Table) {
	f, t := b.frame(name, title)
	if f != nil {
		f.Grid = newGrid(t)
	}
	return f, t
}

// frame is figure without what it shows.
func (b *builder) frame(name, title string) (*figure, *stats.Table) {
	t := b.Table(name)
	if t == nil || len(t.Rows) == 0 {
		return nil, nil
	}
	return &figure{Name: name, Title: title, Note: sentence(t.Note), Sources: []origin{b.origin(name, "")}}, t
}

// origin is where the API has a table for the same question.
func (b *builder) origin(name, text string) origin {
	path, values := "/api/v1/products/"+url.PathEscape(b.Product.Name)+"/stats/"+name, b.Query.Values()
	json := address(path, values)
	values.Set("format", "csv")
	return origin{name, text, address(path, values), json}
}

// hidden are the parameters of the query that a form leaves as they are.
func (b *builder) hidden(own ...string) (all []field) {
	values := b.Query.Values()
	for _, name := range []string{"days", "from", "to", "version", "os", "arch", "below", "above", "compare"} {
		if v := values.Get(name); v != "" && !slices.Contains(own, name) {
			all = append(all, field{Name: name, Value: v})
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

// ids writes a number of them with their share: 1,234 ids (12.3 %).
func ids(n int64, share float64) string {
	return plural(n, "id", "ids") + " (" + showShare(share) + ")"
}
