package pages

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"relcheck/checker/catalog"
)

// ManageData is the data of a page on which people manage something: sections from top to
// bottom.
type ManageData struct {
	Title    string
	Product  *catalog.Product // that the page is about, or nil
	Notice   Notice
	Sections []ManageSection
}

// Notice says what the last change has done. It is shown once.
type Notice struct {
	Text   string
	Secret string // a token or a link, which can be copied
}

// ManageSection is a part of a page. All fields are optional.
type ManageSection struct {
	ID      string // to link to
	Title   string
	Problem string // needs attention
	Texts   []string
	Manual  Action // page of the manual that says more, after the texts
	List    []string
	Grid    *Grid
	Empty   string // shown in place of a grid without rows
	Search  *Search
	Pager   *Pager
	Code    string // a text to copy
	Form    *Form
	Actions []Action
}

// ManualAfter reports whether the link to the manual is behind the text with an index.
func (s ManageSection) ManualAfter(text int) bool {
	return s.Manual.URL != "" && text == len(s.Texts)-1
}

// Action is a link to a page that changes something. Danger marks changes that clients notice,
// or that cannot be undone. Primary marks the main action of a page.
type Action struct {
	Text, URL       string
	Danger, Primary bool
}

// Grid is a table. The first cell of each row is its head.
type Grid struct {
	Caption string
	Head    []Column
	Rows    [][]Cell
}

// Column is the head of a column. Long ones have more room for their texts.
type Column struct {
	Text string
	Long bool
}

// Class returns the CSS class of the cells.
func (c Column) Class() string {
	if c.Long {
		return "long"
	}
	return ""
}

// Cell is a cell of a table: a text with more links behind it. Of completes the texts of
// these links for screen readers.
type Cell struct {
	Text, URL, Class string
	Code             bool
	Note             string // below the text
	Links            []Action
	Of               string
}

// Kind is the kind of a form field.
type Kind string

// The kinds of fields.
const (
	Line     Kind = ""         // a line of text
	Area     Kind = "area"     // lines of text
	Choice   Kind = "choice"   // one of several options
	Check    Kind = "check"    // a box, whose value is true or empty
	Computed Kind = "computed" // not shown
)

// Field is a field of a form.
type Field struct {
	Group             string // heading of the fields that follow each other with it, or empty
	Name, Label, Hint string
	Manual            Action // page of the manual that says more
	Kind              Kind
	Value             string
	Placeholder       string   // what an empty value means
	Options           []Option // of a choice
	MinRows           int      // least height of an area, in lines
	Required          bool
	Error             string // about the value
	ID                string // set when the page is rendered
	Focus             bool   // the same

	// Was identifies the value that the form had at first, so that the server recognizes
	// which fields have changed. It is empty if that does not matter.
	Was string
}

// Option is an option of a choice.
type Option struct{ Value, Text string }

// Form is a form that changes something.
type Form struct {
	Get     bool // sends no change, but shows the page with another query
	Error   string
	Failed  bool // the change was valid, but could not be stored
	Fields  []*Field
	Button  string
	Danger  bool // the button destroys something
	Primary bool // the button is the main action of the page; set when the page is rendered
	Cancel  string
	Address string // to send to, or empty for that of the page
	Inline  bool   // fields stand beside each other
}

// Invalid reports whether the form or one of its fields has an error.
func (f *Form) Invalid() bool {
	return f.Error != "" || slices.ContainsFunc(f.Fields, func(field *Field) bool { return field.Error != "" })
}

// FieldGroup is a part of a form.
type FieldGroup struct {
	Name   string // heading, or empty
	Fields []*Field
}

// Groups returns the fields of the form, in groups.
func (f *Form) Groups() (all []FieldGroup) {
	for _, field := range f.Fields {
		if last := len(all) - 1; last >= 0 && all[last].Name == field.Group {
			all[last].Fields = append(all[last].Fields, field)
		} else {
			all = append(all, FieldGroup{field.Group, []*Field{field}})
		}
	}
	return all
}

// Rows returns the height of an area, in lines. It has room for one line more.
func (f *Field) Rows() int {
	rows := strings.Count(cmp.Or(f.Value, f.Placeholder), "\n") + 1
	if f.Value != "" {
		rows++
	}
	return min(20, max(f.MinRows, rows))
}

// prepare makes the IDs of fields unique, focuses the first invalid one, and marks the first
// button that changes something and destroys nothing as the main one.
func (d *ManageData) prepare() {
	focused, primary := false, false
	for i, s := range d.Sections {
		if s.Form == nil {
			continue
		}
		s.Form.Primary = !primary && !s.Form.Get && !s.Form.Danger
		primary = primary || s.Form.Primary
		for _, f := range s.Form.Fields {
			f.ID = fmt.Sprintf("field-%d-%s", i, f.Name)
			f.Focus = f.Error != "" && !focused
			focused = focused || f.Focus
		}
		if s.Form.Error == "" && s.Form.Invalid() {
			s.Form.Error = "Nothing was changed. Correct the marked values."
		}
	}
}

type managePage struct {
	ManageData
	Tabs       []link
	Statistics string // URL of the pages about the product, or empty
}

// Manage renders a page on which people manage something.
func Manage(v Visitor, d ManageData) ([]byte, error) {
	d.prepare()
	page := managePage{ManageData: d, Tabs: v.manageTabs(d.Product)}
	title := d.Title
	if d.Product != nil && v.Overview {
		page.Statistics = v.Root + "/products/" + url.PathEscape(d.Product.Name)
	}
	if d.Product != nil {
		title += " of " + d.Product.Title
	}
	return render("manage", v, title, page)
}

// manageTabs returns links to the pages on which a product is managed, or the service if it
// is nil.
func (v Visitor) manageTabs(p *catalog.Product) []link {
	var all []link
	if p == nil {
		all = []link{{Text: "Products", URL: "/manage"}}
		if v.Admin {
			all = append(all, link{Text: "Tokens", URL: "/manage/tokens"}, link{Text: "Sites and keys", URL: "/manage/sites"}, link{Text: "Audit log", URL: "/manage/audit"})
		}
	} else {
		root := ManagePath(p.Name)
		all = []link{{Text: "Releases", URL: root + "/releases"}}
		if v.Admin {
			all = append(all, link{Text: "Settings", URL: root + "/settings"}, link{Text: "Channels", URL: root + "/channels"}, link{Text: "Upstreams", URL: root + "/upstreams"})
		}
	}
	path := v.Path
	switch { // pages whose paths are not below that of their tab
	case path == "/manage/products" || p == nil && strings.HasPrefix(path, "/manage/products/"):
		path = "/manage"
	case strings.HasPrefix(path, "/manage/keys/"):
		path = "/manage/sites"
	case p != nil && path == ManagePath(p.Name)+"/remove":
		path = ManagePath(p.Name) + "/settings"
	}
	for i, l := range all {
		all[i].Current, all[i].URL = l.URL == path || l.URL != "/manage" && strings.HasPrefix(path, strings.TrimSuffix(l.URL, "s")), v.Root+l.URL
	}
	return all
}

// ManagePath returns the path below which a product is managed.
func ManagePath(product string) string { return "/manage/products/" + url.PathEscape(product) }

// ReleaseGrid returns a table of all files of a release, with why each was chosen or not.
func ReleaseGrid(d ReleaseData) *Grid {
	g := &Grid{Caption: "Files", Head: []Column{{Text: "File", Long: true}, {Text: "Download for", Long: true}, {Text: "Why", Long: true}, {Text: "Size"}, {Text: "Status"}, {Text: "Checksum", Long: true}}}
	if !d.Serves {
		g.Head = append(g.Head[:4], g.Head[5])
	}
	why := d.reasons()
	for _, f := range d.fileRows() {
		sum := Cell{Text: unknown}
		if f.Sum != "" {
			sum = Cell{Text: f.Sum, Note: f.SumKind, URL: f.SumURL, Code: true}
		}
		row := []Cell{{Text: f.Name, URL: f.URL}, {Text: f.Platforms}, {Text: strings.Join(slices.Sorted(slices.Values(why[f.Name])), "; ")}, {Text: f.Size}}
		if d.Serves {
			row = append(row, Cell{Text: f.State, Class: "state " + f.Class})
		}
		g.Rows = append(g.Rows, append(row, sum))
	}
	return g
}

// reasons returns why each file is or is not a download, by the name of the file.
func (d *ReleaseData) reasons() map[string][]string {
	all := map[string][]string{}
	add := func(f *catalog.File, reason string) {
		name := f.Name
		if named := d.Release.NamedFiles(&d.Product).Of(f); named != nil {
			name = named.Name
		}
		if !slices.Contains(all[name], reason) {
			all[name] = append(all[name], reason)
		}
	}
	downloads := d.Release.Downloads(&d.Product)
	for platform, f := range downloads.ByPlatform() {
		add(f, downloads.Reason(platform))
	}
	for i := range downloads.Named {
		if reason := downloads.WhyNot(i); reason != "" {
			add(&downloads.Named[i], "not offered: "+reason)
		}
	}
	return all
}
