package command

import (
	"slices"
	"strings"

	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

// statsPages are the names of the pages of relcheck stats, the same as of the product's web
// pages.
var statsPages = []string{"overview", "versions", "platforms", "memory", "activity"}

const (
	// Maximum numbers of rows of tables on a page.
	pageRows, pageDays, pageWeeks = 15, 14, 8
)

// answers answers the questions of a maintainer in sentences. The table of periods answers how
// many installations there are.
func (s *screen) answers(v *stats.View) (b block) {
	_, dropped := v.Droppable(show)
	for _, sentences := range [][]string{dropped, adoption(v), {v.Query.Answer(v.Table("heap_change"), show).Text}} {
		b = append(b, s.sentences(sentences)...)
	}
	return b
}

// adoption answers whether the newest release spreads slower than the one before it.
func adoption(v *stats.View) []string {
	answer, sentences := v.Adoption(show)
	if answer == "" {
		return nil
	}
	return append([]string{"Is adoption slower than last time? " + strings.ToUpper(answer[:1]) + answer[1:] + "."}, sentences...)
}

// page shows a page of a view below its title, or why there is nothing to show.
func (s *screen) page(v *stats.View, name string) block {
	all := append(s.title(v), text{})
	if reason := s.nothingIn(v); reason != nil {
		return append(all, reason...)
	}
	show := map[string]func(*screen, *stats.View) block{"overview": (*screen).overview, "versions": (*screen).versionsPage,
		"platforms": (*screen).platformsPage, "memory": (*screen).memoryPage, "activity": (*screen).activityPage}[name]
	return append(all, show(s, v)...)
}

// nothingIn says why a view has neither instances nor installations, or returns nil.
func (s *screen) nothingIn(v *stats.View) block {
	if len(v.Table("versions").Rows) > 0 {
		return nil
	}
	daily := v.Table("daily")
	if checks := sumOf[int64](daily.Rows, daily.Index(stats.ColChecks)); checks > 0 {
		all := append(append(s.headline(v), text{}), s.checks(v, mostVersions)...)
		return append(all, text{}, newText("No instances, but "+counted(checks, "check")+": requests for the latest release without an instance ID."))
	}
	return plain("No reports in this range match the filter.",
		"There are statistics from "+v.Known.From.String()+" to "+v.Known.To.String()+".")
}

// titled shows some rows of a table below its title.
func (s *screen) titled(t *stats.Table, width int) block {
	title := block{s.styled(newText(t.Title), bold)}
	if len(t.Rows) == 0 {
		return append(title, newText("No data in this range."))
	}
	return append(title, s.rows(t, width)...)
}

// stack puts blocks below one another, with an empty line between them.
func stack(blocks ...block) (all block) {
	for _, b := range blocks {
		if len(b) == 0 {
			continue
		}
		if len(all) > 0 {
			all = append(all, text{})
		}
		all = append(all, b...)
	}
	return all
}

// besideOrBelow puts two tables beside each other if there is room.
func (s *screen) besideOrBelow(left, right *stats.Table) block {
	if s.fancy && s.width >= twoColumns {
		half := (s.width - 2*gap) / 2
		return beside(s.titled(left, half), s.titled(right, half), 2*gap)
	}
	return stack(s.titled(left, s.width), s.titled(right, s.width))
}

// last returns the last n rows of a table, the newest first.
func last(t *stats.Table, n int) *stats.Table {
	part := *t
	part.Rows = slices.Clone(t.Rows[max(0, len(t.Rows)-n):])
	slices.Reverse(part.Rows)
	return &part
}

func (s *screen) versionsPage(v *stats.View) block {
	count, share, _ := v.Counted()
	versions := v.Table("versions")
	columns := []stats.Column{stats.ColVersion, count, share, stats.ColReleased, stats.ColBehind, stats.ColDaysBehind}
	if versions.Any(stats.ColWithdrawn) {
		columns = append(columns, stats.ColWithdrawn)
	}
	_, dropped := v.Droppable(show)
	return stack(slices.Concat(s.sentences(dropped), s.sentences(adoption(v)), s.sentences(v.Recency(show))),
		s.titled(top(versions, pageRows, columns...), s.width),
		s.besideOrBelow(top(v.Table("lines"), pageRows, stats.ColLine, count, share), top(v.Table("behind_days"), pageRows, stats.ColFromDays, stats.ColToDays, count, share)))
}

func (s *screen) platformsPage(v *stats.View) block {
	count, share, _ := v.Counted()
	return stack(s.titled(top(platformNames(v.Table("platforms")), pageRows, colPlatform, count, share, stats.ColMostUsed, stats.ColHeapP95), s.width),
		s.besideOrBelow(top(v.Table("os"), pageRows, stats.ColOS, count, share), top(v.Table("arch"), pageRows, stats.ColArch, count, share)))
}

func (s *screen) memoryPage(v *stats.View) block {
	change := v.Table("heap_change")
	return stack(s.sentences([]string{v.Query.Answer(change, show).Text}), s.titled(topHeaps(v, pageRows), s.width), s.titled(v.Table("heap_histogram"), s.width))
}

func (s *screen) activityPage(v *stats.View) block {
	daily := []*stats.Table{last(v.Table("daily"), pageDays), last(v.Table("weekly"), pageWeeks)}
	if v.Remembers() {
		daily = append([]*stats.Table{last(v.Table("installations_daily"), pageDays), last(v.Table("installations_weekly"), pageWeeks)}, daily...)
	}
	all := block(nil)
	for pair := range slices.Chunk(daily, 2) {
		all = stack(all, s.besideOrBelow(pair[0], pair[1]))
	}
	return stack(s.headline(v), all, s.checks(v, mostVersions))
}

// perDay returns what the chart of days draws: installations, instances, or checks if there
// are neither.
func perDay(v *stats.View) (name string, days []rollup.Day, counts []float64) {
	name, t := "installations", v.Table("installations_daily")
	count := func(r stats.Row) int64 { return r.Number(stats.ColReturning) + r.Number(stats.ColNewInstallations) }
	if !v.Remembers() {
		name, t = "instances", v.Table("daily")
		column := stats.ColInstances
		if len(v.Table("versions").Rows) == 0 {
			name, column = "checks", stats.ColChecks
		}
		count = func(r stats.Row) int64 { return r.Number(column) }
	}
	for r := range t.All() {
		days, counts = append(days, r.Day(stats.ColDay)), append(counts, float64(count(r)))
	}
	return name, days, counts
}
