package server

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/semver"

	"relcheck/checker"
)

// snapshot is everything that answers are made from. It never changes once it
// is built, so that requests share it without a lock, and holds every answer
// to a report already encoded.
type snapshot struct {
	revision int64
	products map[string]*product
	repos    map[string]*product // by "owner/name" in lower case
}

// product is what a snapshot knows of a product.
type product struct {
	checker.Listing
	published   map[string]bool // releases, withdrawn ones too, without a leading "v"
	prereleases map[string]bool // published ones, by canonical version
	stable      *offer          // for most callers
	preview     *offer          // for callers on a pre-release; often the same
	refused     string          // why a link is left out of answers; empty if none is
}

// offer is a release as it is offered to callers.
type offer struct {
	version string // canonical; empty when the product has no release yet
	answers map[checker.Platform]*[verdicts][]byte
	github  []byte // nil when the product has no release yet
	refused error  // about the first link that is left out
}

// verdict is what the service says of a caller's version.
type verdict int

const (
	unjudged verdict = iota
	outdated
	upToDate
	verdicts
)

func newSnapshot(c checker.Catalog) *snapshot {
	s := &snapshot{c.Revision, make(map[string]*product, len(c.Products)), make(map[string]*product, len(c.Products))}
	for _, l := range c.Products {
		p := newProduct(l)
		s.products[p.Name] = p
		if p.Repo != "" {
			s.repos[strings.ToLower(p.Repo)] = p
		}
	}
	return s
}

// names returns those of the products, in order.
func (s *snapshot) names() []string { return slices.Sorted(maps.Keys(s.products)) }

func newProduct(l checker.Listing) *product {
	p := &product{Listing: l, published: map[string]bool{}, prereleases: map[string]bool{}}
	var stable, preview *checker.Release
	for i := range l.Releases {
		r := &l.Releases[i]
		p.published[strings.TrimPrefix(r.Version, "v")] = true
		if r.Prerelease {
			p.prereleases[checker.Canonical(r.Version)] = true
		}
		if r.Withdrawn {
			continue
		}
		if preview == nil || checker.Compare(r.Version, preview.Version) > 0 {
			preview = r
		}
		if !r.Prerelease && (stable == nil || checker.Compare(r.Version, stable.Version) > 0) {
			stable = r
		}
	}
	p.stable = newOffer(&p.Product, stable)
	p.preview = p.stable
	if preview != stable {
		p.preview = newOffer(&p.Product, preview)
	}
	if err := cmp.Or(p.stable.refused, p.preview.refused); err != nil {
		p.refused = err.Error()
	}
	return p
}

// judge chooses what to offer to a caller who runs version, and says whether
// the caller is up to date. A suffix that is no pre-release of the product
// ("0.21.0-istio") does not count. While there is nothing to offer, nothing
// newer is known either.
func (p *product) judge(version string) (*offer, verdict) {
	o, v := p.stable, checker.Canonical(version)
	if v == "" {
		return o, unjudged
	}
	if p.prereleases[v] {
		o = p.preview
	} else {
		v = checker.Core(v)
	}
	if semver.Compare(v, o.version) < 0 {
		return o, outdated
	}
	return o, upToDate
}

// answer returns the encoded answer to a report.
func (o *offer) answer(from checker.Platform, v verdict) []byte {
	return o.answers[from][v]
}

func newOffer(p *checker.Product, r *checker.Release) *offer {
	o := &offer{answers: make(map[checker.Platform]*[verdicts][]byte)}
	var l checker.Latest
	if r != nil {
		o.version = checker.Canonical(r.Version)
		o.github = encode(newGitHubRelease(p, r))
		l.LatestRelease = r.Version
		l.ReleaseNotes, o.refused = notesLink(p, r)
	}
	for _, platform := range append(checker.Platforms(), checker.Other) {
		if r != nil {
			var err error
			l.Download, err = downloadLink(p, r, platform)
			o.refused = cmp.Or(o.refused, err)
		}
		o.answers[platform] = encodeAnswers(l)
	}
	return o
}

func encodeAnswers(l checker.Latest) *[verdicts][]byte {
	var encoded [verdicts][]byte
	for v := range verdicts {
		l.UpToDate = nil
		if v != unjudged {
			current := v == upToDate
			l.UpToDate = &current
		}
		encoded[v] = encode(checker.Answer{Latest: l})
	}
	return &encoded
}

// encode returns v as a line of JSON.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // an & in a URL stays one
	if err := e.Encode(v); err != nil {
		panic(err) // only types of this package and of checker come here
	}
	return b.Bytes()
}

// date returns t as GitHub writes it, or nil if it is not known.
func date(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := t.UTC().Format(time.RFC3339)
	return &s
}
