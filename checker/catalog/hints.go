package catalog

import (
	"fmt"
	"strings"
	"time"

	"relcheck/checker/version"
)

// Hints explains what may be unexpected about an offer of the product: that there are only
// pre-releases, that a release waits, and that tags are not versions of the product. The
// releases must be in the order of [Product.Rank].
func (p *Product) Hints(ranked []*Ranked, o *Offer) (hints []string) {
	add := func(format string, args ...any) { hints = append(hints, fmt.Sprintf(format, args...)) }
	foreign, unordered := 0, 0
	for _, r := range ranked {
		switch {
		case r.Version.Foreign():
			foreign++
		case !r.Version.Ordered():
			unordered++
		}
	}
	newer, flags := p.newerForeign(ranked, o.Latest)
	if o.Latest == nil && len(o.Previews) == 0 && len(ranked) > 0 {
		add("no release is offered: none of %d tags is a version within the product's settings, stable and not withdrawn", len(ranked))
	}
	if o.Latest == nil && len(o.Previews) > 0 {
		add("only pre-releases are known: clients that run a pre-release are offered %s, other clients no release", o.Previews[0].Tag)
	}
	if !o.Next.IsZero() {
		add("a newer release is offered from %s on", o.Next.UTC().Format(time.RFC3339))
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
		add("tag %s looks like a release: if it is one of %s, set the prefix of its tags with relcheck product set %[2]s%[3]s", newer.Tag, p.Name, flags)
	default:
		add("tag %s looks newer than %s, the latest release: if it is a release of %s, set the prefix of its tags with relcheck product set %[3]s%[4]s",
			newer.Tag, o.Latest.Tag, p.Name, flags)
	}
	return hints
}

// EditHints explains what may be unexpected about a release to which a patch was applied:
// that it is not offered, that nothing holds it back, and that the patch describes files
// that it does not have.
func (p *Product) EditHints(e *ReleasePatch, r *Ranked, now time.Time) (hints []string) {
	if why := p.NotOffered(r, p.Range(), now); why != "" {
		hints = append(hints, "it is not offered: "+why)
	} else if r.Date.IsZero() && (p.MinAge > 0 || p.RequireFiles) {
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
	return hints
}

// newerForeign returns a release whose tag the product cannot order, but which contains a
// higher version than the latest release, within the product's range, and the flags that
// add the prefix of the tag to those of the product. It returns nil if there is none.
func (p *Product) newerForeign(ranked []*Ranked, latest *Ranked) (found *Ranked, flags string) {
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
		prefixes = append(prefixes, "''")
	}
	return found, " --tag-prefix " + strings.Join(prefixes, " --tag-prefix ")
}
