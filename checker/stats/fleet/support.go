package fleet

import (
	"relcheck/checker"
	"relcheck/checker/stats"
)

func (t *Truth) versionName(build int) string { return t.versions[build].name }

func (t *Truth) released() (rows [][]any) {
	ids := t.by(t.ids, t.versionName)
	for _, r := range t.releases {
		rows = append(rows, []any{r.Version, t.releases.date(r.Version), ids[r.Version], share(ids[r.Version], t.total), t.half(r)})
	}
	return rows
}

// half is how many days it took until half of a whole day's ids ran a release or
// a newer version; nil when it is not known.
func (t *Truth) half(r checker.Release) any {
	if r.Date.IsZero() || stats.DayOf(r.Date) < t.shown.From {
		return nil
	}
	for d := stats.DayOf(r.Date); d <= min(t.shown.To, t.today-1); d++ {
		if s := t.upTo(r, d); s != nil && s.(float64) >= 0.5 {
			return int64(d - stats.DayOf(r.Date))
		}
	}
	return nil
}

// upTo is the share of a day's ids that run a release or a newer version.
func (t *Truth) upTo(r checker.Release, d stats.Day) any {
	var n int64
	for build, ids := range t.daily[d] {
		if v := t.versions[build].judged; v != "" && checker.Compare(v, r.Version) >= 0 {
			n += ids
		}
	}
	return share(n, sum(t.daily[d]))
}

func (t *Truth) lines() (rows [][]any) {
	ids := t.by(t.ids, func(build int) string { return line(t.versionName(build)) })
	for _, name := range newestFirst(ids) {
		var is any
		if latest := t.releases.latest(); latest != nil {
			is = name == line(latest.Version)
		}
		rows = append(rows, []any{name, ids[name], share(ids[name], t.total), is})
	}
	return rows
}

func (t *Truth) latest() [][]any {
	latest, on := t.releases.latest(), ""
	if latest != nil {
		on = line(latest.Version)
	}
	ids := t.by(t.ids, func(build int) string {
		switch v := t.versions[build].judged; {
		case v == "" || latest == nil:
			return "unknown"
		case checker.Compare(v, latest.Version) >= 0:
			return "latest release"
		case checker.Compare(v, on) >= 0 || line(v) == on:
			return "latest minor line"
		}
		return "older"
	})
	ids["latest minor line"] += ids["latest release"]
	row := func(what string, version any) []any {
		return []any{what, version, ids[what], share(ids[what], t.total)}
	}
	rows := [][]any{row("latest release", nil), row("latest minor line", nil), row("older", nil), row("unknown", nil)}
	if latest != nil {
		rows[0][1], rows[1][1] = latest.Version, on
		return rows
	}
	for _, row := range rows[:3] {
		row[3] = nil
	}
	return rows
}

func (t *Truth) versionRows() (rows [][]any) {
	ids, reports := t.by(t.ids, t.versionName), t.by(t.reports, t.versionName)
	for _, name := range newestFirst(ids) {
		v := t.releases.version(name)
		rows = append(rows, []any{name, t.releases.date(name), ids[name], share(ids[name], t.total), reports[name],
			t.releases.behind(v), t.releases.daysBehind(v),
			quantile(t.heapsOf(func(build int) bool { return t.versionName(build) == name }), 0.95)})
	}
	return rows
}

func (t *Truth) deprecation() (rows [][]any) {
	below := map[string]bool{}
	for _, r := range t.releases {
		below[r.Version] = true
	}
	if q := t.query.Below; q != "" && t.releases.find(q) == nil {
		below[checker.Canonical(q)] = true
	}
	for _, limit := range newestFirst(below) {
		n := int64(0)
		for build, ids := range t.ids {
			if v := t.versions[build].judged; v != "" && checker.Compare(v, limit) < 0 {
				n += ids
			}
		}
		rows = append(rows, []any{limit, n, share(n, t.total)})
	}
	return rows
}

func (t *Truth) behind() (rows [][]any) {
	ids := map[any]int64{}
	for build, n := range t.ids {
		ids[t.releases.behind(t.versions[build])] += n
	}
	for n := range int64(len(t.releases) + 1) {
		if ids[n] > 0 {
			rows = append(rows, []any{n, ids[n], share(ids[n], t.total)})
		}
	}
	if ids[nil] > 0 {
		rows = append(rows, []any{nil, ids[nil], share(ids[nil], t.total)})
	}
	return rows
}

func (t *Truth) behindDays() (rows [][]any) {
	days := map[any]int64{}
	for build, n := range t.ids {
		days[t.releases.daysBehind(t.versions[build])] += n
	}
	for _, b := range [][2]int64{{0, 0}, {1, 30}, {31, 90}, {91, 180}, {181, 365}, {366, 1 << 40}} {
		n := int64(0)
		for late, ids := range days {
			if late, ok := late.(int64); ok && b[0] <= late && late <= b[1] {
				n += ids
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
