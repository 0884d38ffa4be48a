package version

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
)

// Scheme describes how a product spells its tags. The zero value reads semantic
// versions, calendar versions and the like without a prefix other than "v".
type Scheme struct {
	prefixes      []string
	releaseSuffix *regexp.Regexp
}

// NewScheme returns a scheme with tag prefixes and a pattern for release suffixes. Both
// may be empty.
//
// The longest prefix that matches is removed from a tag; tags without any of the prefixes
// belong to another component. Among other prefixes, "v" stands for tags that begin with a
// digit, after an optional "v". A hyphen suffix that matches the pattern as a whole ranks
// above the version without it: 2021.01.24-1 with the pattern [0-9]+.
func NewScheme(prefixes []string, releaseSuffix string) (Scheme, error) {
	for _, prefix := range prefixes {
		if prefix == "" || prefix == "v" && len(prefixes) == 1 {
			return Scheme{}, fmt.Errorf("tag prefix %q is not needed: a leading v is always removed", prefix)
		}
	}
	s := Scheme{prefixes: prefixes}
	if releaseSuffix != "" {
		if _, err := regexp.Compile(releaseSuffix); err != nil {
			return Scheme{}, fmt.Errorf("release suffix %q: %w", releaseSuffix, err)
		}
		pattern, err := regexp.Compile("^(?:" + releaseSuffix + ")$") // fails if \Q is not closed
		if err != nil {
			return Scheme{}, fmt.Errorf("release suffix %q: %w", releaseSuffix, err)
		}
		s.releaseSuffix = pattern
	}
	return s, nil
}

// Version is a parsed tag. The zero value has no order.
type Version struct {
	tag    string
	core   []string // numbers without leading zeros; "" is 0
	glued  string
	hyphen string
	build  string
	line   string // see [Version.Line]

	gluedRank, hyphenRank int8 // -1 below no suffix, 0 no suffix, 1 above
	kind                  kind
}

// kind says what a tag is.
type kind uint8

const (
	unordered kind = iota
	otherComponent
	ordered
)

// Parse parses a tag.
func (s Scheme) Parse(tag string) Version {
	v := Version{tag: tag}
	text, own := s.trimPrefix(tag)
	if !own {
		v.kind = otherComponent
		return v
	}
	text = strings.ReplaceAll(strings.TrimPrefix(text, "v"), "_", ".")
	if strings.ContainsFunc(text, invalid) {
		return v
	}
	text, build, hasBuild := strings.Cut(text, "+")
	v.build = build
	var rest string
	if v.core, rest = cutCore(text); v.core == nil {
		return v
	}
	var hasHyphen bool
	v.glued, v.hyphen, hasHyphen = strings.Cut(rest, "-")
	hasDot := strings.HasPrefix(v.glued, ".")
	v.glued = strings.TrimPrefix(v.glued, ".")
	first, _, _ := strings.Cut(v.glued, ".")
	switch {
	case strings.EqualFold(first, "x"), // a branch
		hasDot && v.glued == "", hasHyphen && v.hyphen == "", hasBuild && v.build == "", strings.Contains(v.build, "+"),
		emptyIdentifier(v.glued), emptyIdentifier(v.hyphen), emptyIdentifier(v.build):
		return v
	}
	v.kind, v.line = ordered, lineOf(text, len(v.core))
	switch {
	case v.glued == "":
	case gluedPrerelease(first):
		v.gluedRank = -1
	default:
		v.gluedRank = 1
	}
	switch {
	case v.hyphen == "":
	case s.releaseSuffix != nil && s.releaseSuffix.MatchString(v.hyphen):
		v.hyphenRank = 1
	default:
		v.hyphenRank = -1
	}
	return v
}

// trimPrefix removes the scheme's prefix from a tag. It reports false for tags of
// another component.
func (s Scheme) trimPrefix(tag string) (text string, own bool) {
	if len(s.prefixes) == 0 {
		return tag, !strings.ContainsAny(tag, "/@") || beginsWithDigit(tag)
	}
	longest := -1
	for _, prefix := range s.prefixes {
		switch {
		case prefix == "v" && beginsWithDigit(tag):
			longest = max(longest, 0)
		case prefix != "v" && len(prefix) > longest && strings.HasPrefix(tag, prefix):
			longest = len(prefix)
		}
	}
	if longest < 0 {
		return tag, false
	}
	return tag[longest:], true
}

// beginsWithDigit reports whether a tag begins with a digit, after an optional "v".
func beginsWithDigit(tag string) bool {
	return startsWithDigit(strings.TrimPrefix(tag, "v"))
}

// Trim returns a tag, or the version that a client of the product reports, without the
// scheme's prefix and a leading "v" before a digit. Two spellings of one version have the
// same result.
func (s Scheme) Trim(tag string) string {
	if text, own := s.trimPrefix(tag); own {
		tag = text
	}
	if beginsWithDigit(tag) {
		return strings.TrimPrefix(tag, "v")
	}
	return tag
}

// invalid reports whether r cannot be part of a version.
func invalid(r rune) bool {
	switch {
	case '0' <= r && r <= '9', 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', r == '.', r == '-', r == '+':
		return false
	}
	return true
}

var datePattern = regexp.MustCompile(`^([0-9]{4})-([0-9]{2})-([0-9]{2})(?:T([0-9]{2})-([0-9]{2})-([0-9]{2})Z)?`)

// cutCore returns the numbers at the start of text, and the rest.
func cutCore(text string) (core []string, rest string) {
	if !startsWithDigit(text) {
		return nil, text
	}
	if len(text) > 4 && text[4] == '-' {
		if m := datePattern.FindStringSubmatch(text); m != nil && !startsWithDigit(text[len(m[0]):]) {
			for _, digits := range m[1:] {
				core = append(core, strings.TrimLeft(digits, "0"))
			}
			return core, text[len(m[0]):]
		}
	}
	core = make([]string, 0, 3)
	for rest = text; ; rest = rest[1:] {
		number := digits(rest)
		core, rest = append(core, strings.TrimLeft(number, "0")), rest[len(number):]
		if rest == "" || rest[0] != '.' || !startsWithDigit(rest[1:]) {
			return core, rest
		}
	}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func startsWithDigit(s string) bool { return s != "" && isDigit(s[0]) }

// emptyIdentifier reports whether a list of identifiers contains an empty one.
func emptyIdentifier(list string) bool {
	return strings.HasPrefix(list, ".") || strings.HasSuffix(list, ".") || strings.Contains(list, "..")
}

// Ordered reports whether v has an order: see the package documentation.
func (v Version) Ordered() bool { return v.kind == ordered }

// OtherComponent reports whether the tag belongs to another component.
func (v Version) OtherComponent() bool { return v.kind == otherComponent }

// Tag returns the tag that was parsed.
func (v Version) Tag() string { return v.tag }

// Compare compares the precedence of two versions. Versions without an order are equal
// to each other and lower than all others.
func (v Version) Compare(w Version) int {
	if v.kind != ordered || w.kind != ordered {
		return cmp.Compare(b2i(v.kind == ordered), b2i(w.kind == ordered))
	}
	if c := v.CompareCore(w); c != 0 {
		return c
	}
	if c := cmp.Compare(v.gluedRank, w.gluedRank); c != 0 {
		return c
	}
	if c := compareIdentifiers(v.glued, w.glued); c != 0 {
		return c
	}
	if c := cmp.Compare(v.hyphenRank, w.hyphenRank); c != 0 {
		return c
	}
	return compareIdentifiers(v.hyphen, w.hyphen)
}

// CompareTag compares like [Version.Compare] and breaks ties, so that only equal tags
// are equal. Use it to sort releases whose dates do not decide.
func (v Version) CompareTag(w Version) int {
	if c := v.CompareBuild(w); c != 0 {
		return c
	}
	return strings.Compare(v.tag, w.tag)
}

// CompareBuild compares like [Version.Compare], then by build metadata, then by the
// count of numbers.
func (v Version) CompareBuild(w Version) int {
	if c := v.Compare(w); c != 0 || v.kind != ordered {
		return c
	}
	return cmp.Or(compareIdentifiers(v.build, w.build), cmp.Compare(len(v.core), len(w.core)))
}

// CompareCore compares the numbers of two versions.
func (v Version) CompareCore(w Version) int {
	for i := range max(len(v.core), len(w.core)) {
		if c := compareNumbers(at(v.core, i), at(w.core, i)); c != 0 {
			return c
		}
	}
	return 0
}

func at(numbers []string, i int) string {
	if i < len(numbers) {
		return numbers[i]
	}
	return ""
}

// compareNumbers compares decimal numbers without leading zeros, by value.
func compareNumbers(a, b string) int {
	if len(a) != len(b) {
		return cmp.Compare(len(a), len(b))
	}
	return strings.Compare(a, b)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// compareIdentifiers compares two lists of dot-separated identifiers. The empty list is
// the lowest.
func compareIdentifiers(a, b string) int {
	for a != b {
		if a == "" || b == "" {
			return cmp.Compare(len(a), len(b))
		}
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		if c := compareIdentifier(x, y); c != 0 {
			return c
		}
	}
	return 0
}

// compareIdentifier compares two identifiers: numbers by value and below all others,
// others by character, with each run of digits as one number.
func compareIdentifier(a, b string) int {
	an, bn := number(a), number(b)
	if an != bn {
		return cmp.Compare(b2i(bn), b2i(an))
	}
	for a != "" && b != "" {
		if isDigit(a[0]) && isDigit(b[0]) {
			x, y := digits(a), digits(b)
			if c := compareNumbers(strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")); c != 0 {
				return c
			}
			a, b = a[len(x):], b[len(y):]
			continue
		}
		x, y := a[0], b[0]
		if isDigit(x) {
			x = '0'
		}
		if isDigit(y) {
			y = '0'
		}
		if x != y {
			return cmp.Compare(x, y)
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

func number(s string) bool { return s != "" && digits(s) == s }

// digits returns the digits at the start of s.
func digits(s string) string {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return s[:n]
}
