package pages

import (
	"net/url"
	"slices"

	"relcheck/checker/catalog"
	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

// Sections are the names of the pages of a product's statistics below its overview. The
// last one has all sections, to print them.
var Sections = []string{"versions", "platforms", "memory", "activity", "print"}

type productPage struct {
	Product  catalog.Product
	Tabs     []link
	Errors   []*invalidParam // of parameters, for the top of the page
	Empty    bool            // the product has no reports and no checks
	Latest   string
	Preview  string // see [stats.View]
	Base     string
	Bar      *filterBar // nil if all sections are shown
	Print    string     // URL of all sections
	Subtitle string     // the range and filter, if there is no filter bar
	Days     string     // which days the figures cover
	Lead     []string   // if there is nothing else to show
	DataNote string
	About    []string
	Sections []section
}

// ProductData is the data of a page of a product's statistics.
type ProductData struct {
	View    *stats.View
	Base    string        // URL of the service
	Section string        // one of [Sections], or empty for the overview
	Invalid InvalidParams // parameters that the view ignores
}

// Product renders a page of the statistics of a product.
func Product(v Visitor, d ProductData) ([]byte, error) {
	b := newBuilder(d.View, v.Root, d.Invalid)
	page := b.productPage(d.Section)
	page.Base, page.Tabs = d.Base, v.tabs(&page.Product, b.Query.Values())
	title := page.Product.Title
	if len(page.Sections) == 1 && d.Section != "" {
		title = page.Sections[0].Title + " of " + title
	}
	return render("product", v, title, page)
}

// Address returns a path with query parameters, if there are any.
func Address(path string, values url.Values) string {
	if len(values) == 0 {
		return path
	}
	return path + "?" + values.Encode()
}

func (b *builder) productPage(name string) *productPage {
	p := &productPage{Product: b.Product, Latest: b.Latest, Preview: b.Preview, Empty: b.Known.Days() == 0, Print: b.link("print", nil)}
	if p.Empty {
		p.Errors = b.invalid.pageErrors()
		return p
	}
	if p.DataNote = b.dataNote(); name == "print" {
		p.Subtitle = b.rangeText() + b.filterText()
	} else {
		p.Bar = b.filterBar(name)
	}
	p.Days = b.daysText()
	if name == "" || name == "print" {
		p.About = aboutNumbers
		if b.Remembers() {
			p.About = slices.Concat(aboutInstallations, aboutNumbers)
		}
	}
	p.Sections = b.sections(name)
	p.Sections = slices.DeleteFunc(p.Sections, func(s section) bool { return len(s.Figures) == 0 && len(s.Cards) == 0 && len(s.Lead) == 0 })
	if len(p.Sections) == 0 {
		p.Lead = b.nothing()
	}
	p.Errors = b.invalid.pageErrors()
	return p
}

// sections returns a section, or all of them for print. If there are only checks, their
// number is all that is known.
func (b *builder) sections(name string) (all []section) {
	if !b.reported() {
		if b.checks() > 0 && (name == "" || name == "activity" || name == "print") {
			all = append(all, b.activitySection())
		}
		return all
	}
	for _, one := range []struct {
		name  string
		build func() section
	}{{"", b.overviewSection}, {"versions", b.versionsSection}, {"platforms", b.platformsSection}, {"memory", b.memorySection}, {"activity", b.activitySection}} {
		if one.name == name || name == "print" {
			built := one.build()
			built.fillRows()
			all = append(all, built)
		}
	}
	return all
}

// reported reports whether there were reports, and not only checks.
func (b *builder) reported() bool { return b.Remembers() || b.instances() > 0 }

// instances returns the number of instances in the range, or in its last days.
func (b *builder) instances() (n int64) {
	for r := range b.Table("summary").All() {
		n = max(n, r.Number(stats.ColInstances))
	}
	return n
}

func (b *builder) checks() int64 {
	r, ok := b.period(stats.WholeRange)
	if !ok {
		return 0
	}
	return r.Number(stats.ColChecks)
}

func (b *builder) period(name string) (stats.Row, bool) {
	for r := range b.Table("summary").All() {
		if r.Text(stats.ColPeriod) == name {
			return r, true
		}
	}
	return stats.Row{}, false
}

// rangeText describes the range: "In the 28 days to 29 Nov 2026".
func (b *builder) rangeText() string {
	if b.Query.Range.Days() == 1 {
		return "On " + formatDay(b.Query.To)
	}
	return "In the " + plural(int64(b.Query.Range.Days()), "day", "days") + " to " + formatDay(b.Query.To)
}

// daysText describes which days the figures cover, unless that is a single day.
func (b *builder) daysText() string {
	what, days, today := "Figures cover ", rollup.Range{From: max(b.Query.From, b.Known.From), To: b.Query.To}, "Charts by day leave today out."
	if b.Remembers() {
		what, today = "Charts and shares cover ", "Heaps, reports and checks include today."
		days = rollup.Range{From: max(days.From, b.Remembered.From), To: min(days.To, b.Today-1)}
	}
	if !b.reported() || days.Days() < 2 {
		return ""
	}
	text := what + formatDay(days.From) + " to " + formatDay(days.To) + "."
	if b.Query.To == b.Today {
		text += " " + today
	}
	return text
}

// nothing explains why there is nothing to show.
func (b *builder) nothing() []string {
	switch checks := b.checks(); {
	case b.reported():
		return []string{b.rangeText() + ", no instances" + b.filterText() + " reported what this page shows."}
	case checks > 0:
		return []string{b.rangeText() + ", no instances reported" + b.filterText() + ", but there were " + plural(checks, "check", "checks") + ".", aboutChecks}
	}
	return []string{b.rangeText() + ", no instances reported" + b.filterText() + ".", "Try a longer range or fewer filters."}
}

func (b *builder) dataNote() string {
	text := "An instance is one running process; a restart is a new instance."
	if b.Remembers() {
		text = "An installation is a place in which a program remembers its last answer."
	}
	if !b.AsOf.IsZero() {
		text = "As of " + b.AsOf.UTC().Format("2"+nbsp+"January"+nbsp+"2006, 15:04") + nbsp + "UTC. " + text
	}
	return text
}
