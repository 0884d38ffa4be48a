package statstest

import (
	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
)

func (t *Truth) versionName(build int) string { return t.versions[build].name }

func (t *Truth) releaseRows() (rows [][]any) {
	instances := t.groupBy(t.instances, t.versionName)
	for _, r := range t.releases.all {
		rows = append(rows, []any{r.Tag, t.releases.date(r.Tag), instances[r.Tag], share(instances[r.Tag], t.total), t.daysToHalf(r), r.Withdrawn})
	}
	return rows
}

// daysToHalf returns the number of days from a release until half of a complete day's
// instances ran that release or a newer version, or nil if it is unknown.
func (t *Truth) daysToHalf(r catalog.Release) any {
	if r.Date.IsZero() || !t.releases.parse(r.Tag).Ordered() || rollup.DayOf(r.Date) < t.dailyRange.From {
		return nil
	}
	for d := rollup.DayOf(r.Date); d <= min(t.dailyRange.To, t.today-1); d++ {
		if s := t.adoptedShare(r, d); s != nil && s.(float64) >= 0.5 {
			return int64(d - rollup.DayOf(r.Date))
		}
	}
	return nil
}

// adoptedShare returns the share of a day's instances that ran a release or a newer version.
func (t *Truth) adoptedShare(r catalog.Release, d rollup.Day) any {
	var n int64
	for build, instances := range t.daily[d] {
		if v := t.versions[build]; v.as.Ordered() && !v.olderThan(t.releases.parse(r.Tag)) {
			n += instances
		}
	}
	return share(n, sum(t.daily[d]))
}

func (t *Truth) lines() (rows [][]any) {
	instances := t.groupBy(t.instances, func(build int) string { return t.releases.line(t.versionName(build)) })
	for _, name := range newestFirst(&t.releases, instances) {
		var isLatest any
		if latest, _ := t.releases.latest(); latest != nil {
			isLatest = name == t.releases.line(latest.Tag)
		}
		rows = append(rows, []any{name, instances[name], share(instances[name], t.total), isLatest})
	}
	return rows
}

func (t *Truth) latest() [][]any {
	latest, newest := t.releases.latest()
	latestLine := ""
	if latest != nil {
		latestLine = t.releases.line(latest.Tag)
	}
	instances := t.groupBy(t.instances, func(build int) string {
		switch v := t.versions[build]; {
		case v.withdrawn:
			return "withdrawn release"
		case !v.as.Ordered() || latest == nil:
			return "unknown"
		case !v.olderThan(newest):
			return "latest release"
		case t.releases.lineKey(v.name) == t.releases.lineKey(latest.Tag):
			return "latest minor line"
		}
		return "older"
	})
	instances["latest minor line"] += instances["latest release"]
	row := func(what string, version any) []any {
		return []any{what, version, instances[what], share(instances[what], t.total)}
	}
	rows := [][]any{row("latest release", nil), row("latest minor line", nil), row("older", nil), row("unknown", nil), row("withdrawn release", nil)}
	if latest != nil {
		rows[0][1], rows[1][1] = latest.Tag, latestLine
		return rows
	}
	for _, row := range rows[:3] {
		row[3] = nil
	}
	return rows
}

func (t *Truth) versionRows() (rows [][]any) {
	instances, reports := t.groupBy(t.instances, t.versionName), t.groupBy(t.reports, t.versionName)
	for _, name := range newestFirst(&t.releases, instances) {
		v := t.releases.version(name)
		rows = append(rows, []any{name, t.releases.date(name), instances[name], share(instances[name], t.total), reports[name],
			t.releases.newer(v), t.releases.daysOutdated(v),
			quantile(t.heapsOf(func(build int) bool { return t.versionName(build) == name }), 0.95), v.withdrawn})
	}
	return rows
}

func (t *Truth) deprecation() (rows [][]any) {
	below := map[string]bool{}
	for i, r := range t.releases.all {
		if t.releases.parsed[i].Ordered() {
			below[r.Tag] = true
		}
	}
	if q := t.query.Below; q != "" && t.releases.parse(q).Ordered() {
		below[t.releases.version(q).name] = true
	}
	for _, limit := range newestFirst(&t.releases, below) {
		n := int64(0)
		for build, instances := range t.instances {
			if v := t.versions[build]; v.as.Ordered() && v.olderThan(t.releases.parse(limit)) {
				n += instances
			}
		}
		rows = append(rows, []any{limit, n, share(n, t.total)})
	}
	return rows
}

func (t *Truth) behind() (rows [][]any) {
	instances := map[any]int64{}
	for build, n := range t.instances {
		instances[t.releases.newer(t.versions[build])] += n
	}
	for n := range int64(len(t.releases.all) + 1) {
		if instances[n] > 0 {
			rows = append(rows, []any{n, instances[n], share(instances[n], t.total)})
		}
	}
	if instances[nil] > 0 {
		rows = append(rows, []any{nil, instances[nil], share(instances[nil], t.total)})
	}
	return rows
}

func (t *Truth) behindDays() (rows [][]any) {
	days := map[any]int64{}
	for build, n := range t.instances {
		days[t.releases.daysOutdated(t.versions[build])] += n
	}
	for _, b := range [][2]int64{{0, 0}, {1, 30}, {31, 90}, {91, 180}, {181, 365}, {366, 1 << 40}} {
		n := int64(0)
		for late, instances := range days {
			if late, ok := late.(int64); ok && b[0] <= late && late <= b[1] {
				n += instances
			}
		}
		to := any(b[1])
		if b[1] > 366 {
			to = nil
		}
		rows = append(rows, []any{b[0], to, n, share(n, t.total)})
	}
	if days[nil] > 0 {
		rows = append(rows, []any{nil, nil, days[nil], share(days[nil], t.total)})
	}
	return rows
}
