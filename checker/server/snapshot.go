package server

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"relcheck/checker"
)

// snapshot is the catalog that requests are answered from. It never changes once
// it is made, so that requests share it without a lock. The one that follows it
// shares with it whatever has not changed.
type snapshot struct {
	revision checker.Revision
	products map[string]*product
	repos    map[string]*product // by "owner/name" in lower case
}

// product is what a snapshot knows of a product.
type product struct {
	id int64
	checker.Product
	origins  []string   // of web pages whose reports are recorded
	releases []*release // newest first
	index    releaseIndex
	stable   *offer // for most callers
	preview  *offer // for callers on a pre-release; often the same
	refused  string // why a link is left out of answers; empty if none is
}

// release is a release of a snapshot.
type release struct {
	checker.Release
	key string // the canonical version
}

// with returns the snapshot after some changes.
func (s *snapshot) with(c checker.Changes) *snapshot {
	next := &snapshot{c.Revision, map[string]*product{}, map[string]*product{}}
	if !c.All {
		next.products, next.repos = maps.Clone(s.products), maps.Clone(s.repos)
	}
	if c.Left != nil {
		gone := func(_ string, p *product) bool { return !c.Left[p.id] }
		maps.DeleteFunc(next.products, gone)
		maps.DeleteFunc(next.repos, gone)
	}
	for _, l := range c.Products {
		old := next.products[l.Name]
		if old != nil && next.repos[strings.ToLower(old.Repo)] == old {
			delete(next.repos, strings.ToLower(old.Repo))
		}
		p := old.with(l)
		next.products[p.Name] = p
		if p.Repo != "" {
			next.repos[strings.ToLower(p.Repo)] = p
		}
	}
	return next
}

// names returns those of the products, in order.
func (s *snapshot) names() []string { return slices.Sorted(maps.Keys(s.products)) }

// with returns a product after a change of it and of the listed releases.
// Without a product, or with another one of the same name, the listing is all.
func (p *product) with(l checker.Listing) *product {
	if p == nil || p.id != l.ID {
		p = &product{}
	}
	changed := make([]*release, len(l.Releases))
	for i, r := range l.Releases {
		changed[i] = &release{r, checker.Canonical(r.Version)}
	}
	next := &product{id: l.ID, Product: l.Product, origins: strings.Fields(l.Origins), releases: merge(p.releases, changed)}
	next.index = p.index.with(changed, next.releases)
	var stable, preview *release
	for _, r := range next.releases {
		switch {
		case r.Withdrawn:
			continue
		case preview == nil:
			preview = r
		}
		if !r.Prerelease {
			stable = r
			break
		}
	}
	next.stable = next.offer(stable, p.stable, p.preview)
	next.preview = next.stable
	if preview != stable {
		next.preview = next.offer(preview, p.stable, p.preview)
	}
	if err := cmp.Or(next.stable.refused, next.preview.refused); err != nil {
		next.refused = err.Error()
	}
	return next
}

// offer returns the offer of a release: one of those there were, if it is the
// same.
func (p *product) offer(r *release, old ...*offer) *offer {
	for _, o := range old {
		if o != nil && o.release == r && o.product == p.Product {
			return o
		}
	}
	return newOffer(p.Product, r)
}

func newestFirst(a, b *release) int { return semver.Compare(b.key, a.key) }

// merge returns releases with those that have changed, newest first.
func merge(releases, changed []*release) []*release {
	slices.SortFunc(changed, newestFirst)
	merged := make([]*release, 0, len(releases)+len(changed))
	for _, r := range changed {
		i, found := slices.BinarySearchFunc(releases, r, newestFirst)
		merged = append(append(merged, releases[:i]...), r)
		if found {
			i++
		}
		releases = releases[i:]
	}
	return append(merged, releases...)
}

// releaseIndex finds releases by canonical version. To share with the index
// before what has not changed, it holds apart what has changed recently.
type releaseIndex struct{ all, recent map[string]*release }

func (x releaseIndex) find(key string) *release {
	if r := x.recent[key]; r != nil {
		return r
	}
	return x.all[key]
}

// with returns the index of releases, some of which have changed.
func (x releaseIndex) with(changed, releases []*release) releaseIndex {
	if len(x.recent)+len(changed) <= 16+len(x.all)/64 {
		x.recent = maps.Clone(x.recent)
		if x.recent == nil {
			x.recent = map[string]*release{}
		}
		for _, r := range changed {
			x.recent[r.key] = r
		}
		return x
	}
	x = releaseIndex{all: make(map[string]*release, len(releases))}
	for _, r := range releases {
		x.all[r.key] = r
	}
	return x
}

// find returns the release of a reported version, however it is spelled, or nil,
// and the canonical version.
func (p *product) find(version string) (r *release, key string) {
	key = checker.Canonical(version)
	return p.index.find(key), key
}

// published reports whether a version is the tag of release r, with or without a
// leading "v".
func (r *release) published(version string) bool {
	return r != nil && strings.TrimPrefix(r.Version, "v") == strings.TrimPrefix(version, "v")
}

// judge chooses what to offer to a caller whose version is canonical and that of
// release r, which is nil if there is no such release, and says whether the caller
// is up to date. A suffix that is no pre-release of the product ("0.21.0-istio")
// does not count. While there is nothing to offer, nothing newer is known either.
func (p *product) judge(r *release, version string) (*offer, verdict) {
	o, v := p.stable, version
	if v == "" {
		return o, unjudged
	}
	if r != nil && r.Prerelease {
		o = p.preview
	} else {
		v = checker.Core(v)
	}
	if semver.Compare(v, o.version) < 0 {
		return o, outdated
	}
	return o, upToDate
}

// listing returns the product with its releases, newest first.
func (p *product) listing() checker.Listing {
	l := checker.Listing{ID: p.id, Product: p.Product, Releases: make([]checker.Release, len(p.releases))}
	for i, r := range p.releases {
		l.Releases[i] = r.Release
	}
	return l
}
