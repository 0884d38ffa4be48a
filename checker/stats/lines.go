package stats

import (
	"slices"
	"strings"

	"relcheck/checker/catalog"
	"relcheck/checker/version"
)

// Lines names the versions and minor lines of a product. A name begins with "v" unless the
// product has calendar versions or the like, spelled without one: v1.2 and 2026.05.
type Lines struct {
	scheme version.Scheme
	ranked []*catalog.Ranked // newest first
	bare   bool              // names have no "v" unless a tag has one
}

// NewLines returns the names of a product. The releases must be in the order of
// [catalog.Product.Rank].
func NewLines(p *catalog.Product, ranked []*catalog.Ranked) Lines {
	l := Lines{scheme: p.Scheme(), ranked: ranked}
	l.bare = slices.ContainsFunc(ranked, func(r *catalog.Ranked) bool { return calendar(r.Version.Line()) && !l.hasV(r.Tag) })
	return l
}

// Of returns the name of the minor line of a version: v1.2 for 1.2.3. It is the same for
// all versions of a line that has releases, whose newest release determines the spelling.
// It is "" for a version without an order.
func (l *Lines) Of(reported string) string { return l.line(l.scheme.Reported(reported)) }

func (l *Lines) line(v version.Version) string {
	if !v.Ordered() {
		return ""
	}
	i, found := slices.BinarySearchFunc(l.ranked, v, func(r *catalog.Ranked, v version.Version) int { return v.CompareLine(r.Version) })
	switch {
	case !found:
		return l.named(v, v.Line())
	case l.hasV(l.ranked[i].Tag):
		return "v" + l.ranked[i].Version.Line()
	}
	return l.named(v, l.ranked[i].Version.Line())
}

// named returns a version or line v, spelled without "v", as the product spells names.
func (l *Lines) named(v version.Version, text string) string {
	bare := l.bare
	if len(l.ranked) == 0 || !l.ranked[0].Version.Ordered() {
		bare = calendar(v.Line())
	}
	if bare || !v.Ordered() {
		return text
	}
	return "v" + text
}

// hasV reports whether a tag has a "v" before its first number.
func (l *Lines) hasV(tag string) bool {
	return strings.HasSuffix(strings.TrimSuffix(tag, l.scheme.Trim(tag)), "v")
}

// calendar reports whether a line looks like one of calendar versions, or has a single
// number: 2026.05, 25.04, 25.
func calendar(line string) bool {
	first, second, two := strings.Cut(strings.ReplaceAll(line, "-", "."), ".")
	padded := func(n string) bool { return len(n) > 1 && n[0] == '0' }
	return line != "" && (!two || len(first) >= 4 || padded(first) || padded(second))
}

// selector returns a function that reports whether a reported version is the requested one,
// in any spelling, or belongs to the requested minor line.
func selector(s version.Scheme, requested string) func(reported string) bool {
	if line, ok := s.ParseLine(requested); ok {
		return func(reported string) bool { return s.Reported(reported).CompareLine(line) == 0 }
	}
	trimmed := s.Trim(requested)
	return func(reported string) bool { return s.Trim(reported) == trimmed }
}
