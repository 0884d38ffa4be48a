package server

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/server/pages"
	"relcheck/checker/stats"
	"relcheck/checker/version"
)

// snapshot is the state of the catalog that answers requests. It is immutable,
// so requests share it without a lock. A change copies lists and maps, which takes less
// than a millisecond at the limits of a store; unchanged products and releases are shared.
type snapshot struct {
	revision catalog.Revision
	products layeredMap[product]
	repos    layeredMap[product]  // by "owner/name" in lower case
	waiting  map[string]time.Time // by product name: when the next release that waits is offered
	links    *links

	entries   *entries
	directory *directory
	answers   *answerCache
	menu      func() *pages.Menu

	report    *call // shared by all requests of reportPath
	reportErr error // if that has no product
}

type product struct {
	id int64
	catalog.Product
	links    *links
	scheme   version.Scheme
	origins  []string                   // of web pages that may send reports
	releases []*catalog.Ranked          // newest first
	byTag    layeredMap[catalog.Ranked] // by the trimmed tag, see [version.Scheme.Trim]; the highest of several tags
	others   layeredMap[catalog.Ranked] // by tag: other spellings, and tags of other components
	channels map[string]*channel        // by name; "" is the default one
	waiting  []*catalog.Ranked          // see [catalog.Product.Waiting]
	next     time.Time                  // the earliest time at which one of them is offered, or zero
	hints    func() []string            // see [catalog.Product.Hints]
	lines    func() *stats.Lines

	entries    []productEntry
	unanswered []string                 // why it does not answer dialects that it lists
	withdrawn  func() []*catalog.Ranked // published and withdrawn, newest first
}

// channel is the offer of a channel of a product.
type channel struct {
	catalog.Offer
	latest   *offer
	previews []*offer // of Offer.Previews

	prereleases bool
	offered     func() []*catalog.Ranked // see [catalog.Product.Offered]
}

// newSnapshot returns the snapshot of an empty catalog.
func newSnapshot(l *links, es *entries) *snapshot {
	s := &snapshot{links: l, entries: es, directory: newDirectory(nil), answers: newAnswerCache()}
	s.menu = sync.OnceValue(s.newMenu)
	return s
}

func (s *snapshot) with(c catalog.Changes, now time.Time) *snapshot {
	if c.All {
		s = newSnapshot(s.links, s.entries)
	}
	next := s.copy()
	next.revision = c.Revision
	declared := c.All // the declarations of products change
	if c.Remaining != nil {
		for _, p := range s.products.all() {
			if !c.Remaining[p.id] {
				next.remove(p)
				declared = declared || p.declarations() != ""
			}
		}
	}
	var changed []*product
	for _, l := range c.Products {
		old := s.products.get(l.Name)
		if old != nil {
			next.remove(old) // first all of them: one may take the repository of another
		}
		p := old.with(l, s.links, now)
		p.entries, p.unanswered = s.entries.of(&p.Product)
		changed = append(changed, p)
		declared = declared || p.declarations() != old.declarations()
	}
	for _, p := range changed {
		next.add(p)
	}
	if declared {
		next.directory = newDirectory(next.products.values())
	}
	return next
}

// at returns the snapshot at a later time, without other changes.
func (s *snapshot) at(now time.Time) *snapshot {
	next := s.copy()
	for name, begins := range s.waiting {
		if !begins.After(now) {
			old := s.products.get(name)
			changed := *old
			changed.offer(old, now)
			next.remove(old)
			next.add(&changed)
		}
	}
	return next
}

// next returns the earliest time at which a release that waits is offered, or zero.
func (s *snapshot) next() (at time.Time) {
	for _, begins := range s.waiting {
		at = earlier(at, begins)
	}
	return at
}

// copy returns a copy that can be changed.
func (s *snapshot) copy() *snapshot {
	next := &snapshot{s.revision, s.products.copy(), s.repos.copy(), map[string]time.Time{}, s.links, s.entries, s.directory, newAnswerCache(), nil, nil, nil}
	maps.Copy(next.waiting, s.waiting)
	next.menu = sync.OnceValue(next.newMenu)
	return next
}

func (s *snapshot) remove(p *product) {
	s.products.set(p.Name, nil)
	if p.Repo != "" {
		s.repos.set(strings.ToLower(p.Repo), nil)
	}
	delete(s.waiting, p.Name)
}

func (s *snapshot) add(p *product) {
	s.products.set(p.Name, p)
	if p.Repo != "" {
		s.repos.set(strings.ToLower(p.Repo), p)
	}
	if !p.next.IsZero() {
		s.waiting[p.Name] = p.next
	}
}

// earlier returns the earlier one of two times. A zero time does not count.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// with returns the product after a change of it and of the listed releases. If p is nil, or
// is another product of the same name, the listing is complete.
func (p *product) with(l catalog.Listing, links *links, now time.Time) *product {
	if p == nil || p.id != l.ID {
		p = &product{}
	}
	for i := range l.Releases {
		links.add(&l.Product, &l.Releases[i])
	}
	next := &product{id: l.ID, Product: l.Product, links: links, scheme: l.Scheme(), origins: strings.Fields(l.Origins)}
	next.add(p, l.Rank(l.Releases))
	next.lines = sync.OnceValue(func() *stats.Lines {
		lines := stats.NewLines(&next.Product, next.releases)
		return &lines
	})
	next.offer(p, now)
	return next
}

// add sets the releases of the product: the releases of old, with changed ones added or
// replaced.
func (p *product) add(old *product, changed []*catalog.Ranked) {
	kept, waiting := old.without(changed)
	if old.File == p.File && old.Repo == p.Repo && old.Module == p.Module && old.Prefixes == p.Prefixes &&
		old.Download == p.Download && old.Links == p.Links && old.MinAge == p.MinAge && old.RequireFiles == p.RequireFiles {
		p.releases, p.waiting = merge(kept, changed), slices.Concat(waiting, changed)
		p.byTag, p.others = old.byTag.copy(), old.others.copy()
	} else {
		p.releases = merge(forget(kept), changed)
		p.waiting = p.releases
		p.byTag, p.others, changed = layeredMap[catalog.Ranked]{}.copy(), layeredMap[catalog.Ranked]{}.copy(), p.releases
	}
	for _, r := range changed {
		p.addTag(r)
	}
}

// forget returns releases that have not chosen their downloads yet.
func forget(releases []*catalog.Ranked) []*catalog.Ranked {
	undecided := make([]*catalog.Ranked, len(releases))
	for i, r := range releases {
		undecided[i] = &catalog.Ranked{Release: r.Release, Version: r.Version}
	}
	return undecided
}

// without returns the releases of the product, and the waiting ones among them, except
// releases with the tags of others.
func (p *product) without(others []*catalog.Ranked) (releases, waiting []*catalog.Ranked) {
	tags := map[string]bool{}
	for _, r := range others {
		if p.tagged(r.Tag) != nil {
			tags[r.Tag] = true
		}
	}
	if len(tags) == 0 {
		return p.releases, p.waiting
	}
	replaced := func(r *catalog.Ranked) bool { return tags[r.Tag] }
	return slices.DeleteFunc(slices.Clone(p.releases), replaced), slices.DeleteFunc(slices.Clone(p.waiting), replaced)
}

// merge merges two lists of releases, newest first, into a new one.
func merge(a, b []*catalog.Ranked) []*catalog.Ranked {
	merged := make([]*catalog.Ranked, 0, len(a)+len(b))
	for _, r := range b {
		i, _ := slices.BinarySearchFunc(a, r, catalog.CompareRank)
		merged = append(append(merged, a[:i]...), r)
		a = a[i:]
	}
	return append(merged, a...)
}

// addTag adds a release to the maps of tags, or replaces it.
func (p *product) addTag(r *catalog.Ranked) {
	key := p.scheme.Trim(r.Tag)
	was := p.byTag.get(key)
	switch {
	case r.Version.OtherComponent(), was != nil && was.Tag != r.Tag && was.Version.CompareTag(r.Version) > 0:
		p.others.set(r.Tag, r)
		return
	case was != nil && was.Tag != r.Tag: // another spelling
		p.others.set(r.Tag, nil)
		p.others.set(was.Tag, was)
	}
	p.byTag.set(key, r)
}

// tagged returns the release with exactly this tag, or nil.
func (p *product) tagged(tag string) *catalog.Ranked {
	if r := p.others.get(tag); r != nil {
		return r
	}
	if r := p.byTag.get(p.scheme.Trim(tag)); r != nil && r.Tag == tag {
		return r
	}
	return nil
}

// offer sets the channels of the product. It reuses offers of old for the same release.
func (p *product) offer(old *product, now time.Time) {
	was := old.channels
	known := map[*catalog.Ranked]*offer{}
	if old.Product.Equal(p.Product) {
		for _, c := range was {
			for _, o := range append(c.previews, c.latest) {
				known[o.release] = o
			}
		}
	}
	of := func(r *catalog.Ranked) *offer {
		if known[r] == nil {
			known[r] = newOffer(p, r)
		}
		return known[r]
	}
	p.waiting = p.Waiting(p.waiting, now)
	p.channels, p.next = map[string]*channel{}, time.Time{}
	add := func(name string, c *catalog.Channel) {
		o := &channel{Offer: p.OfferBefore(p.releases, p.waiting, c, now), prereleases: c != nil && c.Prereleases,
			offered: sync.OnceValue(func() []*catalog.Ranked { return p.Offered(p.releases, c, now) })}
		o.latest = of(o.Latest)
		for _, r := range o.Previews {
			o.previews = append(o.previews, of(r))
		}
		p.channels[name], p.next = o, earlier(p.next, o.Next)
	}
	add("", nil)
	p.withdrawn = sync.OnceValue(func() (all []*catalog.Ranked) {
		for _, r := range p.releases {
			if r.Withdrawn && !r.Date.After(now) {
				all = append(all, r)
			}
		}
		return all
	})
	p.hints = sync.OnceValue(func() []string {
		o := p.channels[""].Offer
		o.Previews = nil // the page itself says that there are only pre-releases
		return p.Hints(p.releases, &o)
	})
	for _, c := range p.ChannelList() {
		add(c.Name, &c)
	}
}

// latest returns the offer to clients that do not run a pre-release.
func (p *product) latest() *offer { return p.channels[""].latest }

// find returns the release of a reported version, which is its tag, or its tag without the
// prefix or the leading "v", or nil.
func (p *product) find(reported string) *catalog.Ranked {
	if r := p.others.get(reported); r != nil && !r.Version.OtherComponent() { // no client reports the tag of another component
		return r
	}
	return p.byTag.get(p.scheme.Trim(reported))
}

// judge returns what to offer to a client of a channel that runs a version, and the verdict
// about that version. r is its release, or nil if it is unreleased. As long as there is no
// release to offer, every version is up to date.
func (p *product) judge(c *channel, r *catalog.Ranked, reported string) (*offer, verdict) {
	o, compare := c.latest, version.Version.CompareBuild
	var running version.Version
	if r != nil {
		running = r.Version
	} else { // build metadata of other builds has no order
		running, compare = p.scheme.Reported(reported).WithoutVendor(), version.Version.Compare
	}
	if r != nil && r.Prerelease {
		o = c.preview(running)
	}
	switch {
	case r != nil && r.Withdrawn, r == nil && catalog.WithdrawnBuild(p.releases, running):
		return o, withdrawn
	case !running.Ordered():
		return o, unknown
	case o.release != nil && compare(running, o.release.Version) < 0:
		return o, outdated
	}
	return o, upToDate
}

// preview returns the offer to a client that runs a pre-release.
func (c *channel) preview(running version.Version) *offer {
	r := c.For(running)
	for i, preview := range c.Previews {
		if preview == r {
			return c.previews[i]
		}
	}
	return c.latest
}

// declarations returns the settings from which the directory is made, as one text.
func (p *product) declarations() string {
	if p == nil || p.Aliases == "" && p.Hosts == "" && p.Dialects == "" {
		return ""
	}
	return p.Aliases + "\n" + p.Hosts + "\n" + p.Dialects
}
