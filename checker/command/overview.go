package command

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

const (
	// twoColumns is the minimum width for tables side by side.
	twoColumns = 110
	// Maximum numbers of rows, so that an overview fits on a screen of 40 lines.
	mostVersions, mostPlatforms, mostHeaps, mostChecks = 8, 5, 3, 2
	// chartLines is the height of the chart, which is that of the headline.
	chartLines = 4
)

// overview shows the most important statistics on one screen.
func (s *screen) overview(v *stats.View) block {
	all := append(s.title(v), text{})
	versions := v.Table("versions")
	daily := v.Table("daily")
	switch checks := sumOf[int64](daily.Rows, daily.Index(stats.ColChecks)); {
	case len(versions.Rows) == 0 && checks > 0:
		all = append(append(append(all, s.headline(v)...), text{}), s.checks(v, mostVersions)...)
		return append(append(all, text{}), plain("No instances, but "+stats.ShowNumber(checks)+" checks: requests for the latest release without an instance ID.")...)
	case len(versions.Rows) == 0:
		return append(all, plain("No reports in this range match the filter.",
			"There are statistics from "+v.Known.From.String()+" to "+v.Known.To.String()+".")...)
	}
	all = append(append(all, s.headline(v)...), text{})
	width, side := s.width, s.fancy && s.width >= twoColumns
	if side {
		width = (s.width - 2*gap) / 2
	}
	columns := []stats.Column{stats.ColVersion, stats.ColInstances, stats.ColShare, stats.ColHeapP95}
	if versions.Any(stats.ColWithdrawn) {
		columns = append(columns, stats.ColWithdrawn)
	}
	left := s.rows(top(versions, mostVersions, columns...), width)
	right := s.rows(top(platformNames(v.Table("platforms")), mostPlatforms, colPlatform, stats.ColInstances, stats.ColShare, stats.ColHeapP95), width)
	heaps := s.rows(topHeaps(v.Table("heap")), 0)
	if side {
		all = append(all, beside(left, append(append(right, text{}), heaps...), 2*gap)...)
	} else {
		all = append(append(append(append(append(all, left...), text{}), right...), text{}), heaps...)
	}
	if recent := s.recency(v); recent != nil {
		all = append(append(all, text{}), recent...)
	}
	if checks := s.checks(v, mostChecks); checks != nil && (!s.fancy || len(all)+len(checks) <= 35) { // of 40 lines
		all = append(append(all, text{}), checks...)
	}
	if s.fancy {
		all = append(all, text{})
		for _, line := range wrap("An instance is one process. Large counts: standard error 0.8 %. --by shows more.", s.width) {
			all = append(all, s.styled(newText(line), faint))
		}
	}
	return all
}

// title shows the product, the query and the date of the statistics.
func (s *screen) title(v *stats.View) block {
	line := s.styled(newText(masked(v.Product.Title)), bold).plus(s.styled(newText("  "+describe(v.Query)), faint))
	asOf := "no releases: add them with relcheck release sync, import or add " + v.Product.Name
	switch {
	case v.Latest != "":
		asOf = "latest release " + masked(v.Latest)
	case v.Preview != "":
		asOf = "only pre-releases, the newest is " + masked(v.Preview)
	case !v.Unreleased:
		asOf = "no release is offered"
	}
	if !v.AsOf.IsZero() {
		asOf += ", last report " + v.AsOf.UTC().Format(time.DateOnly+" 15:04") + " UTC"
	}
	return block{line, s.styled(newText(asOf), faint)}
}

// headline shows the numbers of instances, in total and per day.
func (s *screen) headline(v *stats.View) block {
	b := s.rows(periods(v), 0)
	if !s.fancy {
		return b
	}
	return beside(b, s.chart(v, s.width-b.width()-2*gap), 2*gap)
}

// periods returns the summary. A range that is also one of the other periods has one
// row, and unknown values are empty.
func periods(v *stats.View) *stats.Table {
	t := v.Table("summary").Select(stats.ColPeriod, stats.ColFrom, stats.ColInstances, stats.ColChange, stats.ColReports, stats.ColChecks)
	last := len(t.Rows) - 1
	whole := t.Rows[last]
	whole[0] = stats.ShowNumber(int64(v.Query.Days())) + " days"
	if same := slices.IndexFunc(t.Rows[:last], func(row []any) bool { return row[1] == whole[1] }); same >= 0 {
		copy(t.Rows[same][4:], whole[4:])
		t.Rows = t.Rows[:last]
	}
	t.Rows[0][0] = t.Rows[0][1].(rollup.Day).String()
	for _, row := range t.Rows {
		for i, value := range row {
			row[i] = cmp.Or(value, any(""))
		}
	}
	return t.Select(stats.ColPeriod, stats.ColInstances, stats.ColChange, stats.ColReports, stats.ColChecks)
}

// chart draws the instances of each day, or the checks if there are no instances. It
// averages days if there is no room for each. Today is faint because it is incomplete.
func (s *screen) chart(v *stats.View, room int) block {
	daily := v.Table("daily")
	n, most, counted := len(daily.Rows), int64(1), stats.ColInstances
	if len(v.Table("versions").Rows) == 0 {
		counted = stats.ColChecks
	}
	if n < 2 || room < 20 {
		return nil
	}
	var counts []float64
	for r := range daily.All() {
		counts, most = append(counts, float64(r.Number(counted))), max(most, r.Number(counted))
	}
	values, wide := squeeze(counts, room), max(1, min(room/n, 4))
	var drawn []float64
	for _, value := range values {
		drawn = append(drawn, slices.Repeat([]float64{value / float64(most)}, wide)...)
	}
	first, last := daily.Rows[0][0].(rollup.Day), daily.Rows[n-1][0].(rollup.Day)
	partial := 0
	if last == v.Today && n <= room {
		partial = wide
	}
	heading := newText("PER DAY, MAX " + stats.ShowNumber(most))
	if long := newText(strings.ToUpper(counted.Name) + " ").plus(heading); long.width <= room {
		heading = long
	}
	b := block{s.styled(heading, faint)}
	for _, line := range columnsOf(drawn, chartLines) {
		runes := []rune(line.string)
		cut := len(runes) - partial
		b = append(b, s.styled(newText(string(runes[:cut])), blue).plus(s.styled(newText(string(runes[cut:])), faint)))
	}
	axis := newText(first.String()).padded(len(drawn)-len(last.String()), false).plus(newText(last.String()))
	if len(drawn) < 2*len(last.String())+1 {
		axis = newText(first.String() + " …")
	}
	return append(b, s.styled(axis, faint))
}

// squeeze averages values down to at most n.
func squeeze(values []float64, n int) []float64 {
	if len(values) <= n {
		return values
	}
	less := make([]float64, n)
	for i := range less {
		from, to := i*len(values)/n, (i+1)*len(values)/n
		for _, v := range values[from:to] {
			less[i] += v / float64(to-from)
		}
	}
	return less
}

// recency shows in one line how many instances are up to date.
func (s *screen) recency(v *stats.View) block {
	shares, withdrawn := map[string]string{}, ""
	for r := range v.Table("latest").All() {
		what := r.Text(stats.ColWhat)
		shares[what] = show(stats.Share, r.Value(stats.ColShare))
		if what == stats.WithdrawnRelease && r.Number(stats.ColInstances) > 0 {
			withdrawn = shares[what] + " run a withdrawn release."
		}
	}
	line := withdrawn
	if v.Latest != "" {
		line = strings.TrimSpace(fmt.Sprintf("%s run the latest release or newer, %s its line %s or newer, %s an older version; %s unknown. %s",
			shares[stats.LatestRelease], shares[stats.LatestLine], v.Line(v.Latest), shares[stats.Older], shares[stats.Unknown], withdrawn))
	}
	if line == "" {
		return nil
	}
	return plain(wrap(line, s.width)...)
}

// top returns the n rows with the most instances, in the order of the table, and one row
// with the sums of the others.
func top(t *stats.Table, n int, columns ...stats.Column) *stats.Table {
	t = t.Select(columns...)
	if len(t.Rows) <= n+1 {
		return t
	}
	ranked, kept := byInstances(t), map[any]bool{} // by the first column
	for _, row := range ranked[:n] {
		kept[row[0]] = true
	}
	t.Rows = slices.DeleteFunc(t.Rows, func(row []any) bool { return !kept[row[0]] })
	rest := slices.Repeat([]any{""}, len(columns))
	rest[0] = fmt.Sprintf("%d others", len(ranked)-n)
	for i, c := range columns {
		switch c.Kind {
		case stats.Number:
			rest[i] = sumOf[int64](ranked[n:], i)
		case stats.Share:
			rest[i] = sumOf[float64](ranked[n:], i)
		}
	}
	t.Rows = append(t.Rows, rest)
	return t
}

// sumOf adds up the known values in a column.
func sumOf[T int64 | float64](rows [][]any, column int) (sum T) {
	for _, row := range rows {
		value, _ := row[column].(T)
		sum += value
	}
	return sum
}

// byInstances returns the rows of a table, those with the most instances first.
func byInstances(t *stats.Table) [][]any {
	rows, column := slices.Clone(t.Rows), t.Index(stats.ColInstances)
	slices.SortStableFunc(rows, func(a, b []any) int { return cmp.Compare(b[column].(int64), a[column].(int64)) })
	return rows
}

// colPlatform combines the operating system and the architecture.
var colPlatform = stats.Column{Name: "platform", Kind: stats.Text, Head: "Platform"}

// platformNames adds the column colPlatform.
func platformNames(t *stats.Table) *stats.Table {
	named := *t
	named.Columns, named.Rows = append([]stats.Column{colPlatform}, t.Columns...), nil
	for r := range t.All() {
		name := r.Text(stats.ColOS) + "/" + r.Text(stats.ColArch)
		if name == "other/other" {
			name = rollup.Other
		}
		named.Rows = append(named.Rows, append([]any{name}, r.Values...))
	}
	return &named
}

// checks lists the n builds with the most checks.
func (s *screen) checks(v *stats.View, n int) block {
	t := platformNames(v.Table("checks")).Select(stats.ColVersion, colPlatform, stats.ColChecks, stats.ColShare)
	if len(t.Rows) == 0 {
		return nil
	}
	slices.SortStableFunc(t.Rows, func(a, b []any) int { return cmp.Compare(b[2].(int64), a[2].(int64)) })
	if len(t.Rows) > n+1 {
		rest := t.Rows[n:]
		t.Rows = append(t.Rows[:n:n], []any{fmt.Sprintf("%d others", len(rest)), "", sumOf[int64](rest, 2), sumOf[float64](rest, 3)})
	}
	return s.rows(t, s.width)
}

// topHeaps returns the heap of all versions, and of those with the most instances.
func topHeaps(t *stats.Table) *stats.Table {
	heaps := t.Filter(func(r stats.Row) bool { return !r.Known(stats.ColVersion) && !r.Known(stats.ColOS) })
	versions := t.Filter(func(r stats.Row) bool { return r.Known(stats.ColVersion) && !r.Known(stats.ColOS) })
	heaps.Rows = append(heaps.Rows, byInstances(versions)[:min(mostHeaps, len(versions.Rows))]...)
	heaps = heaps.Select(stats.ColVersion, stats.ColInstances, stats.ColP50, stats.ColP90, stats.ColP95, stats.ColP99)
	heaps.Columns[0].Head = "Heap of"
	return heaps
}
