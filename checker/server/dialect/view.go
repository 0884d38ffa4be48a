package dialect

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/version"
)

// maxReleases is the number of releases of a product that a template sees.
const maxReleases = 500

// view is what a template sees of a channel of a product.
type view struct {
	m    *Model
	q    *Request
	Vars map[string]string

	// Asked is the name by which [view.Products] found the product, or empty.
	Asked string
}

// Product returns the product.
func (v *view) Product() any {
	return struct{ Name, Title, Repo string }{v.m.Product.Name, v.m.Product.Title, v.m.Product.Repo}
}

// Base returns what links to this service begin with.
func (v *view) Base() link { return link(v.q.Base) }

// Latest returns the latest release.
func (v *view) Latest() (*release, error) { return v.found(v.m.Latest) }

func (v *view) found(r *catalog.Ranked) (*release, error) {
	if r == nil {
		return nil, ErrNotFound
	}
	return &release{v, r}, nil
}

func (v *view) list(ranked []*catalog.Ranked, keep func(*catalog.Ranked) bool) (all []*release) {
	for _, r := range ranked {
		if keep(r) {
			all = append(all, &release{v, r})
		}
		if len(all) == maxReleases {
			break
		}
	}
	return all
}

// Releases returns the releases that the channel offers, with pre-releases, newest first.
func (v *view) Releases() []*release {
	return v.list(v.m.Offered(), func(*catalog.Ranked) bool { return true })
}

func stable(r *catalog.Ranked) bool { return !r.Prerelease }

// Stable returns the releases without pre-releases.
func (v *view) Stable() []*release { return v.list(v.m.Offered(), stable) }

// Newer returns the releases of Stable that are newer than the caller's version. It finds
// nothing if that is unknown.
func (v *view) Newer() ([]*release, error) {
	c := &v.q.Caller
	if c.Verdict == Unknown {
		return nil, ErrNotFound
	}
	running, compare := v.running()
	return v.list(v.m.Offered(), func(r *catalog.Ranked) bool { return stable(r) && compare(r.Version, running) > 0 }), nil
}

// running returns the caller's version, and how it compares with releases: build metadata
// of other builds has no order.
func (v *view) running() (version.Version, func(a, b version.Version) int) {
	if r := v.q.Caller.Release; r != nil {
		return r.Version, version.Version.CompareBuild
	}
	return v.m.Scheme.Reported(v.q.Caller.Version).WithoutVendor(), version.Version.Compare
}

// Withdrawn returns releases that were published and withdrawn, newest first.
func (v *view) Withdrawn() []*release {
	return v.list(v.m.Withdrawn(), func(*catalog.Ranked) bool { return true })
}

// Channels returns the channels of the product that have a release.
func (v *view) Channels() (all []channelView) {
	for _, name := range v.m.Channels {
		if m := v.m.Channel(name); m != nil && m.Latest != nil {
			all = append(all, channelView{name, &release{v, m.Latest}})
		}
	}
	return all
}

type channelView struct {
	Name   string
	Latest *release
}

// Heads returns the latest releases of the product and of its channels, newest first.
func (v *view) Heads() (all []*release) {
	heads := []*catalog.Ranked{v.m.Latest}
	for _, c := range v.Channels() {
		heads = append(heads, c.Latest.r)
	}
	heads = slices.DeleteFunc(heads, func(r *catalog.Ranked) bool { return r == nil })
	slices.SortFunc(heads, catalog.CompareRank)
	return v.list(slices.Compact(heads), func(*catalog.Ranked) bool { return true })
}

// Channel returns the release that a client asks for by the name of a channel, or of a
// minor line, which may follow the name of a channel and a hyphen: stable, v1.30,
// stable-1.30. The names in own and "stable" stand for the channel of the request, unless
// the product has a channel of that name.
func (v *view) Channel(name string, own ...string) (*release, error) {
	if m := v.channel(name, own); m != nil {
		return v.found(m.Latest)
	}
	m, text := v.m, name
	if channel, after, found := strings.Cut(name, "-"); found && after != "" && v.channel(channel, own) != nil {
		m, text = v.channel(channel, own), after
	}
	line, ok := v.m.Scheme.ParseLine(text)
	if !ok {
		return nil, ErrNotFound
	}
	for _, r := range m.Offered() {
		if inLine(r.Version, line) && (stable(r) || m.Prereleases) {
			return v.found(r)
		}
	}
	return nil, ErrNotFound
}

func (v *view) channel(name string, own []string) *Model {
	if m := v.m.Channel(name); m != nil {
		return m
	}
	if name == "stable" || slices.Contains(own, name) {
		return v.m
	}
	return nil
}

// inLine reports whether a version belongs to a line of one or two numbers.
func inLine(v, line version.Version) bool {
	if strings.ContainsAny(line.Line(), ".-") {
		return v.CompareLine(line) == 0
	}
	return major(v) == major(line)
}

func major(v version.Version) string {
	first, _, _ := strings.Cut(strings.ReplaceAll(v.Line(), "-", "."), ".")
	return cmp.Or(strings.TrimLeft(first, "0"), "0")
}

// Products returns the products of a list of names and aliases, separated by commas. It
// leaves out products that do not exist or have no release.
func (v *view) Products(names string) (all []*view) {
	for name := range strings.SplitSeq(names, ",") {
		if m := v.m.Find(strings.TrimSpace(name)); m != nil && m.Latest != nil {
			all = append(all, &view{m: m, q: v.q, Vars: v.Vars, Asked: name})
		}
	}
	return all
}

// Hosted returns the link to a file of a release, by its exact tag, if this service has
// the file or fetches it.
func (v *view) Hosted(tag, name string) (link, error) {
	if l := v.m.Links.Hosted(tag, name); l != "" {
		return link(l), nil
	}
	return "", ErrNotFound
}

// Now returns the time of the answer, plus seconds.
func (v *view) Now(seconds ...int) time.Time {
	t := v.m.Now
	if t.IsZero() {
		t = time.Now()
	}
	for _, n := range seconds {
		t = t.Add(time.Duration(n) * time.Second)
	}
	return t
}

// Caller returns the client that sent the request.
func (v *view) Caller() any {
	c := &v.q.Caller
	seen := struct {
		Version, OS, Arch   string
		Outdated, Withdrawn bool
		Release             *release
	}{Version: c.Version, Outdated: c.Verdict == Outdated, Withdrawn: c.Verdict == Withdrawn}
	if c.Platform.Known() {
		seen.OS, seen.Arch = c.Platform.OS, c.Platform.Arch
	}
	if c.Release != nil {
		seen.Release = &release{v, c.Release}
	}
	return seen
}
