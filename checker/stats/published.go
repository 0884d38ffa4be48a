package stats

import (
	"slices"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
	"relcheck/checker/version"
)

// published has the releases of a product, to compare versions with.
type published struct {
	Lines
	byTag   map[string]*catalog.Ranked // by the trimmed tag, see [version.Scheme.Trim]
	latest  *catalog.Ranked            // nil if there is none
	preview *catalog.Ranked            // the newest pre-release if there is no latest release, or nil
	newer   []int64                    // by n: how many of the n newest releases are counted by [published.behind]
	stable  []*catalog.Ranked          // these releases, newest first
}

// usedVersion has the counts of the builds of a version, in all its spellings.
type usedVersion struct {
	name      string          // for display
	parsed    version.Version // of name
	effective version.Version // stands for the version in comparisons, see [published.effective]
	line      string          // minor line, or [rollup.Other]
	release   *catalog.Ranked // nil if it is unreleased
	withdrawn bool            // it, or the release that it is a build of
	index     int             // in View.usedVersions

	usage
	reports int64
}

// newPublished returns the releases of a product at a time.
func newPublished(product *catalog.Product, ranked []*catalog.Ranked, now time.Time) published {
	p := published{Lines: NewLines(product, ranked), byTag: make(map[string]*catalog.Ranked, len(ranked))}
	for _, r := range ranked {
		if key := p.scheme.Trim(r.Tag); p.byTag[key] == nil { // otherwise another spelling of the same version
			p.byTag[key] = r
		}
	}
	offer := product.Offer(ranked, nil, now)
	if p.latest = offer.Latest; p.latest == nil && len(offer.Previews) > 0 {
		p.preview = offer.Previews[0]
	}
	p.newer = make([]int64, len(ranked)+1)
	allowed, offered := product.Range(), false // offered: r is the latest release or older
	for i, r := range ranked {
		p.newer[i+1] = p.newer[i]
		offered = offered || r == p.latest
		if offered && product.NotOffered(r, allowed, now) == "" {
			p.newer[i+1]++
			p.stable = append(p.stable, r)
		}
	}
	return p
}

// release returns the release of a reported version, or nil if it is unreleased.
func (p *published) release(reported string) *catalog.Ranked { return p.byTag[p.scheme.Trim(reported)] }

// displayName returns how a version of a report or query is shown: in the spelling of its
// release, or else without the prefix of tags.
func (p *published) displayName(reported string) string {
	if r := p.release(reported); r != nil {
		return r.Tag
	}
	return p.named(p.scheme.Reported(reported), p.scheme.Trim(reported))
}

func (p *published) usedVersion(reported string) *usedVersion {
	u := &usedVersion{release: p.release(reported), line: rollup.Other}
	if u.release != nil {
		u.name, u.parsed, u.effective, u.withdrawn = u.release.Tag, u.release.Version, u.release.Version, u.release.Withdrawn
	} else {
		u.parsed = p.scheme.Reported(reported)
		u.name, u.effective = p.named(u.parsed, p.scheme.Trim(reported)), p.effective(u.parsed)
		u.withdrawn = catalog.WithdrawnBuild(p.ranked, u.effective)
	}
	if u.parsed.Ordered() {
		u.line = p.line(u.parsed)
	}
	return u
}

// effective returns the version that stands for an unreleased one in comparisons: without
// a vendor's suffix, because 0.21.0-istio is as new as 0.21.0. A release that differs at most
// in its build metadata stands for it, the newest of several, because the metadata of other
// builds has no order.
func (p *published) effective(v version.Version) version.Version {
	v = v.WithoutVendor()
	i, found := slices.BinarySearchFunc(p.ranked, v, func(r *catalog.Ranked, v version.Version) int { return v.Compare(r.Version) })
	if found && v.Ordered() {
		return p.ranked[i].Version
	}
	return v
}

// firstNotNewer returns the index of the newest release that is not newer than a version.
func (p *published) firstNotNewer(v version.Version) int {
	i, _ := slices.BinarySearchFunc(p.ranked, v, func(r *catalog.Ranked, v version.Version) int { return v.CompareBuild(r.Version) })
	return i
}

// comparable reports whether it is known how far a version is behind the latest release. A
// withdrawn release that is not older than the latest one is not up to date either.
func (p *published) comparable(u *usedVersion) bool {
	return u.effective.Ordered() && p.latest != nil && (!u.withdrawn || u.effective.CompareBuild(p.latest.Version) < 0)
}

// behind returns the number of stable releases that are newer than a version, and whether
// it is known. Like the latest release, they are in the product's range and not withdrawn,
// and their day has come.
func (p *published) behind(u *usedVersion) (n int64, known bool) {
	if !p.comparable(u) {
		return 0, false
	}
	return p.newer[p.firstNotNewer(u.effective)], true
}

// daysBehind returns how many days before the latest release a version was released, and
// whether that is known. A fix of an old line that was released after the latest release
// is 0 days behind. An unreleased version is as old as the release that it was built from.
func (p *published) daysBehind(u *usedVersion) (n int64, known bool) {
	if !p.comparable(u) {
		return 0, false
	}
	if u.effective.CompareBuild(p.latest.Version) >= 0 {
		return 0, true
	}
	own := u.release
	if i := p.firstNotNewer(u.effective); own == nil && i < len(p.ranked) && p.ranked[i].Version.Compare(u.effective) == 0 {
		own = p.ranked[i]
	}
	if own == nil || own.Date.IsZero() || p.latest.Date.IsZero() {
		return 0, false
	}
	return max(0, int64(rollup.DayOf(p.latest.Date)-rollup.DayOf(own.Date))), true
}

// releaseDay returns the day of a release as a value of a table.
func releaseDay(r *catalog.Ranked) any {
	if r == nil || r.Date.IsZero() {
		return nil
	}
	return rollup.DayOf(r.Date)
}

// newestFirst returns the versions that can be compared, sorted by effective version.
func newestFirst(all []*usedVersion) (ordered []*usedVersion) {
	for _, u := range all {
		if u.effective.Ordered() {
			ordered = append(ordered, u)
		}
	}
	slices.SortStableFunc(ordered, func(a, b *usedVersion) int { return b.effective.CompareBuild(a.effective) })
	return ordered
}

// atLeast returns a function that returns the number of ordered versions that are not older
// than v. It must be called with ever older versions.
func (v *View) atLeast() func(version.Version) int {
	n := 0
	return func(limit version.Version) int {
		for n < len(v.ordered) && v.ordered[n].effective.CompareBuild(limit) >= 0 {
			n++
		}
		return n
	}
}
