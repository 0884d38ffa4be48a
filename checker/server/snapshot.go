package server

import (
	"cmp"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"relcheck/checker"
	"relcheck/checker/catalog"
)

// snapshot is the catalog that requests are answered from. It never changes once
// it is made, so that requests share it without a lock. The one that follows it
// shares with it whatever has not changed.
type snapshot struct {
	revision catalog.Revision
	products index[product]
	repos    index[product] // by "owner/name" in lower case
}

// product is what a snapshot knows of a product.
type product struct {
	id int64
	catalog.Product
	origins  []string // of web pages whose reports are recorded
	releases releases
	stable   *offer // for most callers
	preview  *offer // for callers on a pre-release; often the same
	linkErr  string // why a link is left out of answers; empty if none is
}

// with returns the snapshot after some changes.
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

// names returns those of the products, in order.
func (s *snapshot) names() (names []string) {
	for name := range s.products.values() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// with returns a product after a change of it and of the listed releases.
// Without a product, or with another one of the same name, the listing is all.
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

// find returns the release of a reported version, however it is spelled, or nil,
// and the canonical version.
func (p *product) find(version string) (r *release, key string) {
	key = checker.Canonical(version)
	return p.releases.find(key), key
}

// judge chooses what to offer to a caller whose version is canonical and that of
// release r, which is nil if there is no such release, and says whether the caller
// is up to date. A suffix that is no pre-release of the product ("0.21.0-istio")
// does not count. While there is nothing to offer, nothing newer is known either.
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
