package statstest

import "strings"

func (t *Truth) platformName(build int) string { return t.log.builds[build].Platform.String() }

func (t *Truth) platforms() (rows [][]any) {
	instances, reports := t.groupBy(t.instances, t.platformName), t.groupBy(t.reports, t.platformName)
	for name, n := range instances {
		os, arch, _ := strings.Cut(name, "/")
		rows = append(rows, []any{os, arch, n, share(n, t.total), reports[name], t.mostUsed(name),
			quantile(t.heapsOf(func(build int) bool { return t.platformName(build) == name }), 0.95)})
	}
	return rows
}

// versionsOn returns the number of instances of each version on a platform.
func (t *Truth) versionsOn(platform string) map[string]int64 {
	instances := t.groupBy(t.instances, func(build int) string { return t.platformName(build) + " " + t.versionName(build) })
	counts := map[string]int64{}
	for name, n := range instances {
		if p, version, _ := strings.Cut(name, " "); p == platform {
			counts[version] = n
		}
	}
	return counts
}

// mostUsed returns the version with the most instances on a platform; the newest of
// several.
func (t *Truth) mostUsed(platform string) any {
	counts := t.versionsOn(platform)
	most := ""
	for _, name := range newestFirst(&t.releases, counts) {
		if counts[name] > counts[most] {
			most = name
		}
	}
	return most
}

func (t *Truth) os() (rows [][]any) {
	for name, n := range t.groupBy(t.instances, func(build int) string { return t.log.builds[build].OS }) {
		rows = append(rows, []any{name, n, share(n, t.total)})
	}
	return rows
}

func (t *Truth) arch() (rows [][]any) {
	for name, n := range t.groupBy(t.instances, func(build int) string { return t.log.builds[build].Arch }) {
		rows = append(rows, []any{name, n, share(n, t.total)})
	}
	return rows
}

func (t *Truth) platformVersions() (rows [][]any) {
	for platform, all := range t.groupBy(t.instances, t.platformName) {
		os, arch, _ := strings.Cut(platform, "/")
		counts := t.versionsOn(platform)
		for _, name := range newestFirst(&t.releases, counts) {
			rows = append(rows, []any{os, arch, name, counts[name], share(counts[name], all)})
		}
	}
	return rows
}
