package statstest

import (
	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
)

func (t *Truth) versionName(build int) string { return t.versions[build].name }

func (t *Truth) releaseRows() (rows [][]any) {
	counts := t.usedBy(t.versionName)
	for _, r := range t.releases.all {
		rows = append(rows, t.row([]any{r.Tag, t.releases.date(r.Tag)}, counts[r.Tag], t.daysToHalf(r), r.Withdrawn))
	}
	return rows
}

// daysToHalf returns the number of days from a release until half of a complete day's
// installations, or instances if there are no installations, ran that release or a newer
// version, or nil if it is unknown.
func (t *Truth) daysToHalf(r catalog.Release) any {
	if !t.mayHaveHalf(r) {
		return nil
	}
	for d := rollup.DayOf(r.Date); d <= min(t.dailyRange.To, t.today-1); d++ {
		if s := t.adoptedShare(r, d); s != nil && s.(float64) >= 0.5 {
			return int64(d - rollup.DayOf(r.Date))
		}
	}
	return nil
}

// mayHaveHalf reports whether the days since a release are known.
func (t *Truth) mayHaveHalf(r catalog.Release) bool {
	first := t.dailyRange.From
	if t.remembers() {
		first = t.rememberedDays().From
	}
	return !r.Date.IsZero() && t.releases.parse(r.Tag).Ordered() && rollup.DayOf(r.Date) >= first
}

// answersOn returns a day's installations by build, or instances if there are no
// installations in the range.
func (t *Truth) answersOn(d rollup.Day) []int64 {
	if t.remembers() {
		return t.installationsOn(rollup.Range{From: d, To: d})
	}
	return t.daily[d]
}

// adoptedShare returns the share of [Truth.answersOn] that ran a release or a newer version.
func (t *Truth) adoptedShare(r catalog.Release, d rollup.Day) any {
	var n int64
	counts := t.answersOn(d)
	for build, one := range counts {
		if v := t.versions[build]; v.as.Ordered() && !v.olderThan(t.releases.parse(r.Tag)) {
			n += one
		}
	}
	return share(n, sum(counts))
}

func (t *Truth) lines() (rows [][]any) {
	counts := t.usedBy(func(build int) string { return t.releases.line(t.versionName(build)) })
	for _, name := range newestFirst(&t.releases, counts) {
		if counts[name].instances+counts[name].installations == 0 {
			continue
		}
		var isLatest any
		if latest, _ := t.releases.latest(); latest != nil {
			isLatest = name == t.releases.line(latest.Tag)
		}
		rows = append(rows, t.row([]any{name}, counts[name], isLatest))
	}
	return rows
}

func (t *Truth) latest() [][]any {
	latest, newest := t.releases.latest()
	latestLine := ""
	if latest != nil {
		latestLine = t.releases.line(latest.Tag)
	}
	counts := t.usedBy(func(build int) string {
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
	line, newer := counts["latest minor line"], counts["latest release"]
	counts["latest minor line"] = used{line.instances + newer.instances, line.installations + newer.installations, 0}
	row := func(what string, version any) []any { return t.row([]any{what, version}, counts[what]) }
	rows := [][]any{row("latest release", nil), row("latest minor line", nil), row("older", nil), row("unknown", nil), row("withdrawn release", nil)}
	if latest != nil {
		rows[0][1], rows[1][1] = latest.Tag, latestLine
		return rows
	}
	for _, row := range rows[:3] {
		row[3], row[5] = nil, nil
	}
	return rows
}

func (t *Truth) versionRows() (rows [][]any) {
	counts := t.usedBy(t.versionName)
	for _, name := range newestFirst(&t.releases, counts) {
		v := t.releases.version(name)
		rows = append(rows, t.row([]any{name, t.releases.date(name)}, counts[name], counts[name].reports,
			t.releases.newer(v), t.releases.daysOutdated(v),
			quantile(t.heapsOf(func(build int) bool { return t.versionName(build) == name }), 0.95), v.withdrawn))
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
		var u used
		for build, instances := range t.instances {
			if v := t.versions[build]; v.as.Ordered() && v.olderThan(t.releases.parse(limit)) {
				u.instances += instances
				u.installations += t.installations[build]
			}
		}
		rows = append(rows, t.row([]any{limit}, u))
	}
	return rows
}

func (t *Truth) behind() (rows [][]any) {
	counts := t.usedByValue(t.releases.newer)
	for n := range int64(len(t.releases.all) + 1) {
		if counts[n] != (used{}) {
			rows = append(rows, t.row([]any{n}, counts[n]))
		}
	}
	if counts[nil] != (used{}) {
		rows = append(rows, t.row([]any{nil}, counts[nil]))
	}
	return rows
}

// usedByValue adds up the instances and installations of builds by a value of their version.
func (t *Truth) usedByValue(value func(version) any) map[any]used {
	counts := map[any]used{}
	for build, n := range t.instances {
		of := value(t.versions[build])
		counts[of] = used{counts[of].instances + n, counts[of].installations + t.installations[build], 0}
	}
	return counts
}

func (t *Truth) behindDays() (rows [][]any) {
	days := t.usedByValue(t.releases.daysOutdated)
	for _, b := range [][2]int64{{0, 0}, {1, 30}, {31, 90}, {91, 180}, {181, 365}, {366, 1 << 40}} {
		var sum used
		for late, u := range days {
			if late, ok := late.(int64); ok && b[0] <= late && late <= b[1] {
				sum.instances += u.instances
				sum.installations += u.installations
			}
		}
		to := any(b[1])
		if b[1] > 366 {
			to = nil
		}
		rows = append(rows, t.row([]any{b[0], to}, sum))
	}
	if days[nil] != (used{}) {
		rows = append(rows, t.row([]any{nil, nil}, days[nil]))
	}
	return rows
}
