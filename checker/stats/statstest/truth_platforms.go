package statstest

import "strings"

func (t *Truth) platformName(build int) string { return t.log.builds[build].Platform.String() }

func (t *Truth) platforms() (rows [][]any) {
	for name, u := range t.usedBy(t.platformName) {
		os, arch, _ := strings.Cut(name, "/")
		rows = append(rows, t.row([]any{os, arch}, u, u.reports, t.mostUsed(name),
			quantile(t.heapsOf(func(build int) bool { return t.platformName(build) == name }), 0.95)))
	}
	return rows
}

// versionsOn returns the usage of each version on a platform.
func (t *Truth) versionsOn(platform string) map[string]used {
	counts := map[string]used{}
	for name, u := range t.usedBy(func(build int) string { return t.platformName(build) + " " + t.versionName(build) }) {
		if p, version, _ := strings.Cut(name, " "); p == platform {
			counts[version] = u
		}
	}
	return counts
}

// mostUsed returns the version with the most installations on a platform, or the most
// instances of several; the newest of several.
func (t *Truth) mostUsed(platform string) any {
	counts := t.versionsOn(platform)
	var most any
	var highest used
	for _, name := range newestFirst(&t.releases, counts) {
		u := counts[name]
		if u.installations > highest.installations || u.installations == highest.installations && u.instances > highest.instances {
			most, highest = name, u
		}
	}
	return most
}

func (t *Truth) os() [][]any {
	return t.parts(func(build int) string { return t.log.builds[build].OS })
}
func (t *Truth) arch() [][]any {
	return t.parts(func(build int) string { return t.log.builds[build].Arch })
}

func (t *Truth) parts(name func(build int) string) (rows [][]any) {
	for name, u := range t.usedBy(name) {
		if u.instances+u.installations > 0 {
			rows = append(rows, t.row([]any{name}, u))
		}
	}
	return rows
}

func (t *Truth) platformVersions() (rows [][]any) {
	for platform, all := range t.usedBy(t.platformName) {
		os, arch, _ := strings.Cut(platform, "/")
		counts := t.versionsOn(platform)
		for _, name := range newestFirst(&t.releases, counts) {
			if u := counts[name]; u.instances+u.installations > 0 {
				rows = append(rows, t.part([]any{os, arch, name}, u, all))
			}
		}
	}
	return rows
}
