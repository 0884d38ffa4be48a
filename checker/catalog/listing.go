package catalog

import (
	"strings"
	"time"

	"relcheck/checker/version"
)

// Product is a program that has releases: Open Policy Agent, for example.
type Product struct {
	// Name identifies the product in URLs and on the command line: "opa".
	Name string

	// Title is the display title: "Open Policy Agent".
	Title string

	// Repo is its "owner/name" in GitHub's API, or empty.
	Repo string

	// Module lists the paths of the Go modules whose releases can be synced, separated by
	// spaces.
	Module string

	// Download and Notes are URL templates for releases that have no URLs of their
	// own, or empty. See [Product.DownloadURL].
	Download string
	Notes    string

	// File is a template of the name of the file to download, or empty. If it is set, it
	// decides which file of a release is the download for a platform.
	File string

	// Origins lists the origins of web pages whose reports and checks are recorded,
	// separated by spaces. Each is an origin ("https://app.example.com"), "null", or a
	// scheme ("app:"), which stands for all origins of that scheme.
	Origins string

	// Prefixes lists the prefixes of the product's tags, separated by spaces, and Suffix
	// is a pattern of suffixes that mark releases. See [version.NewScheme].
	Prefixes string
	Suffix   string

	// Match is the range of versions that can be the latest release, or empty for all.
	// See [version.Range].
	Match string

	// MinAge is the time between the publication of a release and its first offer.
	MinAge time.Duration

	// RequireFiles delays the offer of a release until it has a file for each platform for
	// which the previous release of the channel has one, at most for [MaxHold].
	RequireFiles bool

	// Channels lists the channels of the product, one a line. See [Channel].
	Channels string

	// Upstreams names the upstreams of the releases, separated by spaces. See
	// [Product.UpstreamList].
	Upstreams string

	// Aliases lists names of the product in other dialects, whose case does not matter, and
	// Hosts the hosts whose requests belong to it. Dialects lists the dialects that it
	// answers besides reports and GitHub's. All are separated by spaces.
	Aliases, Hosts, Dialects string

	// NotesHere links to relcheck's page of the release instead of the notes upstream.
	NotesHere bool

	// Links decides where links to files lead: one of [LinkChoices], or empty for hosted.
	Links string

	// Hidden leaves the product out of the lists of pages. Its own pages remain.
	Hidden bool

	// Syncs are the results of the last sync with each upstream, sorted by upstream. They
	// are not settings.
	Syncs []Sync

	// Bundles are the last bundles of other stores that were applied, sorted by store.
	// Upstream is the name of the list, see [BundleList], and Succeeded is when the bundle
	// was created.
	Bundles []Sync
}

// MaxHold is how long [Product.RequireFiles] holds back a release after its publication.
const MaxHold = 24 * time.Hour

// Scheme returns how the product spells its tags.
func (p *Product) Scheme() version.Scheme {
	s, _ := version.NewScheme(strings.Fields(p.Prefixes), p.Suffix) // invalid only if another version of relcheck has written it
	return s
}

// Range returns the range of versions that can be the latest release.
func (p *Product) Range() version.Range { return p.parseRange(p.Match) }

func (p *Product) parseRange(text string) version.Range {
	if text == "" {
		return version.Range{}
	}
	r, _ := p.Scheme().ParseRange(text)
	return r
}

// Release is a published version of a product. Its fields are merged from upstream's
// layer and the operator's.
type Release struct {
	// ID identifies the release in its store, or is 0.
	ID int64

	// Tag is the tag of the release as upstream spells it: "v0.19.2" or "0.19.2". It
	// identifies the release in its product.
	Tag string

	// Title is the display title, or empty.
	Title string

	// Notes is the URL of the release notes. If it is empty, the product's template applies.
	Notes string

	// Created is the time of the tagged commit, or zero if it is not known. Date is the
	// time of publication, or else Created.
	Created, Date time.Time

	// Prerelease marks a release that is offered only to clients that run a
	// pre-release.
	Prerelease bool

	// Withdrawn marks a release that is never offered. Reason is why, or empty.
	Withdrawn bool
	Reason    string

	// Files are the files of the release, sorted by name.
	Files []File

	// Hosted are the hosted files, sorted by name. See [Product.NamedFiles].
	Hosted []HostedFile
}

// GoneReason is the reason for a release that upstream does not list any more.
const GoneReason = "removed upstream"

// NewRelease merges what upstream and the operator say about a release. Either may be
// nil.
//
// If neither says whether it is a pre-release, the tag determines it. If upstream says that
// it is not, that counts unless the tag contains a pre-release word, because many projects
// forget to mark their release candidates. If upstream is another relcheck, its decision
// counts.
func NewRelease(tag version.Version, upstream, operator *Layer) Release {
	up, op := value(upstream), value(operator)
	if up.Gone {
		up.Withdrawn, up.Reason = new(true), new(GoneReason)
	}
	both := up.Overlay(op)
	r := Release{Tag: tag.Tag(), Title: value(both.Title), Notes: value(both.Notes), Created: value(both.Created), Date: both.Date(),
		Withdrawn: value(both.Withdrawn), Files: mergeFiles(up.Files, op.Files)}
	if r.Withdrawn {
		r.Reason = value(both.Reason)
	}
	switch {
	case op.Prerelease != nil:
		r.Prerelease = *op.Prerelease
	case up.Prerelease == nil:
		r.Prerelease = tag.Ordered() && !tag.Stable()
	default:
		r.Prerelease = *up.Prerelease || tag.Prerelease() && !up.fromRelcheck()
	}
	return r
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// NewTag returns the tag of a new release: tags of Go modules begin with "v", and links
// are made of tags.
func (p *Product) NewTag(tag string) string {
	if p.Module != "" && tag != "" && '0' <= tag[0] && tag[0] <= '9' {
		return "v" + tag
	}
	return tag
}
