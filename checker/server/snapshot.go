package server

import (
	"cmp"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"relcheck/checker"
	"relcheck/checker/catalog"
)

// snapshot is the state of the catalog from which requests are answered. It is immutable,
// so requests share it without a lock. The next snapshot shares what has not changed.
type snapshot struct {
	revision catalog.Revision
	products index[product]
	repos    index[product] // by "owner/name" in lower case
}

// product is a product of a snapshot.
type product struct {
	id int64
	catalog.Product
	origins  []string // of web pages that may send reports
	releases releases
	stable   *offer // offered to most clients
	preview  *offer // offered to clients that run a pre-release; often the same
	linkErr  string // why a link is left out of answers, or empty
}

// with returns the snapshot after changes.
func (s *snapshot) with(c catalog.Changes) *snapshot {
	if c.All {
		s = &snapshot{}
	}
	products, repos := map[string]*product{}, map[string]*product{}
	if c.Remaining != nil {
		for name, p := range s.products.values() {
			if !c.Remaining[p.id] {
				products[name] = nil
				repos[strings.ToLower(p.Repo)] = nil
			}
		}
	}
	for _, l := range c.Products {
		old := s.products.find(l.Name)
		if repo := strings.ToLower(l.Repo); old != nil && strings.ToLower(old.Repo) != repo {
			if _, taken := repos[strings.ToLower(old.Repo)]; !taken {
				repos[strings.ToLower(old.Repo)] = nil
			}
		}
		p := old.with(l)
		products[p.Name] = p
		if p.Repo != "" {
			repos[strings.ToLower(p.Repo)] = p
		}
	}
	return &snapshot{c.Revision, s.products.with(products), s.repos.with(repos)}
}

// names returns the names of the products, sorted.
func (s *snapshot) names() (names []string) {
	for name := range s.products.values() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
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
	for r := range next.releases.newest() {
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
	if err := cmp.Or(next.stable.linkErr, next.preview.linkErr); err != nil {
		next.linkErr = err.Error()
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
	return p.releases.find(key), key
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

// listing returns the product with its releases, newest first.
func (p *product) listing() catalog.Listing {
	l := catalog.Listing{ID: p.id, Product: p.Product, Releases: make([]catalog.Release, 0, p.releases.count)}
	for r := range p.releases.newest() {
		l.Releases = append(l.Releases, r.Release)
	}
	return l
}
