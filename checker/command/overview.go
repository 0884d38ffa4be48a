package command

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"relcheck/checker/printable"
	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

const (
	// twoColumns is the minimum width for tables side by side.
	twoColumns = 110
	// Maximum numbers of rows, so that an overview fits on a screen of 40 lines.
	mostVersions, fewVersions, mostPlatforms, mostChecks = 8, 6, 5, 2
	// chartLines is the height of the chart, which is that of the headline.
	chartLines = 4
)

// overview shows the answers to the most important questions on one screen.
func (s *screen) overview(v *stats.View) block {
	count, share, _ := v.Counted()
	versions := v.Table("versions")
	columns := []stats.Column{stats.ColVersion, count, share, stats.ColHeapP95}
	if versions.Any(stats.ColWithdrawn) {
		columns = append(columns, stats.ColWithdrawn)
	}
	width, side := s.width, s.fancy && s.width >= twoColumns
	if side {
		width = (s.width - 2*gap) / 2
	}
	n := mostVersions
	if s.fancy && !side {
		n = fewVersions
	}
	left := s.rows(top(versions, n, columns...), width)
	right := s.rows(top(platformNames(v.Table("platforms")), mostPlatforms, colPlatform, count, share, stats.ColHeapP95), width)
	all := stack(s.answers(v), s.headline(v))
	switch {
	case side:
		all = stack(all, beside(left, right, 2*gap))
	case v.Remembers() && s.fancy: // the chart is below the table
		all = stack(all, left)
	default:
		all = stack(all, left, right)
	}
	all = stack(all, s.sentences(v.Recency(show)))
	if checks := s.checks(v, mostChecks); !s.fancy || len(all)+len(checks) <= 31 { // of 40 lines, with the title
		all = stack(all, checks)
	}
	if s.fancy {
		note := "An instance is one process. Large counts: standard error 0.8 %. "
		if v.Remembers() {
			note = "Installations a day are the mean of the days that are over. "
		}
		all = append(all, text{})
		for _, line := range printable.Wrap(note+"Pages: "+strings.Join(statsPages, ", ")+". --by shows more.", s.width) {
			all = append(all, s.styled(newText(line), faint))
		}
	}
	return all
}

// title shows the product, the query and the date of the statistics.
func (s *screen) title(v *stats.View) block {
	line := s.styled(newText(masked(v.Product.Title)), bold).plus(s.styled(newText("  "+describe(v.Query)), faint))
	asOf := "no releases (add them with " + v.Product.AddCommands() + ")"
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

// headline shows the numbers of installations or instances, in total and per day.
func (s *screen) headline(v *stats.View) block {
	t := periods(v)
	b := s.rows(t, 0)
	if v.Remembers() && v.Query.Version == "" && len(t.Rows) < len(rollup.Spans) {
		b = append(b, newText("Weeks and four weeks are shown when they are over."))
	}
	if !s.fancy {
		return b
	}
	if chart := s.chart(v, s.width-b.width()-2*gap); chart != nil {
		return beside(b, chart, 2*gap)
	}
	return stack(b, s.chart(v, s.width))
}

// periods returns the summary. A range that is also one of the other periods has one
// row, and unknown values are empty.
func periods(v *stats.View) *stats.Table {
	if v.Remembers() {
		return finishedPeriods(v)
	}
	t := v.Table("summary").Select(stats.ColPeriod, stats.ColFrom, stats.ColInstances, stats.ColChange, stats.ColReports, stats.ColChecks)
	last := len(t.Rows) - 1
	whole := t.Rows[last]
	whole[0] = counted(int64(v.Query.Days()), "day")
	if same := slices.IndexFunc(t.Rows[:last], func(row []any) bool { return row[1] == whole[1] }); same >= 0 {
		copy(t.Rows[same][4:], whole[4:])
		t.Rows = t.Rows[:last]
	}
	t.Rows[0][0] = t.Rows[0][1].(rollup.Day).String()
	if v.Query.To == v.Today {
		t.Rows[0][0] = stats.TodaySoFar
	}
	for _, row := range t.Rows {
		for i, value := range row {
			row[i] = cmp.Or(value, any(""))
		}
	}
	return t.Select(stats.ColPeriod, stats.ColInstances, stats.ColChange, stats.ColReports, stats.ColChecks)
}

// finishedPeriods returns the installations of the last day, week and four weeks that are over
// and known.
func finishedPeriods(v *stats.View) *stats.Table {
	t := v.Table("installations").Filter(func(r stats.Row) bool { return r.Known(stats.ColInstallations) || r.Number(stats.ColStarts) > 0 })
	for i, r := range slices.Collect(t.All()) {
		name := "day "
		switch period := r.Text(stats.ColPeriod); period {
		case stats.FinishedDay:
		case stats.TodaySoFar:
			name = period + ", "
		default:
			name = period + " to "
		}
		t.Rows[i][0] = name + show(stats.Date, r.Value(stats.ColTo))
	}
	return t.Select(stats.ColPeriod, stats.ColInstallations, stats.ColReturning, stats.ColNewInstallations, stats.ColChange, stats.ColStarts)
}

// chart draws the counts of each day. It averages days if there is no room for each. Today
// is faint because it is incomplete.
func (s *screen) chart(v *stats.View, room int) block {
	name, days, counts := perDay(v)
	n, most := len(days), 1.0
	if n < 2 || room < 20 {
		return nil
	}
	most = max(most, slices.Max(counts))
	values, wide := squeeze(counts, room), max(1, min(room/n, 4))
	var drawn []float64
	for _, value := range values {
		drawn = append(drawn, slices.Repeat([]float64{value / most}, wide)...)
	}
	first, last := days[0], days[n-1]
	partial := 0
	if last == v.Today && n <= room {
		partial = wide
	}
	heading := newText("PER DAY, MAX " + stats.ShowNumber(int64(most)))
	if long := newText(strings.ToUpper(name) + " ").plus(heading); long.width <= room {
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

// sentences lays out sentences as lines.
func (s *screen) sentences(all []string) block {
	text := strings.TrimSpace(strings.Join(all, " "))
	if text == "" {
		return nil
	}
	return plain(printable.Wrap(masked(text), s.width)...)
}

// top returns the n rows with the most installations or instances, in the order of the table, and one row
// with the sums of the others.
func top(t *stats.Table, n int, columns ...stats.Column) *stats.Table {
	t = t.Select(columns...)
	if len(t.Rows) <= n+1 {
		return t
	}
	ranked, kept := byUse(t), map[any]bool{} // by the first column
	for _, row := range ranked[:n] {
		kept[row[0]] = true
	}
	t.Rows = slices.DeleteFunc(t.Rows, func(row []any) bool { return !kept[row[0]] })
	rest := slices.Repeat([]any{""}, len(columns))
	rest[0] = fmt.Sprintf("%d others", len(ranked)-n)
	for i, c := range columns {
		switch {
		case slices.Contains([]stats.Column{stats.ColInstances, stats.ColReports}, c):
			rest[i] = sumOf[int64](ranked[n:], i)
		case c.Kind == stats.Share, c.Kind == stats.Mean:
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

// byUse returns the rows of a table, those with the most installations or instances first.
func byUse(t *stats.Table) [][]any {
	counted := stats.ColInstances
	if !t.Has(counted) {
		counted = stats.ColMeanInstallations
	}
	return t.MostFirst(counted).Rows
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
	t = t.MostFirst(stats.ColChecks)
	if len(t.Rows) > n+1 {
		rest := t.Rows[n:]
		t.Rows = append(t.Rows[:n:n], []any{fmt.Sprintf("%d others", len(rest)), "", sumOf[int64](rest, 2), sumOf[float64](rest, 3)})
	}
	return s.rows(t, s.width)
}

// topHeaps returns the heap of all versions, and of the n with the most instances, or
// instance-days if installations are counted.
func topHeaps(v *stats.View, n int) *stats.Table {
	t, counted := v.Table("heap"), stats.ColInstances
	if v.Remembers() {
		counted = stats.ColInstanceDays
	}
	heaps := t.Filter(func(r stats.Row) bool { return !r.Known(stats.ColVersion) && !r.Known(stats.ColOS) })
	versions := t.Filter(func(r stats.Row) bool { return r.Known(stats.ColVersion) && !r.Known(stats.ColOS) })
	heaps.Rows = append(heaps.Rows, versions.MostFirst(counted).Rows[:min(n, len(versions.Rows))]...)
	heaps = heaps.Select(stats.ColVersion, counted, stats.ColP50, stats.ColP90, stats.ColP95, stats.ColP99)
	heaps.Columns[0].Head = "Heap of"
	return heaps
}
