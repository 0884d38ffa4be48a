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

// View is what is known about a product, as tables. It may be used by several
// goroutines at once.
type View struct {
	Product catalog.Product
	Query   Query
	Known   rollup.Range // see [Totals]
	AsOf    time.Time    // see [Totals]
	Today   rollup.Day   // it is not over yet, and its figures still grow
	Latest  string       // the tag of the latest release, or empty

	tables    []definition
	known     rollup.Range // what is known; of a view that is public, as far as everyone may see
	threshold int64        // see [View.Public]
	published published
	builds    []build
	used      []*version  // those that were reported, newest first
	ladder    []*version  // those of them that can be compared, by that
	hosts     []*platform // where they were reported from, most used first
	ids       int64       // of all builds, in the range
}

// build is one build of the figures, and what is counted in it.
type build struct {
	*rollup.BuildTotals
	version  *version
	platform *platform
	ids      int64
}

// platform is what builds of one platform have in common.
type platform struct {
	checker.Platform
	place        int // in the view's order
	ids, reports int64
}

// NewView returns the view of what was asked about a product. The figures are
// those of the query's range, of builds that its filter keeps; they are only read.
func NewView(l catalog.Listing, q Query, f *rollup.Totals, today rollup.Day) *View {
	v := &View{Product: l.Product, Query: q, Known: f.Known, AsOf: f.AsOf, Today: today, tables: definitions, known: f.Known}
	v.published = publishedOf(l.Releases)
	if v.published.latest != nil {
		v.Latest = v.published.latest.Version
	}
	v.count(f.Builds)
	return v
}

// Table returns one of [TableNames], or nil when the view has none of that name.
func (v *View) Table(name string) *Table {
	for i := range v.tables {
		if v.tables[i].name == name {
			return v.tables[i].of(v)
		}
	}
	return nil
}

// Tables returns all of them, in the order of [TableNames].
func (v *View) Tables() []*Table {
	all := make([]*Table, len(v.tables))
	for i := range v.tables {
		all[i] = v.tables[i].of(v)
	}
	return all
}

// uvarint takes up the builds, and sums them up by version and by platform.
func (v *View) count(builds []rollup.BuildTotals) {
	versions, platforms := map[string]*version{}, map[checker.Platform]*platform{}
	rare := v.rare(builds)
	v.builds = make([]build, len(builds))
	for i := range builds {
		b := &v.builds[i]
		b.BuildTotals = &builds[i]
		b.ids = b.Distinct.Instances

		name, of := v.published.shown(b.Version), b.Version
		if rare[name] {
			name, of = rollup.Other, rollup.Other
		}
		if versions[name] == nil {
			versions[name] = v.published.version(of)
			v.used = append(v.used, versions[name])
		}
		if platforms[b.Platform] == nil {
			platforms[b.Platform] = &platform{Platform: b.Platform}
			v.hosts = append(v.hosts, platforms[b.Platform])
		}
		b.version, b.platform = versions[name], platforms[b.Platform]
		b.version.ids += b.ids
		b.version.reports += b.Reports
		b.platform.ids += b.ids
		b.platform.reports += b.Reports
		v.ids += b.ids
	}
	v.arrange()
}

// maxUnreleased is how many versions that are no releases are told apart. Anybody
// can make up a hundred a day.
const maxUnreleased = 200

// rare returns the versions that count as other, for there are too many: those
// that are no releases and have fewer ids than maxUnreleased others.
func (v *View) rare(builds []rollup.BuildTotals) map[string]bool {
	ids := map[string]int64{}
	for i := range builds {
		if v.published.byKey[checker.Canonical(builds[i].Version)] == nil {
			ids[v.published.shown(builds[i].Version)] += builds[i].Instances
		}
	}
	if len(ids) <= maxUnreleased {
		return nil
	}
	names := slices.SortedFunc(maps.Keys(ids), func(a, b string) int { return cmp.Or(cmp.Compare(ids[b], ids[a]), cmp.Compare(a, b)) })
	rare := map[string]bool{}
	for _, name := range names[maxUnreleased:] {
		rare[name] = true
	}
	return rare
}

// arrange brings versions and platforms into the order they are shown in.
func (v *View) arrange() {
	slices.SortFunc(v.used, func(a, b *version) int {
		return cmp.Or(checker.Compare(b.key, a.key), cmp.Compare(a.name, b.name))
	})
	for i, one := range v.used {
		one.place = i
	}
	slices.SortFunc(v.hosts, func(a, b *platform) int {
		return cmp.Or(cmp.Compare(b.ids, a.ids), cmp.Compare(a.OS, b.OS), cmp.Compare(a.Arch, b.Arch))
	})
	for i, one := range v.hosts {
		one.place = i
	}
	v.ladder = ladder(v.used)
}

// days are those of the range that anything can be known of.
func (v *View) days() rollup.Range {
	if v.known.Days() == 0 {
		return rollup.Range{From: 1, To: 0}
	}
	return rollup.Range{From: max(v.Query.From, v.known.From), To: min(v.Query.To, v.Today)}
}

// unfinished tells whether the range's last day goes on.
func (v *View) unfinished() bool { return v.Query.To >= v.Today }

// share returns n of all as a value of a table: nil when there are none at all.
func share(n, all int64) any {
	if all == 0 {
		return nil
	}
	return float64(n) / float64(all)
}

// orNil returns a value for a table when it is known.
func orNil[T any](value T, known bool) any {
	if !known {
		return nil
	}
	return value
}
