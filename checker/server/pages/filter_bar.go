package pages

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

// filterBar chooses the range and the filter. It is the same on all pages of the
// statistics.
type filterBar struct {
	Ranges                    []link
	Chosen                    string
	Open, Dates               bool // the whole filter, or its dates, are not folded
	RangeError                string
	FilterError               string
	From, To                  string
	RangeHidden, FilterHidden []formField
	Version                   string
	Versions                  []string
	OS, Arch                  []link   // Current if chosen
	Sites                     []choice // none if the product has counts of no site
	HasFilter                 bool
	Reset                     string
}

func (b *builder) filterBar(page string) *filterBar {
	q := b.Query
	p := &filterBar{
		Chosen: b.chosen(), From: b.invalid.value("from", q.From.String()), To: b.invalid.value("to", q.To.String()),
		RangeHidden: b.hiddenFields("days", "from", "to"), FilterHidden: b.hiddenFields("version", "os", "arch", "site"),
		Version: b.invalid.value("version", q.Version), HasFilter: q.Filter != stats.Filter{} || q.Site != "", Reset: b.link(page, map[string]string{"version": "", "os": "", "arch": "", "site": ""}),
	}
	p.RangeError = cmp.Or(b.invalid.formError("", "to"), b.invalid.formError("", "from"))
	p.FilterError = b.invalid.formError("", "version", "os", "arch", "site")
	p.Open, p.Dates = p.RangeError != "" || p.FilterError != "", p.RangeError != "" || q.LastDays == 0
	for _, days := range []struct{ number, text string }{{"7", "7 days"}, {"28", "28 days"}, {"90", "90 days"}, {"365", "1 year"}} {
		value := days.number
		if value == "28" {
			value = "" // the default
		}
		url := b.link(page, map[string]string{"days": value, "from": "", "to": ""})
		p.Ranges = append(p.Ranges, link{Text: days.text, URL: url, Current: p.RangeError == "" && days.number == strconv.Itoa(q.LastDays)})
	}
	versions, oses, arches := b.Seen()
	p.Versions = versions[:min(len(versions), maxRows)]
	p.OS, p.Arch = newChoices(oses, q.OS), newChoices(arches, q.Arch)
	p.Sites = b.siteChoices()
	return p
}

// choice is an option of a form.
type choice struct {
	Value, Text string
	Current     bool
}

// siteChoices returns the store itself and its sites.
func (b *builder) siteChoices() (all []choice) {
	if len(b.Sites) == 0 {
		return nil
	}
	all = append(all, choice{rollup.LocalSite, "this server", b.Query.Site == rollup.LocalSite})
	for _, s := range b.Sites {
		all = append(all, choice{s.Name, s.Name, b.Query.Site == s.Name})
	}
	return all
}

// chosen describes the dates and the filter, unless they are the default.
func (b *builder) chosen() string {
	var all []string
	if q := b.Query; q.LastDays == 0 {
		all = append(all, formatDay(q.From)+" to "+formatDay(q.To))
	}
	if text := strings.TrimPrefix(b.filterText(), " of "); text != "" {
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

// filterText describes the filter: " of version v1.2 on linux/amd64".
func (b *builder) filterText() string {
	var all []string
	if v := b.Query.Version; v != "" {
		all = append(all, "version "+v)
	}
	if b.Query.OS != "" || b.Query.Arch != "" {
		all = append(all, strings.Trim(b.Query.OS+"/"+b.Query.Arch, "/"))
	}
	if b.Query.Site != "" {
		all = append(all, "site "+b.Query.Site)
	}
	if len(all) == 0 {
		return ""
	}
	return " of " + strings.Join(all, " on ")
}

// newChoices returns a choice for each name, and for the chosen one.
func newChoices(all []string, chosen string) (links []link) {
	if chosen != "" && !slices.Contains(all, chosen) {
		all = append(all, chosen)
	}
	for _, name := range all {
		links = append(links, link{Text: name, Current: name == chosen})
	}
	return links
}
