package catalog

import (
	"cmp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"relcheck/checker/version"
)

// Ranked is a release with its parsed version. It must not be copied.
type Ranked struct {
	Release
	Version   version.Version
	downloads atomic.Pointer[Downloads]
	named     atomic.Pointer[NamedFiles]
	byName    atomic.Pointer[map[string]*NamedFile]
}

// Rank returns releases of the product with their versions, newest first: by version,
// then date, then tag. Releases without an order come last.
func (p *Product) Rank(releases []Release) []*Ranked {
	scheme, all, ranked := p.Scheme(), make([]Ranked, len(releases)), make([]*Ranked, len(releases))
	for i, r := range releases {
		all[i].Release, all[i].Version = r, scheme.Parse(r.Tag)
		ranked[i] = &all[i]
	}
	slices.SortFunc(ranked, CompareRank)
	return ranked
}

// CompareRank returns -1 if a comes before b in the order of [Product.Rank].
func CompareRank(a, b *Ranked) int {
	if c := b.Version.CompareBuild(a.Version); c != 0 { // nearly always
		return c
	}
	return cmp.Or(b.Date.Compare(a.Date), strings.Compare(b.Tag, a.Tag))
}

// Downloads returns the files of the release, which belongs to p. It chooses them once.
func (r *Ranked) Downloads(p *Product) *Downloads {
	d := r.downloads.Load()
	if d == nil {
		d = p.Downloads(&r.Release)
		r.downloads.Store(d)
	}
	return d
}

// NamedFiles returns the files of the release, which belongs to p. It names them once.
func (r *Ranked) NamedFiles(p *Product) NamedFiles {
	files := r.named.Load()
	if files == nil {
		files = new(p.NamedFiles(&r.Release))
		r.named.Store(files)
	}
	return *files
}

// NamedFile returns the file with a name, as [NamedFiles.Named] does. It makes an index once,
// because a release can have thousands of files.
func (r *Ranked) NamedFile(p *Product, name string) *NamedFile {
	index := r.byName.Load()
	if index == nil {
		index = new(r.NamedFiles(p).byName())
		r.byName.Store(index)
	}
	return (*index)[name]
}

// Offer is what a product, or one of its channels, offers to its clients.
type Offer struct {
	// Latest is offered to most clients, or nil.
	Latest *Ranked

	// Previews are the newest pre-releases of each core version that are newer than
	// Latest, newest first. See [Offer.For].
	Previews []*Ranked

	// Next is the earliest time at which a release that waits is offered, or zero.
	Next time.Time
}

// Offer returns what the product offers at a time. The releases must be in the order of
// [Product.Rank]. If the channel is nil, the product's own range applies.
func (p *Product) Offer(ranked []*Ranked, channel *Channel, now time.Time) Offer {
	return p.OfferBefore(ranked, p.Waiting(ranked, now), channel, now)
}

// OfferBefore is [Product.Offer] for a caller that knows which of the releases are waiting,
// see [Product.Waiting].
func (p *Product) OfferBefore(ranked, waiting []*Ranked, channel *Channel, now time.Time) (o Offer) {
	c := Channel{Match: p.Match}
	if channel != nil {
		c = *channel
	}
	allowed := p.parseRange(c.Match)
	for i, r := range ranked {
		if obstacle(r, allowed) != "" || p.availableFrom(r, ranked[i+1:], allowed, c, now).After(now) {
			continue
		}
		if !r.Prerelease || c.Prereleases {
			o.Latest = r
			break
		}
		if n := len(o.Previews); n == 0 || o.Previews[n-1].Version.CompareCore(r.Version) != 0 {
			o.Previews = append(o.Previews, r)
		}
	}
	for _, r := range waiting {
		if obstacle(r, allowed) != "" {
			continue
		}
		i, _ := slices.BinarySearchFunc(ranked, r, CompareRank)
		if from := p.availableFrom(r, ranked[i+1:], allowed, c, now); from.After(now) && (o.Next.IsZero() || from.Before(o.Next)) {
			o.Next = from
		}
	}
	return o
}

// Waiting returns the releases that may be offered later than now: few, because the others
// have been out for long enough. None that is not among them waits at a later time.
func (p *Product) Waiting(releases []*Ranked, now time.Time) (waiting []*Ranked) {
	for _, r := range releases {
		if p.waits(r, now) {
			waiting = append(waiting, r)
		}
	}
	return waiting
}

// Offered returns all releases that the product, or one of its channels, offers at a time,
// newest first. Pre-releases are among them.
func (p *Product) Offered(ranked []*Ranked, channel *Channel, now time.Time) (offered []*Ranked) {
	c := Channel{Match: p.Match}
	if channel != nil {
		c = *channel
	}
	allowed := p.parseRange(c.Match)
	for i, r := range ranked {
		if obstacle(r, allowed) == "" && !p.availableFrom(r, ranked[i+1:], allowed, c, now).After(now) {
			offered = append(offered, r)
		}
	}
	return offered
}

// waits reports whether a release may be offered later than now.
func (p *Product) waits(r *Ranked, now time.Time) bool {
	return p.offeredFrom(r).After(now) || p.RequireFiles && now.Before(r.Date.Add(MaxHold))
}

// availableFrom returns the earliest time at which a release that has no obstacle is offered.
func (p *Product) availableFrom(r *Ranked, older []*Ranked, allowed version.Range, c Channel, now time.Time) time.Time {
	from, hold := p.offeredFrom(r), r.Date.Add(MaxHold)
	if p.RequireFiles && from.Before(hold) && now.Before(hold) && p.lacksFiles(r, older, allowed, c.Prereleases) {
		return hold
	}
	return from
}

// The obstacles that callers distinguish, see [obstacle].
const (
	outOfRange     = "not in range"
	otherComponent = "other component"
	notVersion     = "not a version"
)

// obstacle returns why a release is never offered in a range, as a phrase, or "".
func obstacle(r *Ranked, allowed version.Range) string {
	switch {
	case r.Withdrawn:
		return "withdrawn"
	case r.Version.OtherComponent():
		return otherComponent
	case !r.Version.Ordered():
		return notVersion
	case !allowed.Contains(r.Version):
		return outOfRange
	}
	return ""
}

// offeredFrom returns the earliest time at which a release is offered, if it has its files.
func (p *Product) offeredFrom(r *Ranked) time.Time {
	if r.Date.IsZero() {
		return time.Time{}
	}
	return r.Date.Add(p.MinAge)
}

// lacksFiles reports whether the release before r has a file for a platform, and r has none.
// The release before is the newest older one that can be offered to the same clients.
func (p *Product) lacksFiles(r *Ranked, older []*Ranked, allowed version.Range, prereleases bool) bool {
	for _, before := range older {
		if obstacle(before, allowed) == "" && (!before.Prerelease || r.Prerelease || prereleases) {
			return r.Downloads(p).Lacks(before.Downloads(p))
		}
	}
	return false
}

// WithdrawnBuild reports whether a version that is not released is a build of a release that
// was withdrawn: 2.0.0+local of 2.0.0. If several releases differ only in their build
// metadata, all of them must be withdrawn. The releases must be in the order of
// [Product.Rank].
func WithdrawnBuild(ranked []*Ranked, v version.Version) bool {
	i, found := slices.BinarySearchFunc(ranked, v, func(r *Ranked, v version.Version) int { return v.Compare(r.Version) })
	if !found || !v.Ordered() {
		return false
	}
	for _, r := range ranked[i:] {
		if v.Compare(r.Version) != 0 {
			break
		}
		if !r.Withdrawn {
			return false
		}
	}
	return true
}

// For returns what is offered to a client that runs a pre-release: the newest
// pre-release of the same core version, if it is newer than the latest release. A
// pre-release of a higher version is offered only if there is no release.
func (o *Offer) For(prerelease version.Version) *Ranked {
	for _, r := range o.Previews {
		if o.Latest == nil || r.Version.CompareCore(prerelease) == 0 {
			return r
		}
	}
	return o.Latest
}

// NotOffered returns why a release is not offered as the latest one, even if it were the
// newest, as a phrase, or "". The range is the product's: parsing it for each of many
// releases would be slow. Whether files are missing does not count.
func (p *Product) NotOffered(r *Ranked, allowed version.Range, now time.Time) string {
	why, from := obstacle(r, allowed), p.offeredFrom(r)
	switch {
	case r.Withdrawn && r.Reason != "":
		return why + ": " + r.Reason
	case why == outOfRange:
		return "not in " + p.Match
	case why != "":
		return why
	case from.After(now):
		return "from " + from.UTC().Format(time.RFC3339) + " on"
	case r.Prerelease:
		return "pre-release"
	}
	return ""
}
