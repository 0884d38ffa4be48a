package catalog

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"relcheck/checker"
	"relcheck/checker/printable"
	"relcheck/checker/version"
)

// AddCommands names the commands that add releases to the product.
func (p *Product) AddCommands() string {
	if len(p.UpstreamList()) == 0 {
		return "relcheck release add or import"
	}
	return "relcheck release sync, add or import"
}

// Hints explains what may be unexpected about an offer of the product: that there are only
// pre-releases, that a release waits, and that tags are not versions of the product. The
// releases must be in the order of [Product.Rank].
func (p *Product) Hints(ranked []*Ranked, o *Offer) (hints []string) {
	add := func(format string, args ...any) { hints = append(hints, fmt.Sprintf(format, args...)) }
	foreign, unordered := 0, 0
	for _, r := range ranked {
		switch {
		case r.Version.OtherComponent():
			foreign++
		case !r.Version.Ordered():
			unordered++
		}
	}
	newer, flags := p.newerOtherPrefix(ranked, o.Latest)
	next := o.Next.UTC().Format(time.RFC3339)
	switch waits := !o.Next.IsZero(); {
	case o.Latest != nil && waits:
		add("a newer release is offered from %s on", next)
	case o.Latest != nil:
	case waits && len(o.Previews) > 0:
		add("before %s, clients that run a pre-release are offered %s, other clients no release", next, o.Previews[0].Tag)
	case waits:
		add("no release is offered before %s", next)
	case len(o.Previews) > 0:
		add("only pre-releases are known: clients that run a pre-release are offered %s, other clients no release", o.Previews[0].Tag)
	case len(ranked) > 0:
		add("no release is offered: no tag is a stable version within --match that is not withdrawn")
	}
	if foreign > 0 {
		add("tags of other components, which are never the latest release: %d", foreign)
	}
	if unordered > 0 {
		add("tags that are not versions, which are never the latest release: %d", unordered)
	}
	switch {
	case newer == nil:
	case o.Latest == nil:
		add("tag %s looks like a release: if it is a release of %s, add its prefix with relcheck product set %[2]s%[3]s", newer.Tag, p.Name, flags)
	default:
		add("tag %s looks newer than %s, the latest release: if it is a release of %s, add its prefix with relcheck product set %[3]s%[4]s",
			newer.Tag, o.Latest.Tag, p.Name, flags)
	}
	return hints
}

// EditHints explains what may be unexpected about a release to which a patch was applied:
// that it is not offered, that nothing holds it back, and that the patch describes files
// that it does not have.
func (p *Product) EditHints(e *ReleasePatch, r *Ranked, now time.Time) (hints []string) {
	allowed, from := p.Range(), p.offeredFrom(r)
	switch why := obstacle(r, allowed); {
	case why == otherComponent:
		hints = append(hints, "it is not offered: its tag belongs to another component")
	case why == notVersion:
		hints = append(hints, "it is not offered: its tag cannot be read as a version")
	case why != "":
		hints = append(hints, "it is not offered: "+p.NotOffered(r, allowed, now))
	case from.After(now):
		hints = append(hints, "it is not offered before "+from.UTC().Format(time.RFC3339))
	case r.Prerelease:
		hints = append(hints, "it is a pre-release: it is offered only to clients that run a pre-release, or use a channel with pre-releases")
	case r.Date.IsZero() && (p.MinAge > 0 || p.RequireFiles):
		hints = append(hints, "it is offered at once, because it has no date: set its date to apply the product's minimum age and required files")
	}
	if names := r.without(e.files); len(names) > 0 {
		const shown = 5
		text, more := strings.Join(names[:min(shown, len(names))], ", "), ""
		if len(names) > shown {
			more = fmt.Sprintf(" and %d more", len(names)-shown)
		}
		hints = append(hints, "it has no files with these names, so their checksums and sizes are not shown: "+text+more)
	}
	for _, f := range e.files {
		if f.Platform == (checker.Platform{}) && f.URL != "" && p.withoutPlatform(&r.Release, f.Name) {
			hints = append(hints, fmt.Sprintf("clients are never offered %s as their download, because its name contains no platform: name it as in %s-linux-amd64, or give its platform with --asset linux/amd64=URL", f.Name, p.Name))
		}
	}
	return hints
}

// HostedHints explains what may be unexpected about a hosted file that was added to a release.
func (p *Product) HostedHints(r *Release, name string) (hints []string) {
	linked := *r
	p.SetLinks(&linked, func(f *NamedFile) string {
		if f.Hosted == nil {
			return ""
		}
		return "/" + f.Name
	})
	if p.withoutPlatform(&linked, name) {
		hints = append(hints, fmt.Sprintf("clients are never offered %s as their download, because its name contains no platform: name it as in %s-linux-amd64, with --name", name, p.Name))
	}
	return hints
}

// withoutPlatform reports whether a file of a release is for no platform only because of its
// name.
func (p *Product) withoutPlatform(r *Release, name string) bool {
	d := p.Downloads(r)
	for _, f := range d.ByPlatform() {
		if f.Name == name {
			return false
		}
	}
	i := slices.IndexFunc(d.Named, func(f File) bool { return f.Name == name })
	return i >= 0 && d.Selection.WithoutPlatform(i)
}

// newerOtherPrefix returns the highest release of another prefix whose version is higher
// than the latest release and in the product's range, or nil. flags are the flags that set
// the product's prefixes and the release's.
func (p *Product) newerOtherPrefix(ranked []*Ranked, latest *Ranked) (found *Ranked, flags string) {
	var highest version.Version
	var prefix string
	allowed := p.Range()
	for _, r := range ranked {
		digit := strings.IndexAny(r.Tag, "0123456789")
		if r.Version.Ordered() || r.Withdrawn || digit < 1 || !strings.ContainsAny(r.Tag[digit:], "._") { // a number alone may be a date or a commit
			continue
		}
		before := strings.TrimSuffix(r.Tag[:digit], "v")
		if before == "" { // it has no prefix, and the product has one
			continue
		}
		v := version.Scheme{}.Parse(r.Tag[digit:])
		if v.Ordered() && v.Stable() && allowed.Contains(v) && (latest == nil || v.Compare(latest.Version) > 0) && (found == nil || v.Compare(highest) > 0) {
			found, highest, prefix = r, v, before
		}
	}
	prefixes := append(strings.Fields(p.Prefixes), prefix)
	if p.Prefixes == "" && latest != nil { // the tags without a prefix remain releases
		prefixes = append(prefixes, "")
	}
	for _, prefix := range prefixes {
		flags += " --tag-prefix " + printable.QuoteShell(prefix)
	}
	return found, flags
}
