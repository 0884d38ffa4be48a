package server

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"relcheck/checker"
	"relcheck/checker/catalog"
)

// snapshot is the state of the catalog that answers requests. It is immutable,
// so requests share it without a lock. A change copies the maps, which takes a few
// milliseconds at the limits of a store; unchanged products and releases are shared.
type snapshot struct {
	revision catalog.Revision
	products map[string]*product
	repos    map[string]*product // by "owner/name" in lower case
}

type product struct {
	id int64
	catalog.Product
	origins  []string // of web pages that may send reports
	releases releases
	stable   *offer // offered to most clients
	preview  *offer // offered to clients that run a pre-release; often the same
}

func (s *snapshot) with(c catalog.Changes) *snapshot {
	next := &snapshot{c.Revision, map[string]*product{}, map[string]*product{}}
	if !c.All {
		maps.Copy(next.products, s.products)
	}
	if c.Remaining != nil {
		maps.DeleteFunc(next.products, func(_ string, p *product) bool { return !c.Remaining[p.id] })
	}
	for _, l := range c.Products {
		next.products[l.Name] = next.products[l.Name].with(l)
	}
	for _, p := range next.products {
		if p.Repo != "" {
			next.repos[strings.ToLower(p.Repo)] = p
		}
	}
	return next
}

// with returns the product after a change of it and of the listed releases. If p is nil, or
// is another product of the same name, the listing is complete.
func (p *product) with(l catalog.Listing) *product {
	if p == nil || p.id != l.ID {
		p = &product{}
	}
	changed := make([]*release, len(l.Releases))
	for i, r := range l.Releases {
		changed[i] = &release{r, checker.Canonical(r.Version)}
	}
	next := &product{id: l.ID, Product: l.Product, origins: strings.Fields(l.Origins), releases: p.releases.with(changed)}
	var stable, preview *release
	for _, r := range next.releases.sorted {
		if r.Withdrawn {
			continue
		}
		preview = cmp.Or(preview, r)
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
	return next
}

// offer returns the offer of a release. It reuses an old one for the same release.
func (p *product) offer(r *release, old ...*offer) *offer {
	for _, o := range old {
		if o != nil && o.release == r && o.product == p.Product {
			return o
		}
	}
	return newOffer(p.Product, r)
}

// find returns the release of a reported version in any spelling, or nil, and the
// canonical version.
func (p *product) find(version string) (r *release, key string) {
	key = checker.Canonical(version)
	return p.releases.byKey[key], key
}

// judge returns what to offer to a client that runs a canonical version, and the verdict
// about that version. r is its release, or nil if it is unreleased. A suffix that is not a
// pre-release of the product ("0.21.0-istio") is ignored. As long as there is no release to
// offer, every version is up to date.
func (p *product) judge(r *release, version string) (*offer, verdict) {
	o, v := p.stable, version
	if v == "" {
		return o, unknown
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

func (p *product) listing() catalog.Listing {
	l := catalog.Listing{ID: p.id, Product: p.Product, Releases: make([]catalog.Release, 0, len(p.releases.sorted))}
	for _, r := range p.releases.sorted {
		l.Releases = append(l.Releases, r.Release)
	}
	return l
}

type release struct {
	catalog.Release
	key string // the canonical version
}

// published reports whether a version is the tag of release r, with or without a
// leading "v". No release has a tag if r is nil.
func (r *release) published(version string) bool {
	return r != nil && strings.TrimPrefix(r.Version, "v") == strings.TrimPrefix(version, "v")
}

// releases are the releases of a product, by canonical version and in order. They are
// immutable.
type releases struct {
	byKey  map[string]*release
	sorted []*release // newest first
}

func (l releases) with(changed []*release) releases {
	byKey := make(map[string]*release, len(l.byKey)+len(changed))
	maps.Copy(byKey, l.byKey)
	for _, r := range changed {
		byKey[r.key] = r
	}
	slices.SortFunc(changed, newestFirst) // so that the first releases of a product are appended
	sorted := slices.Clone(l.sorted)
	for _, r := range changed {
		if i, found := slices.BinarySearchFunc(sorted, r, newestFirst); found {
			sorted[i] = r
		} else {
			sorted = slices.Insert(sorted, i, r)
		}
	}
	return releases{byKey, sorted}
}

func newestFirst(a, b *release) int { return semver.Compare(b.key, a.key) }
