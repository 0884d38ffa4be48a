package pages

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/stats"
)

type productPage struct {
	Product  catalog.Product
	Tabs     []link
	Errors   []*invalidParam // of parameters, for the top of the page
	Empty    bool            // the product has no reports and no checks
	Latest   string
	Preview  string // see [stats.View]
	Base     string
	Picker   *queryPicker
	Lead     []string
	Tiles    []tile
	DataNote string
	About    []string
	Sections []section
}

type tile struct{ Name, Value, Change string }

// ProductData is the data of a product's statistics page.
type ProductData struct {
	View    *stats.View
	Base    string        // URL of the service
	Invalid InvalidParams // parameters that the view ignores
}

// Product renders the statistics page of a product.
func Product(v Visitor, d ProductData) ([]byte, error) {
	page := newProductPage(newBuilder(d.View, v.Root, d.Invalid))
	page.Base, page.Tabs = d.Base, v.tabs(&page.Product)
	return render("product", v, page.Product.Title, page)
}

// Address returns a path with query parameters, if there are any.
func Address(path string, values url.Values) string {
	if len(values) == 0 {
		return path
	}
	return path + "?" + values.Encode()
}

func newProductPage(b *builder) *productPage {
	p := &productPage{Product: b.Product, Latest: b.Latest, Preview: b.Preview, Empty: b.Known.Days() == 0}
	if !p.Empty {
		p.Picker, p.Tiles, p.DataNote, p.About, p.Lead = b.queryPicker(), b.summaryTiles(), b.dataNote(), aboutNumbers, b.introduction()
		p.Sections = slices.DeleteFunc(b.sections(), func(one section) bool { return len(one.Figures) == 0 })
	}
	p.Errors = b.invalid.pageErrors()
	return p
}

// sections returns the sections of the page. If there are only checks, their number is
// all that is known.
func (b *builder) sections() []section {
	switch {
	case b.total() > 0:
		return []section{b.adoptionSection(), b.versionsSection(), b.supportSection(), b.behindSection(), b.platformsSection(), b.memorySection(), b.activitySection()}
	case b.checks() > 0:
		return []section{b.activitySection()}
	}
	return nil
}

func (b *builder) total() (n int64) {
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

func (b *builder) summaryTiles() (all []tile) {
	for r := range b.Table("summary").All() {
		name, last := r.Text(stats.ColPeriod), b.Query.To
		if b.total() == 0 && b.checks() > 0 && r.Number(stats.ColBefore) == 0 {
			continue // there are only checks
		}
		switch days := b.Query.Range.Days(); {
		case name == stats.WholeRange && (days == 1 || days == 7 || days == 28):
			continue
		case name == stats.WholeRange:
			name = "Instances in " + formatNumber(int64(days)) + " days"
		case name == stats.LastDay && last == b.Today:
			name = "Instances today so far"
		case name == stats.LastDay:
			name = "Instances on the last day"
		default:
			name = "Instances in " + name
		}
		all = append(all, tile{name, show(r, stats.ColInstances), b.change(r)})
	}
	if n := b.checks(); n > 0 {
		all = append(all, tile{"Checks", formatNumber(n), "in " + plural(int64(b.Query.Range.Days()), "day", "days")})
	}
	for r := range b.Table("latest").All() {
		name := map[string]string{stats.LatestRelease: "On the latest release", stats.LatestLine: "On the latest line"}[r.Text(stats.ColWhat)]
		if name != "" && b.Latest != "" && b.total() > 0 {
			all = append(all, tile{name, show(r, stats.ColShare), r.Text(stats.ColVersion)})
		}
	}
	return all
}

// change compares a row of the summary with the days before. It does not compare today,
// which is not over.
func (b *builder) change(r stats.Row) string {
	switch {
	case !r.Known(stats.ColChange):
		return ""
	case r.Text(stats.ColPeriod) == stats.LastDay && b.Query.To == b.Today:
		return show(r, stats.ColBefore) + " the day before"
	}
	return show(r, stats.ColChange) + " from " + show(r, stats.ColBefore)
}

func (b *builder) introduction() (all []string) {
	r, ok := b.period(stats.WholeRange)
	if !ok {
		return nil
	}
	days := "In the " + plural(int64(b.Query.Range.Days()), "day", "days") + " to " + formatDay(b.Query.To) + ", "
	if b.Query.Range.Days() == 1 {
		days = "On " + formatDay(b.Query.To) + ", "
	}
	switch checks := b.checks(); {
	case b.total() == 0 && checks > 0:
		return []string{days + "no instances reported" + b.filterText() + ", but there were " + plural(checks, "check", "checks") + ".", "A check is a request for the latest release by a client that does not report."}
	case b.total() == 0:
		return []string{days + "no instances reported" + b.filterText() + ".", "Try a longer range or fewer filters."}
	}
	all = append(all, days+plural(r.Number(stats.ColInstances), "instance", "instances")+" reported"+b.filterText()+".")
	for l := range b.Table("latest").All() {
		switch {
		case l.Text(stats.ColWhat) == stats.LatestRelease && l.Text(stats.ColVersion) != "":
			all = append(all, show(l, stats.ColShare)+" ran the latest release, "+l.Text(stats.ColVersion)+", or newer.")
		case l.Text(stats.ColWhat) == stats.Older && b.Latest != "" && l.Number(stats.ColInstances) > 0:
			all = append(all, show(l, stats.ColShare)+" ran a version older than "+b.Line(b.Latest)+".")
		case l.Text(stats.ColWhat) == stats.WithdrawnRelease && l.Number(stats.ColInstances) > 0:
			all = append(all, show(l, stats.ColShare)+" ran a withdrawn release.")
		}
	}
	return all
}

func (b *builder) filterText() string {
	var all []string
	if v := b.Query.Version; v != "" {
		all = append(all, "version "+v)
	}
	if b.Query.OS != "" || b.Query.Arch != "" {
		all = append(all, strings.Trim(b.Query.OS+"/"+b.Query.Arch, "/"))
	}
	if len(all) == 0 {
		return ""
	}
	return " of " + strings.Join(all, " on ")
}

func (b *builder) dataNote() string {
	text := "An instance is one running process; a restart is a new instance."
	if !b.AsOf.IsZero() {
		text = "As of " + b.AsOf.UTC().Format("2"+nbsp+"January"+nbsp+"2006, 15:04") + nbsp + "UTC. " + text
	}
	return text
}

// queryPicker is the part of the page that chooses the period and the filter.
type queryPicker struct {
	Ranges                    []link
	RangeError                string
	FilterError               string
	CustomRange               bool
	From, To                  string
	RangeHidden, FilterHidden []formField
	Version                   string
	Versions                  []string
	OS, Arch                  []link // Current if chosen
	HasFilter                 bool
	Reset                     string
}

func (b *builder) queryPicker() *queryPicker {
	q := b.Query
	p := &queryPicker{
		CustomRange: q.LastDays == 0, From: b.invalid.value("from", q.From.String()), To: b.invalid.value("to", q.To.String()),
		RangeHidden: b.hiddenFields("days", "from", "to"), FilterHidden: b.hiddenFields("version", "os", "arch"),
		Version: b.invalid.value("version", q.Version), HasFilter: q.Filter != stats.Filter{}, Reset: b.link(map[string]string{"version": "", "os": "", "arch": ""}),
	}
	p.RangeError = cmp.Or(b.invalid.formError("", "to"), b.invalid.formError("", "from"))
	p.FilterError = b.invalid.formError("", "version", "os", "arch")
	p.CustomRange = p.CustomRange || p.RangeError != ""
	for _, days := range []struct{ number, text string }{{"7", "7 days"}, {"28", "28 days"}, {"90", "90 days"}, {"365", "1 year"}} {
		value := days.number
		if value == "28" {
			value = "" // the default
		}
		url := b.link(map[string]string{"days": value, "from": "", "to": ""})
		p.Ranges = append(p.Ranges, link{days.text, url, !p.CustomRange && days.number == strconv.Itoa(q.LastDays)})
	}
	for r := range b.Table("lines").All() {
		if r.Text(stats.ColLine) != "other" {
			p.Versions = append(p.Versions, r.Text(stats.ColLine))
		}
	}
	for r := range b.Table("versions").All() {
		p.Versions = append(p.Versions, r.Text(stats.ColVersion))
	}
	p.Versions = p.Versions[:min(len(p.Versions), maxRows)]
	p.OS, p.Arch = platformChoices(q)
	return p
}

// platformChoices returns all operating systems and architectures, common ones first.
func platformChoices(q stats.Query) (os, arch []link) {
	oses, arches := []string{"linux", "darwin", "windows"}, []string{"amd64", "arm64"}
	all := checker.Platforms()
	slices.SortFunc(all, func(a, b checker.Platform) int { return strings.Compare(a.String(), b.String()) })
	for _, p := range append(all, checker.Other) {
		oses, arches = append(oses, p.OS), append(arches, p.Arch)
	}
	return newChoices(oses, q.OS), newChoices(arches, q.Arch)
}

func newChoices(all []string, chosen string) (links []link) {
	for i, name := range all {
		if !slices.Contains(all[:i], name) {
			links = append(links, link{Text: name, Current: name == chosen})
		}
	}
	return links
}
