package stats

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
)

// View has the statistics of a product as tables. It is safe for concurrent use.
type View struct {
	Product    catalog.Product
	Query      Query
	Known      rollup.Range        // days with data
	Remembered rollup.Range        // see [rollup.Totals]
	AsOf       time.Time           // see [Totals]
	Today      rollup.Day          // incomplete: its counts still grow
	Latest     string              // the tag of the latest release, or ""
	Preview    string              // the tag of the newest pre-release if there is no latest release, or ""
	Unreleased bool                // the product has no releases, not even withdrawn ones
	Sites      []rollup.SiteTotals // all sites with counts of the product, by name

	tables        []definition
	published     published
	builds        []build
	usedVersions  []*usedVersion // newest first
	ordered       []*usedVersion // versions that can be compared, newest first: see [published.effective]
	usedPlatforms []*platform    // most used first
	usage                        // of all builds

	remembers        bool                   // see [View.Remembers]
	installationDays []rollup.Installations // of all builds by day, from the first of [rollup.Range.WithInstallations]
	launches         []Launch               // newest first
	byLine           bool                   // see [View.ByLine]
	outside          []outsideDays          // see [View.AddDays]
	seen             []rollup.Build         // see [rollup.Totals]
}

// build is a build with the version and platform that it is counted under.
type build struct {
	*rollup.BuildTotals
	version       *usedVersion
	platform      *platform
	installations int64 // on the days of meanDays
}

// platform has the counts of the builds of a platform.
type platform struct {
	checker.Platform
	usage
	index   int // in View.usedPlatforms
	reports int64
}

// NewView returns the view of a product for a query. The releases must be in the order of
// [catalog.Product.Rank]. The totals must be of the query's range, and of the builds that
// its filter keeps. NewView does not change them.
func NewView(p catalog.Product, ranked []*catalog.Ranked, q Query, f *rollup.Totals, today rollup.Day) *View {
	v := &View{Product: p, Query: q, Known: f.Known, Remembered: f.Remembered, AsOf: f.AsOf, Sites: f.Sites, Today: today, Unreleased: len(ranked) == 0, tables: definitions}
	v.published = newPublished(&p, ranked, (today + 1).Time())
	if v.published.latest != nil {
		v.Latest = v.published.latest.Tag
	} else if v.published.preview != nil {
		v.Preview = v.published.preview.Tag
	}
	v.launches, v.byLine = newLaunches(&v.published.Lines, v.published.stable)
	v.addBuilds(f.Builds)
	v.seen = f.Seen
	return v
}

// Seen returns what a filter can select: the minor lines and versions, newest first, and the
// operating systems and architectures of the builds with data, whatever the filter of the
// query.
func (v *View) Seen() (versions, oses, arches []string) {
	var used []*usedVersion
	names, lines := map[string]bool{}, map[string]bool{}
	for _, b := range v.seen {
		if name := v.published.displayName(b.Version); !names[name] {
			names[name] = true
			used = append(used, v.published.usedVersion(name))
		}
		oses, arches = append(oses, b.OS), append(arches, b.Arch)
	}
	sortVersions(used)
	for _, u := range used {
		if u.line != rollup.Other && !lines[u.line] {
			lines[u.line] = true
			versions = append(versions, u.line)
		}
	}
	for _, u := range used {
		versions = append(versions, u.name)
	}
	slices.Sort(oses)
	slices.Sort(arches)
	return versions, slices.Compact(oses), slices.Compact(arches)
}

// Line returns the name of the minor line of a version, see [Lines.Of].
func (v *View) Line(version string) string { return v.published.Of(version) }

// SameVersion reports whether two texts are spellings of one version.
func (v *View) SameVersion(a, b string) bool {
	return v.published.scheme.Trim(a) == v.published.scheme.Trim(b)
}

// Table returns one of [TableNames], or nil if the view does not have it.
func (v *View) Table(name string) *Table {
	for i := range v.tables {
		if v.tables[i].name == name {
			return v.tables[i].table(v)
		}
	}
	return nil
}

// Tables returns all tables, in the order of [TableNames].
func (v *View) Tables() []*Table {
	all := make([]*Table, len(v.tables))
	for i := range v.tables {
		all[i] = v.tables[i].table(v)
	}
	return all
}

// addBuilds adds up builds by version and by platform.
func (v *View) addBuilds(builds []rollup.BuildTotals) {
	versions, platforms := map[string]*usedVersion{}, map[checker.Platform]*platform{}
	other := v.otherVersions(builds)
	v.builds = make([]build, len(builds))
	for i := range builds {
		b := &v.builds[i]
		b.BuildTotals = &builds[i]

		name := v.published.displayName(b.Version)
		if other[name] {
			name = rollup.Other
		}
		if versions[name] == nil {
			versions[name] = v.published.usedVersion(name)
			v.usedVersions = append(v.usedVersions, versions[name])
		}
		if platforms[b.Platform] == nil {
			platforms[b.Platform] = &platform{Platform: b.Platform}
			v.usedPlatforms = append(v.usedPlatforms, platforms[b.Platform])
		}
		b.version, b.platform = versions[name], platforms[b.Platform]
		b.version.instances += b.Instances
		b.version.reports += b.Reports
		b.platform.instances += b.Instances
		b.platform.reports += b.Reports
		v.instances += b.Instances
	}
	v.addInstallations()
	v.sort()
}

// maxUnreleased is the maximum number of unreleased versions that are counted separately.
// Clients can invent a hundred a day.
const maxUnreleased = 200

// otherVersions returns the versions, by display name, that are counted as
// [rollup.Other]: the unreleased versions with the fewest instances, beyond maxUnreleased.
func (v *View) otherVersions(builds []rollup.BuildTotals) map[string]bool {
	instances := map[string]int64{}
	for i := range builds {
		if version := builds[i].Version; v.published.release(version) == nil {
			instances[v.published.displayName(version)] += builds[i].Instances
			for _, n := range builds[i].Installations {
				instances[v.published.displayName(version)] += n.Daily
			}
		}
	}
	names := slices.SortedFunc(maps.Keys(instances), func(a, b string) int {
		return cmp.Or(cmp.Compare(instances[b], instances[a]), cmp.Compare(a, b))
	})
	other := map[string]bool{}
	for _, name := range names[min(maxUnreleased, len(names)):] {
		other[name] = true
	}
	return other
}

// sort sorts versions and platforms for display.
func (v *View) sort() {
	sortVersions(v.usedVersions)
	for i, version := range v.usedVersions {
		version.index = i
	}
	slices.SortFunc(v.usedPlatforms, func(a, b *platform) int {
		return cmp.Or(b.usage.compare(a.usage), cmp.Compare(a.OS, b.OS), cmp.Compare(a.Arch, b.Arch))
	})
	for i, platform := range v.usedPlatforms {
		platform.index = i
	}
	v.ordered = newestFirst(v.usedVersions)
}

// sortVersions sorts versions, newest first.
func sortVersions(all []*usedVersion) {
	slices.SortFunc(all, func(a, b *usedVersion) int {
		return cmp.Or(b.parsed.CompareBuild(a.parsed), cmp.Compare(a.name, b.name))
	})
}

// days returns the days of the range that can have data.
func (v *View) days() rollup.Range {
	if v.Known.Days() == 0 {
		return rollup.Range{From: 1, To: 0}
	}
	days := rollup.Range{From: max(v.Query.From, v.Known.From), To: min(v.Query.To, v.Today)}
	if s := v.site(); s != nil {
		days.To = min(days.To, s.Through)
	}
	return days
}

// unfinished reports whether the last day of the range is not over.
func (v *View) unfinished() bool { return v.Query.To >= v.Today && v.site() == nil }

// share returns the share n of all as a value of a table: nil if all is 0.
func share(n, all int64) any {
	if all == 0 {
		return nil
	}
	return float64(n) / float64(all)
}

// orNil returns a value for a table: nil if it is unknown.
func orNil[T any](value T, known bool) any {
	if !known {
		return nil
	}
	return value
}
