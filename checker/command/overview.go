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
	mostVersions, mostPlatforms, mostHeaps = 8, 5, 3
	// chartLines is the height of the chart, which is that of the headline.
	chartLines = 4
)

// overview shows the most important statistics on one screen.
func (s *screen) overview(v *stats.View) block {
	all := append(s.title(v), text{})
	versions := v.Table("versions")
	switch checks := checksOf(v); {
	case len(versions.Rows) == 0 && checks > 0:
		all = append(append(all, s.headline(v)...), text{})
		return append(all, plain("No instances, but "+stats.ShowNumber(checks)+" checks: requests for the latest release without an instance ID.")...)
	case len(versions.Rows) == 0:
		return append(all, plain("No reports in this range match the filter.",
			"There are statistics from "+v.Known.From.String()+" to "+v.Known.To.String()+".")...)
	}
	all = append(append(all, s.headline(v)...), text{})
	width, side := s.width, s.fancy && s.width >= twoColumns
	if side {
		width = (s.width - 2*gap) / 2
	}
	left := s.rows(top(versions, mostVersions, "version", "instances", "share", "p95"), width)
	right := s.rows(top(platformNames(v.Table("platforms")), mostPlatforms, "platform", "instances", "share", "p95"), width)
	heaps := s.rows(topHeaps(v.Table("heap")), 0)
	if side {
		all = append(all, beside(left, append(append(right, text{}), heaps...), 2*gap)...)
	} else {
		all = append(append(append(append(append(all, left...), text{}), right...), text{}), heaps...)
	}
	if recent := s.recency(v); recent != nil {
		all = append(append(all, text{}), recent...)
	}
	if s.fancy {
		all = append(all, text{}, s.styled(newText("An instance is one running process; a restart is a new one. Large counts are within 0.8 %. --by shows more."), faint))
	}
	return all
}

// checksOf returns the number of checks in the range.
func checksOf(v *stats.View) (n int64) {
	t := v.Table("daily")
	for _, row := range t.Rows {
		n += row[index(t, "checks")].(int64)
	}
	return n
}

// title shows the product, the query and the date of the statistics.
func (s *screen) title(v *stats.View) block {
	line := s.styled(newText(masked(v.Product.Title)), bold).plus(s.styled(newText("  "+describe(v.Query)), faint))
	asOf := "no releases: add them with relcheck release sync, import or add " + v.Product.Name
	if v.Latest != "" {
		asOf = "latest release " + masked(v.Latest)
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
	t := choose(v.Table("summary"), "period", "from", "instances", "change", "reports", "checks")
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
	return choose(t, "period", "instances", "change", "reports", "checks")
}

// chart draws the instances of each day, or the checks if there are no instances. It
// averages days if there is no room for each. Today is faint because it is incomplete.
func (s *screen) chart(v *stats.View, room int) block {
	daily := v.Table("daily")
	n, most, counted, label := len(daily.Rows), int64(1), "instances", "instances"
	if len(v.Table("versions").Rows) == 0 {
		counted, label = "checks", "checks"
	}
	if n < 2 || room < 20 {
		return nil
	}
	counts := make([]float64, n)
	for i, row := range daily.Rows {
		count := row[index(daily, counted)].(int64)
		counts[i], most = float64(count), max(most, count)
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
	b := block{s.styled(newText(strings.ToUpper(label)+" PER DAY, MAXIMUM "+stats.ShowNumber(most)), faint)}
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
	if v.Latest == "" {
		return nil
	}
	shares := map[any]string{}
	for _, row := range v.Table("latest").Rows {
		shares[row[0]] = show(stats.Share, row[3])
	}
	line := fmt.Sprintf("%s run the latest release or newer, %s its line %s, %s an older version; %s unknown.",
		shares["latest release"], shares["latest minor line"], stats.Line(v.Latest), shares["older"], shares["unknown"])
	return plain(wrap(line, s.width)...)
}

// choose returns a table with some of its columns.
func choose(t *stats.Table, names ...string) *stats.Table {
	chosen := *t
	chosen.Columns, chosen.Rows = nil, make([][]any, len(t.Rows))
	for _, name := range names {
		at := index(t, name)
		chosen.Columns = append(chosen.Columns, t.Columns[at])
		for i, row := range t.Rows {
			chosen.Rows[i] = append(chosen.Rows[i], row[at])
		}
	}
	return &chosen
}

func index(t *stats.Table, name string) int {
	return slices.IndexFunc(t.Columns, func(c stats.Column) bool { return c.Name == name })
}

// top returns the n rows with the most ids, in the table's order, and one for
// all others.
func top(t *stats.Table, n int, names ...string) *stats.Table {
	t = choose(t, names...)
	if len(t.Rows) <= n+1 {
		return t
	}
	ids, share := index(t, "instances"), index(t, "share")
	order := slices.Clone(t.Rows)
	slices.SortStableFunc(order, func(a, b []any) int { return cmp.Compare(b[ids].(int64), a[ids].(int64)) })
	least, ties := order[n-1][ids].(int64), 0
	for _, row := range order[:n] {
		if row[ids].(int64) == least {
			ties++
		}
	}
	rest, others := slices.Repeat([]any{""}, len(t.Columns)), 0
	restIDs, restShare := int64(0), 0.0
	kept := t.Rows[:0:0]
	for _, row := range t.Rows {
		if have := row[ids].(int64); have > least || have == least && ties > 0 {
			if have == least {
				ties--
			}
			kept = append(kept, row)
			continue
		}
		others++
		restIDs += row[ids].(int64)
		if s, ok := row[share].(float64); ok {
			restShare += s
		}
	}
	rest[0], rest[ids], rest[share] = fmt.Sprintf("%d others", others), restIDs, restShare
	t.Rows = append(kept, rest)
	return t
}

// platformNames combines the columns os and arch.
func platformNames(t *stats.Table) *stats.Table {
	named := *t
	named.Columns = append([]stats.Column{{Name: "platform", Kind: stats.Text, Head: "Platform"}}, t.Columns...)
	named.Rows = make([][]any, len(t.Rows))
	for i, row := range t.Rows {
		name := row[0].(string) + "/" + row[1].(string)
		if name == "other/other" {
			name = "other"
		}
		named.Rows[i] = append([]any{name}, row...)
	}
	return &named
}

// topHeaps returns the heap of all versions, and of those with the most instances.
func topHeaps(t *stats.Table) *stats.Table {
	ids := index(t, "instances")
	var versions [][]any
	heaps := *t
	heaps.Rows = nil
	for _, row := range t.Rows {
		switch {
		case row[0] == nil && row[1] == nil:
			heaps.Rows = append(heaps.Rows, row)
		case row[1] == nil:
			versions = append(versions, row)
		}
	}
	slices.SortStableFunc(versions, func(a, b []any) int { return cmp.Compare(b[ids].(int64), a[ids].(int64)) })
	heaps.Rows = append(heaps.Rows, versions[:min(mostHeaps, len(versions))]...)
	short := choose(&heaps, "version", "instances", "p50", "p90", "p95", "p99")
	short.Columns[0].Head = "Heap of"
	return short
}
