package pages

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"net/url"
	"slices"
	"strconv"

	"relcheck/checker/catalog"
	"relcheck/checker/server/chart"
	"relcheck/checker/stats"
	"relcheck/checker/stats/public"
	"relcheck/checker/stats/rollup"
)

// PublicData is the data of the page with the public figures of a product. All of it is public.
type PublicData struct {
	Product   catalog.Product
	Latest    string             // the latest release, or ""
	Weeks     []*public.Document // newest first
	Shown     int                // index of the week that is shown
	Threshold int64              // of documents to come
	API       string             // URL of the documents
}

type publicPage struct {
	PublicData
	Tabs         []link
	Week         *public.Document // nil if there is none yet
	Period       string           // from the first to the last day of the week
	Lead         []string
	Warning      string // if figures of the week are missing, or empty
	Older, Newer string // URLs of the page of another week
	History      []*figure
	Figures      []*figure
	Method       []publicPoint
}

// weekHours is the number of hours that [public.Document.Hours] is of.
const weekHours = 7 * 24

type publicPoint struct{ Title, Text string }

// Public renders the page with the public figures of a product.
func Public(v Visitor, d PublicData) ([]byte, error) {
	page := publicPage{PublicData: d, Tabs: v.tabs(&d.Product, nil), Method: publicMethod(d.Threshold, nil)}
	if len(d.Weeks) > 0 {
		page.Week = d.Weeks[d.Shown]
		page.Method = publicMethod(page.Week.Threshold, page.Week)
		page.Period = formatDay(page.Week.Week()) + " to " + formatDay(page.Week.Week()+6)
		page.Lead = page.lead()
		if n := page.Week.Hours; n < weekHours {
			page.Warning = fmt.Sprintf("Only %d of the %d hours of the week were counted, so the figures are too low.", n, weekHours)
		}
		page.Figures = []*figure{page.table("Minor lines", "Line", "lines", page.Week.Lines), page.table("Operating systems", "OS", "os", page.Week.OS), page.table("Architectures", "Architecture", "arch", page.Week.Arch)}
		page.History = page.history()
		if d.Shown+1 < len(d.Weeks) {
			page.Older = Address(v.Root+v.Path, url.Values{"week": {d.Weeks[d.Shown+1].From}})
		}
		if d.Shown > 0 {
			page.Newer = Address(v.Root+v.Path, url.Values{"week": {d.Weeks[d.Shown-1].From}})
		}
	}
	return render("public", v, page.Product.Title, page)
}

func (p *publicPage) lead() (all []string) {
	text := "In the week from " + p.Period + ", "
	if n := p.Week.Networks; n != nil {
		text += "reports came from about " + plural(*n, "network", "networks") + " a day."
	} else {
		text += "reports came from fewer than " + plural(p.Week.Threshold, "network", "networks") + " a day."
	}
	all = append(all, text)
	if len(p.Week.Lines) > 0 {
		most := slices.MaxFunc(p.Week.Lines, func(a, b public.Figure) int { return cmp.Compare(a.Networks, b.Networks) })
		if most.Name != rollup.Other && p.Week.Networks != nil {
			all = append(all, "The most used minor line is "+most.Name+", with about "+formatNumber(most.Networks)+".")
		}
	}
	if p.Latest != "" {
		all = append(all, p.Latest+" is the latest release.")
	}
	return all
}

// table returns the figures of a table with bars.
func (p *publicPage) table(title, head, name string, figures []public.Figure) *figure {
	f := &figure{Name: name, Title: title, Half: true}
	f.JSON = p.API + "/" + p.Week.From
	f.CSV = f.JSON + "?format=csv"
	view := &tableView{Caption: title, Head: []columnHead{{Text: head}, {Text: "Networks a day", Class: "n"}}}
	most := int64(1)
	for _, one := range figures {
		most = max(most, one.Networks)
	}
	var bars []template.HTML
	for _, one := range figures {
		view.Rows = append(view.Rows, []tableCell{{Text: one.Name}, {Text: formatNumber(one.Networks), Class: "n"}})
		bars = append(bars, chart.Bar(float64(one.Networks)/float64(most), "ca"))
	}
	f.ChartTable = view.addCharts(2, "", bars)
	return f
}

// history returns charts of all weeks, oldest first. Weeks without a document are gaps.
func (p *publicPage) history() []*figure {
	weeks := slices.Clone(p.Weeks)
	slices.Reverse(weeks)
	if len(weeks) < 2 {
		return nil
	}
	total := publicSeries{"all", func(d *public.Document) (int64, bool) {
		if d.Networks == nil {
			return 0, false
		}
		return *d.Networks, true
	}}
	return []*figure{p.chart("history", "Networks a day, by week", weeks, total), p.chart("history-lines", "Networks a day by minor line", weeks, lineSeries(weeks)...)}
}

// publicSeries is a line of a chart. The function of returns the figure of a week, if it is
// known.
type publicSeries struct {
	name string
	of   func(*public.Document) (int64, bool)
}

// lineSeries returns the most used lines of the last week, newest first, and other for all
// lines that are shown besides.
func lineSeries(weeks []*public.Document) (all []publicSeries) {
	last := weeks[len(weeks)-1].Lines
	most := slices.Clone(last)
	slices.SortStableFunc(most, func(a, b public.Figure) int { return cmp.Compare(b.Networks, a.Networks) })
	most = slices.DeleteFunc(most, func(f public.Figure) bool { return f.Name == rollup.Other })
	most = most[:min(maxGroups, len(most))]
	colored := func(name string) bool {
		return slices.ContainsFunc(most, func(f public.Figure) bool { return f.Name == name })
	}
	sum := func(d *public.Document, of func(name string) bool) (n int64, known bool) {
		for _, f := range d.Lines {
			if of(f.Name) {
				n += f.Networks
			}
		}
		return n, len(d.Lines) > 0
	}
	for _, f := range last {
		if colored(f.Name) {
			all = append(all, publicSeries{f.Name, func(d *public.Document) (int64, bool) {
				return sum(d, func(name string) bool { return name == f.Name })
			}})
		}
	}
	return append(all, publicSeries{rollup.Other, func(d *public.Document) (int64, bool) {
		return sum(d, func(name string) bool { return !colored(name) })
	}})
}

func (p *publicPage) chart(name, title string, weeks []*public.Document, all ...publicSeries) *figure {
	first := weeks[0].Week()
	n := int(weeks[len(weeks)-1].Week()-first)/7 + 1
	c := chart.StackedArea{Frame: chart.Frame{Label: title, Height: 200, X: chart.DayTicks(first.Time(), 7*n)}, Titles: make([]string, n)}
	f := &figure{Name: name, Title: title, Half: true, JSON: p.API, CSV: p.API + "?format=csv", Table: &tableView{Caption: title, Head: []columnHead{{Text: "Week from"}}}}
	for i, s := range all {
		class := "c" + strconv.Itoa(i)
		switch {
		case s.name == rollup.Other:
			class = "cx"
		case len(all) == 1:
			class = "ca"
		}
		values := make([]float64, n)
		for at := range values {
			values[at] = math.NaN()
		}
		c.Series = append(c.Series, chart.Series{Class: class, Values: values})
		f.Table.Head = append(f.Table.Head, columnHead{s.name, "n"})
		if len(all) > 1 {
			f.Legend = append(f.Legend, legendItem{s.name, class})
		}
	}
	for i := range c.Titles {
		c.Titles[i] = formatDay(first+rollup.Day(7*i)) + "\nno figures"
	}
	most := 0.0
	for _, d := range weeks {
		at, sum := int(d.Week()-first)/7, 0.0
		c.Titles[at] = formatDay(d.Week()) + " to " + formatDay(d.Week()+6)
		row := []tableCell{{Text: formatDay(d.Week())}}
		for i, s := range all {
			text := unknown
			if v, known := s.of(d); known {
				c.Series[i].Values[at] = float64(v)
				sum += float64(v)
				text = formatNumber(v)
			}
			c.Titles[at] += "\n" + s.name + ": " + text
			row = append(row, tableCell{Text: text, Class: "n"})
		}
		most = max(most, sum)
		f.Table.Rows = append(f.Table.Rows, row)
	}
	c.Y, c.Max = countAxis(most)
	f.Chart = c.SVG()
	return f
}

// publicMethod explains the figures and what they guarantee, so that a reviewer can check it. d is
// the document that is shown, or nil.
func publicMethod(threshold int64, d *public.Document) []publicPoint {
	const scale = public.Scale
	// The noise z of a sum exceeds x with a probability of about exp(-x/scale)/2 on each side.
	within := math.Ceil(scale * math.Log(20) / 7) // 95 %
	deviation := scale * math.Sqrt2 / 7
	phantom := 2 * math.Exp((float64(threshold)-0.5)*7/scale)
	counted := ""
	if d != nil {
		counted = fmt.Sprintf(" In this week, %d of %d hours were counted.", d.Hours, weekHours)
	}
	return []publicPoint{
		{"What is counted", "A network is an IPv4 /24 or an IPv6 /48. On each UTC day, the first report of a network adds 1 to one cell of each of three tables: the minor line of its version, its operating system and its architecture. " +
			"A version that is not a published release counts as other. Only these sums are stored, and no network in any form."},
		{"Noise", fmt.Sprintf("The sum of seven days of every cell gets a random number of its own: z with a probability proportional to exp(−|z|/%d). That includes cells without any network: there is one for each published minor line, and for each operating system and architecture of Go. "+
			"A figure is the result divided by 7 and rounded. Figures below %d are not shown. The total is the sum of the noisy cells of all architectures.", scale, threshold)},
		{"Guarantee", "Take one network, one product and one week. Whether the network reported at all in that week, and what it reported, changes the probability of every possible document of the week by a factor of at most e, about 2.72. " +
			"That holds for every reader, also for one that knows or forges all other reports."},
		{"Why " + strconv.Itoa(scale), fmt.Sprintf("On each of 7 days the network adds 1 to one cell of each of 3 tables. If the day's set of networks is full, it also takes the place of one other network, which takes 1 from one cell of each table. With other reports, its 1 moves from one cell to another: these are two cells, too. "+
			"So the cells change by at most 7 × 3 × 2 = %d in sum, and their noise changes the probability by at most exp(%[1]d/%[1]d) = e.", scale)},
		{"One document", "The document of a week is made once, after 01:00 UTC on the Monday after it. It is shown from 02:00 on and never changes. The clock decides when it is made, also if there was no report. Then the sums are deleted. Page, JSON and CSV show the same figures, and nothing that is more exact."},
		{"What it does not cover", "The factors of several weeks multiply: if a network reports in k weeks, the factor is e to the power of k. The same is true of k products, of k networks of one user (IPv4 and IPv6 are two), and of k documents of one week, which are made if the operator restores a backup. " +
			"People with a token from the operator see exact counts of instances."},
		{"Precision", fmt.Sprintf("The noise of a figure has a standard deviation of %.1f networks, and is within ±%.0f in 95 of 100 cases. That of the total has a standard deviation of %.0f. A cell without networks is shown by chance in one of %s cases.", deviation, within, deviation*math.Sqrt(float64(len(public.Arches)+1)), formatNumber(int64(phantom)))},
		{"Forged reports", fmt.Sprintf("An attacker with m networks can move a figure by at most m. A server counts at most %s networks a day and product. An attacker with more networks can keep others out.", formatNumber(public.MaxNetworks))},
		{"Missed reports", "A server that restarts begins the day again, and of several servers or restarts the one that ran longest supplies the day. So figures are rather too low." + counted},
	}
}

// NewPublicSummary returns the summary of a product for visitors: from its public documents,
// the newest first, and a view without statistics.
func NewPublicSummary(v *stats.View, weeks []*public.Document) ProductSummary {
	o := ProductSummary{Name: v.Product.Name, Title: v.Product.Title, Latest: latestNote(v), Visitor: true}
	if len(weeks) == 0 {
		return o
	}
	value := "under " + formatNumber(weeks[0].Threshold)
	if n := weeks[0].Networks; n != nil {
		value = formatNumber(*n)
	}
	o.Tiles = []tile{{"Networks a day", value, "week from " + formatDay(weeks[0].Week())}}
	var values []float64
	for _, d := range slices.Backward(weeks) {
		n := 0.0
		if d.Networks != nil {
			n = float64(*d.Networks)
		}
		values = append(values, n)
	}
	if most := slices.Max(values); len(values) > 1 && most > 0 {
		o.SparkNote = "Networks a day by week since " + formatDay(weeks[len(weeks)-1].Week()) + ", at most " + formatNumber(int64(most))
		o.Spark = chart.Sparkline(values, o.SparkNote)
	}
	return o
}
