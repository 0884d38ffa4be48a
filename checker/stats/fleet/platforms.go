package fleet

import "strings"

func (t *Truth) platformName(build int) string { return t.log.builds[build].Platform.String() }

func (t *Truth) platforms() (rows [][]any) {
	ids, reports := t.by(t.ids, t.platformName), t.by(t.reports, t.platformName)
	for name, n := range ids {
		os, arch, _ := strings.Cut(name, "/")
		rows = append(rows, []any{os, arch, n, share(n, t.total), reports[name], t.mostUsed(name),
			quantile(t.heapsOf(func(build int) bool { return t.platformName(build) == name }), 0.95)})
	}
	return rows
}

// versionsOn counts the ids of a platform by version.
func (t *Truth) versionsOn(platform string) map[string]int64 {
	ids := t.by(t.ids, func(build int) string { return t.platformName(build) + " " + t.versionName(build) })
	on := map[string]int64{}
	for name, n := range ids {
		if p, version, _ := strings.Cut(name, " "); p == platform {
			on[version] = n
		}
	}
	return on
}

func (t *Truth) mostUsed(platform string) any {
	on := t.versionsOn(platform)
	most := ""
	for _, name := range newestFirst(on) {
		if on[name] > on[most] {
			most = name
		}
	}
	return most
}

func (t *Truth) os() (rows [][]any) {
	for name, n := range t.by(t.ids, func(build int) string { return t.log.builds[build].OS }) {
		rows = append(rows, []any{name, n, share(n, t.total)})
	}
	return rows
}

func (t *Truth) arch() (rows [][]any) {
	for name, n := range t.by(t.ids, func(build int) string { return t.log.builds[build].Arch }) {
		rows = append(rows, []any{name, n, share(n, t.total)})
	}
	return rows
}

func (t *Truth) platformVersions() (rows [][]any) {
	for platform, all := range t.by(t.ids, t.platformName) {
		os, arch, _ := strings.Cut(platform, "/")
		on := t.versionsOn(platform)
		for _, name := range newestFirst(on) {
			rows = append(rows, []any{os, arch, name, on[name], share(on[name], all)})
		}
	}
	return rows
}
