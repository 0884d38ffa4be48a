package statstest

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
	versions "relcheck/checker/version"
)

// version is a reported version.
type version struct {
	name    string           // as shown in tables
	is      versions.Version // the parsed name
	as      versions.Version // the version that it is compared as
	release *catalog.Release // nil if it is unreleased

	withdrawn bool // it, or the release that it is a build of
}

// releases knows the releases of a product by the rules for its tags.
type releases struct {
	product catalog.Product
	scheme  versions.Scheme
	all     []catalog.Release // newest first
	parsed  []versions.Version
	now     time.Time
}

func newReleases(product catalog.Product, all []catalog.Release, now time.Time) releases {
	t := releases{product: product, scheme: product.Scheme(), all: slices.Clone(all), now: now}
	slices.SortFunc(t.all, func(a, b catalog.Release) int {
		x, y := t.scheme.Parse(a.Tag), t.scheme.Parse(b.Tag)
		return cmp.Or(y.CompareBuild(x), b.Date.Compare(a.Date), y.CompareTag(x))
	})
	for _, r := range t.all {
		t.parsed = append(t.parsed, t.scheme.Parse(r.Tag))
	}
	return t
}

// bare removes a prefix of the product, and a "v" before a digit.
func (t *releases) bare(s string) string {
	longest := ""
	for prefix := range strings.FieldsSeq(t.product.Prefixes) {
		if strings.HasPrefix(s, prefix) && len(prefix) > len(longest) {
			longest = prefix
		}
	}
	s = s[len(longest):]
	if len(s) > 1 && s[0] == 'v' && '0' <= s[1] && s[1] <= '9' {
		s = s[1:]
	}
	return s
}

// parse parses a version with or without a prefix.
func (t *releases) parse(s string) versions.Version {
	if prefixes := strings.Fields(t.product.Prefixes); len(prefixes) > 0 {
		s = prefixes[0] + t.bare(s)
	}
	return t.scheme.Parse(s)
}

// find returns the release of a version, or nil.
func (t *releases) find(reported string) *catalog.Release {
	for i, r := range t.all {
		if t.bare(r.Tag) == t.bare(reported) {
			return &t.all[i]
		}
	}
	return nil
}

var (
	// vendorSuffix matches a version with a hyphen suffix that may be a vendor's.
	vendorSuffix     = regexp.MustCompile(`^([^-+]*)-([^+]*)(\+.*)?$`)
	date             = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}-[0-9]{2}-[0-9]{2}Z)?`)
	prereleaseSuffix = regexp.MustCompile(`^(?i:alpha|beta|rc|cr|pre|preview|dev|snapshot|nightly|canary|next|milestone|ea|tp|draft)(?:[^A-Za-z]|$)`)
	pseudoSuffix     = regexp.MustCompile(`^(?:.*\.)?0\.[0-9]{14}-[0-9a-f]{12}$|^[0-9]{14}-[0-9a-f]{12}$`)
)

// version returns a reported version with the spelling of its release, if it is one.
func (t *releases) version(reported string) version {
	if r := t.find(reported); r != nil {
		v := t.scheme.Parse(r.Tag)
		return version{r.Tag, v, v, r, r.Withdrawn}
	}
	v := version{name: t.bare(reported), is: t.parse(reported)}
	if v.is.Ordered() && !t.calendar(v.name) {
		v.name = "v" + v.name
	}
	v.as = t.withoutVendor(reported)
	for i := range t.all { // any build of a release may be meant
		if v.as.Ordered() && t.parsed[i].Compare(v.as) == 0 {
			v.as = t.parsed[i]
			break
		}
	}
	v.withdrawn = t.builtFromWithdrawn(v.as)
	return v
}

// withoutVendor parses a version without the suffix of a vendor.
func (t *releases) withoutVendor(reported string) versions.Version {
	bare := t.bare(reported)
	day := date.FindString(bare)
	m := vendorSuffix.FindStringSubmatch(strings.TrimPrefix(bare, day))
	if m == nil || !t.parse(bare).Ordered() || prereleaseSuffix.MatchString(m[2]) || pseudoSuffix.MatchString(m[2]) {
		return t.parse(bare)
	}
	if suffix := t.product.Suffix; suffix != "" && regexp.MustCompile("^(?:"+suffix+")$").MatchString(m[2]) {
		return t.parse(bare)
	}
	return t.parse(day + m[1] + m[3])
}

// olderThan reports whether a version is older than a release or limit.
func (v version) olderThan(limit versions.Version) bool { return v.as.CompareBuild(limit) < 0 }

// builtFromWithdrawn reports whether all releases that differ from a version at most in
// their build metadata are withdrawn, and there is one.
func (t *releases) builtFromWithdrawn(v versions.Version) bool {
	found := false
	for i, r := range t.all {
		if v.Ordered() && t.parsed[i].Compare(v) == 0 {
			if found = true; !r.Withdrawn {
				return false
			}
		}
	}
	return found
}

// available reports whether a release can be offered, apart from the files that are required.
func (t *releases) available(i int) bool {
	r := t.all[i]
	early := r.Date.Add(t.product.MinAge).After(t.now)
	return t.parsed[i].Ordered() && t.product.Range().Contains(t.parsed[i]) && !r.Prerelease && !r.Withdrawn && !early
}

// latest returns the newest release that can be offered, or nil, and its version.
func (t *releases) latest() (*catalog.Release, versions.Version) {
	for i := range t.all {
		if t.available(i) {
			return &t.all[i], t.parsed[i]
		}
	}
	return nil, versions.Version{}
}

// newer returns the number of releases that are newer than a version, or nil if it is
// unknown, or if the version is withdrawn and not older than the latest release.
func (t *releases) newer(v version) any {
	if latest, newest := t.latest(); !v.as.Ordered() || latest == nil || v.withdrawn && !v.olderThan(newest) {
		return nil
	}
	n := int64(0)
	for i := range t.all {
		if t.available(i) && v.olderThan(t.parsed[i]) {
			n++
		}
	}
	return n
}

// daysOutdated returns how many days earlier than the latest release a version was
// released, or nil if it is unknown. A version that is not a release has the date of the
// newest release that it may be a build of.
func (t *releases) daysOutdated(v version) any {
	latest, newest := t.latest()
	if !v.as.Ordered() || latest == nil {
		return nil
	}
	if !v.olderThan(newest) {
		if v.withdrawn {
			return nil
		}
		return int64(0)
	}
	own := v.release
	for i := len(t.all) - 1; i >= 0 && v.release == nil; i-- {
		if t.parsed[i].Compare(v.as) == 0 {
			own = &t.all[i]
		}
	}
	if own == nil || own.Date.IsZero() || latest.Date.IsZero() {
		return nil
	}
	return max(0, int64(rollup.DayOf(latest.Date)-rollup.DayOf(own.Date)))
}

// date returns the day of a version's release, or nil.
func (t *releases) date(name string) any {
	if r := t.find(name); r != nil && !r.Date.IsZero() {
		return rollup.DayOf(r.Date)
	}
	return nil
}

// numbers matches the first two numbers of a version without its prefix.
var (
	numbers  = regexp.MustCompile(`^([0-9]{4}-[0-9]{2})-[0-9]{2}|^[0-9]+(?:[._][0-9]+)?`)
	calendar = regexp.MustCompile(`^[0-9]{4}|^0[0-9]|^[0-9]+(?:[._-]0[0-9]|[^0-9._]|[._][^0-9]|$)`)
)

// lineName matches the name of a minor line in a query.
var lineName = regexp.MustCompile(`^[0-9]+(?:[._][0-9]+)?$|^[0-9]{4}-[0-9]{2}$`)

// calendar reports whether names have no "v": if a tag without one begins like a calendar
// version, or if there is no such tag and the name begins like one.
func (t *releases) calendar(name string) bool {
	tags := false
	for i, r := range t.all {
		if t.parsed[i].Ordered() {
			tags = true
			if bare := t.bare(r.Tag); calendar.MatchString(bare) && !strings.HasSuffix(strings.TrimSuffix(r.Tag, bare), "v") {
				return true
			}
		}
	}
	return !tags && calendar.MatchString(name)
}

// lineKey returns the two numbers of a line without leading zeros, or "" if a version has no
// order.
func (t *releases) lineKey(name string) string {
	if line := t.bare(name); lineName.MatchString(line) {
		name = strings.ReplaceAll(line, "-", ".")
	}
	if !t.parse(name).Ordered() {
		return ""
	}
	m := numbers.FindStringSubmatch(t.bare(name))
	parts := strings.FieldsFunc(cmp.Or(m[1], m[0]), func(r rune) bool { return r < '0' || r > '9' })
	parts = append(parts, "0")
	zero := func(n string) string { return cmp.Or(strings.TrimLeft(n, "0"), "0") }
	return zero(parts[0]) + "." + zero(parts[1])
}

// line returns the minor line of a version, or "other".
func (t *releases) line(name string) string {
	key := t.lineKey(name)
	if key == "" {
		return "other"
	}
	text, v := t.bare(name), "v"
	for i, r := range t.all {
		if t.parsed[i].Ordered() && t.lineKey(r.Tag) == key {
			text = t.bare(r.Tag)
			if strings.HasSuffix(strings.TrimSuffix(r.Tag, text), "v") {
				return "v" + numbersOf(text)
			}
			break
		}
	}
	if t.calendar(t.bare(name)) {
		v = ""
	}
	return v + numbersOf(text)
}

func numbersOf(text string) string {
	if lineName.MatchString(text) {
		return strings.ReplaceAll(text, "_", ".")
	}
	m := numbers.FindStringSubmatch(text)
	return strings.ReplaceAll(cmp.Or(m[1], m[0]), "_", ".")
}

// newestFirst returns the names of versions or minor lines from the newest to the oldest,
// and then the names that are not versions.
func newestFirst[V any](t *releases, names map[string]V) []string {
	return slices.SortedFunc(maps.Keys(names), func(a, b string) int {
		return cmp.Or(t.parse(b).CompareBuild(t.parse(a)), cmp.Compare(a, b))
	})
}
