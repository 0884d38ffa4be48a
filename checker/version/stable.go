package version

import (
	"regexp"
	"strings"
)

var (
	prereleaseWords = words("alpha beta rc cr pre preview dev snapshot nightly canary next milestone ea tp draft")
	stableWords     = words("final ga release stable lts")
	// gluedLetters mark pre-releases only in a glued suffix, before digits: commit
	// hashes after a hyphen often begin like b7.
	gluedLetters = words("a b c m pr")
	// pseudoPattern matches the suffix of a Go pseudo-version.
	pseudoPattern = regexp.MustCompile(`(^|\.)0\.[0-9]{14}-[0-9a-f]{12}$|^[0-9]{14}-[0-9a-f]{12}$`)
)

func words(list string) map[string]bool {
	set := map[string]bool{}
	for _, word := range strings.Fields(list) {
		set[word] = true
	}
	return set
}

// letters returns the letters at the start of s, in lower case.
func letters(s string) string {
	n := 0
	for n < len(s) && (s[n]|0x20) >= 'a' && (s[n]|0x20) <= 'z' {
		n++
	}
	return strings.ToLower(s[:n])
}

// gluedPrerelease reports whether a glued suffix with that first identifier marks a
// pre-release.
func gluedPrerelease(first string) bool {
	word := letters(first)
	return prereleaseWords[word] || gluedLetters[word] && number(first[len(word):])
}

// Stable reports whether the tag of an ordered version looks like a stable release: it
// has no suffix, a glued suffix that marks no pre-release, a release suffix of the
// scheme, or a hyphen suffix that begins with final, ga, release, stable or lts and
// contains no pre-release word. Upstream's own flag should take precedence.
func (v Version) Stable() bool {
	if v.kind != ordered || v.gluedRank < 0 {
		return false
	}
	return v.hyphenRank >= 0 || stableWords[letters(v.hyphen)] && !hasPrereleaseWord(v.hyphen)
}

func hasPrereleaseWord(suffix string) bool {
	for _, word := range strings.FieldsFunc(suffix, func(r rune) bool { return (r|0x20) < 'a' || (r|0x20) > 'z' }) {
		if prereleaseWords[strings.ToLower(word)] {
			return true
		}
	}
	return false
}

// Prerelease reports whether the tag says that it is a pre-release, by a pre-release
// word at the start of its suffix or as a Go pseudo-version. The hyphen suffixes of
// vendors (istio, fips, 14-gabcdef) do not.
func (v Version) Prerelease() bool {
	return v.kind == ordered && (v.gluedRank < 0 || v.hyphenPrerelease())
}

func (v Version) hyphenPrerelease() bool {
	return v.hyphenRank < 0 && (prereleaseWords[letters(v.hyphen)] || pseudoPattern.MatchString(v.hyphen))
}

// WithoutVendor returns v without a hyphen suffix that marks neither a pre-release nor a
// release of the scheme: 0.21.0 for 0.21.0-istio, and 1.2.0rc1 for 1.2.0rc1-istio. A
// vendor's build of a release is as recent as that release.
//
// A version that is not released compares with releases without the suffix, and by
// [Version.Compare]: build metadata of other builds has no order. See [Scheme.Reported].
func (v Version) WithoutVendor() Version {
	if v.hyphenRank < 0 && !v.hyphenPrerelease() {
		v.hyphen, v.hyphenRank = "", 0
	}
	return v
}
