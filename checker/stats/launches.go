package stats

import (
	"slices"
	"strings"

	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
	"relcheck/checker/version"
)

// fewLines is the number of minor lines below which releases are shown one by one.
const fewLines = 3

// Launch is a minor line with stable releases, as of its first one, or a stable release if
// the product has few lines. It stands for the versions that charts show together. Launches
// depend on the releases only, not on the query.
type Launch struct {
	Name string     // of the line, or tag
	Day  rollup.Day // of the first release; 0 if unknown

	limit version.Version // the oldest version of the launch
}

// newLaunches returns the launches of stable releases, both newest first.
func newLaunches(l *Lines, stable []*catalog.Ranked) (all []Launch, byLine bool) {
	var previous *catalog.Ranked
	for _, r := range stable {
		switch same := previous != nil && r.Version.CompareLine(previous.Version) == 0; {
		case !r.Version.Ordered():
			continue
		case !same:
			all = append(all, newLaunch(l.line(r.Version), r))
		case !r.Date.IsZero():
			all[len(all)-1].Day = rollup.DayOf(r.Date)
		}
		previous = r
	}
	if len(all) < fewLines {
		all = nil
		for _, r := range stable {
			if r.Version.Ordered() {
				all = append(all, newLaunch(r.Tag, r))
			}
		}
		return all, false
	}
	for i := range all {
		if first := l.scheme.Reported(all[i].Name); first.Ordered() {
			all[i].limit = first
		}
	}
	return all, true
}

func newLaunch(name string, r *catalog.Ranked) Launch {
	one := Launch{Name: name, limit: r.Version}
	if !r.Date.IsZero() {
		one.Day = rollup.DayOf(r.Date)
	}
	return one
}

// Launches returns the launches of the product, newest first.
func (v *View) Launches() []Launch { return v.launches }

// ByLine reports whether the launches are minor lines.
func (v *View) ByLine() bool { return v.byLine }

// LaunchOf returns the name of the launch that a version belongs to, or "".
func (v *View) LaunchOf(version string) string {
	name := v.Line(version)
	if !v.byLine {
		name = v.published.displayName(version)
	}
	if !slices.ContainsFunc(v.launches, func(l Launch) bool { return l.Name == name }) {
		return ""
	}
	return name
}

// IsRelease reports whether a version is a release of the product, not a build of a vendor
// or developer.
func (v *View) IsRelease(version string) bool { return v.published.release(version) != nil }

// Counted returns the columns of the population by which a view answers questions, and its
// name: installations if it has any, and instances otherwise.
func (v *View) Counted() (count, share Column, name string) {
	if v.remembers {
		return ColMeanInstallations, ColInstallationShare, "installations"
	}
	return ColInstances, ColShare, "instances"
}

// MayDrop is the share of installations or instances that may be affected when a version is
// dropped.
const MayDrop = 0.05

// Droppable returns the newest release or minor line below which everything can be dropped,
// and describes how many are affected. It returns "" if no release is known to compare with.
// The function show formats values; an example is [Show].
func (v *View) Droppable(show func(Kind, any) string) (below string, sentences []string) {
	_, share, name := v.Counted()
	for r := range v.Table("droppable").All() {
		if r.Float(ColLimit) != MayDrop {
			continue
		}
		below = r.Text(ColBelow)
		if r.Float(share) == 0 {
			sentences = append(sentences, "No "+strings.TrimSuffix(name, "s")+" runs anything below "+below+".")
		} else {
			sentences = append(sentences, "You can drop everything below "+below+" and affect "+show(Share, r.Value(share))+" of the "+name+".")
		}
		if r.Known(ColNext) {
			sentences = append(sentences, "Below "+r.Text(ColNext)+" it would be "+show(Share, r.Value(ColNextShare))+".")
		}
		if share != ColShare && r.Float(ColShare) >= MayDrop {
			sentences = append(sentences, "But "+show(Share, r.Value(ColShare))+" of the instances that cannot remember run an older version.")
		}
		return below, sentences
	}
	return "", nil
}

// dropLimits are the shares that the rows of droppable stay below.
var dropLimits = []float64{0.01, MayDrop, 0.1, 0.2}

// droppable finds, for each limit, the newest launch below which a smaller share of
// installations or instances runs, see [View.Counted].
func (v *View) droppable(t *Table) {
	older, all := make([]usage, len(v.launches)), v.count(v.usage)
	for i, l := range v.launches {
		for _, u := range v.ordered {
			if u.effective.CompareBuild(l.limit) < 0 {
				older[i].add(u.usage)
			}
		}
	}
	for _, limit := range dropLimits {
		for i, u := range older {
			if all == 0 || float64(v.count(u)) >= limit*float64(all) {
				continue
			}
			var next, nextShare any
			if i > 0 {
				next, nextShare = v.launches[i-1].Name, share(v.count(older[i-1]), all)
			}
			v.addUsed(t, []any{limit, v.launches[i].Name}, u, next, nextShare)
			break
		}
	}
}
