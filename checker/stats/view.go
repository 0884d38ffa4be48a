package stats

import (
	"time"

	"relcheck/checker"
)

// View is what is known about a product, as tables. It may be used by several
// goroutines at once.
type View struct {
	Product checker.Product
	Query   Query
	Known   Range     // see [Figures]
	AsOf    time.Time // see [Figures]
	Today   Day       // it is not over yet, and its figures still grow
	Latest  string    // the tag of the latest release, or empty

	tables   []definition
	builds   []build
	versions []*version // newest first
	index    releases
	ids      int64 // of all builds, in the range
}

// NewView returns the view of what was asked about a product. The figures are
// those of the query's range, of builds that its filter keeps; they are only read.
func NewView(l checker.Listing, q Query, f *Figures, today Day) *View {
	v := &View{Product: l.Product, Query: q, Known: f.Known, AsOf: f.AsOf, Today: today, tables: definitions}
	v.index = newReleases(l.Releases)
	if v.index.latest != nil {
		v.Latest = v.index.latest.Version
	}
	v.count(f)
	return v
}

// Table returns one of [TableNames], or nil when the view has none of that name.
func (v *View) Table(name string) *Table {
	for i := range v.tables {
		if v.tables[i].Name == name {
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

// build is one build of the figures, with its distinct ids.
type build struct {
	*BuildFigures
	version *version
	ids     int64
	// exceed is how many of them exceeded as many of the heap limits as the
	// index says, or more. The first are those that told a heap at all.
	exceed []int64
}

// count takes up the figures' builds.
func (v *View) count(f *Figures) {
	byName := map[string]*version{}
	v.builds = make([]build, len(f.Builds))
	for i := range f.Builds {
		b := build{BuildFigures: &f.Builds[i]}
		b.ids, b.exceed = b.Total.count()
		b.version = byName[v.index.shown(b.Version)]
		if b.version == nil {
			b.version = v.index.version(b.Version)
			byName[b.version.name] = b.version
			v.versions = append(v.versions, b.version)
		}
		b.version.ids += b.ids
		b.version.reports += b.Total.Reports
		v.ids += b.ids
		v.builds[i] = b
	}
	sortVersions(v.versions)
}

// share returns n of all as a value of a table: nil when there are none at all.
func share(n, all int64) any {
	if all == 0 {
		return nil
	}
	return float64(n) / float64(all)
}
