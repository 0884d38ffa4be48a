package checker

import (
	"strings"

	"golang.org/x/mod/semver"
)

// MaxVersion is the length of the longest version that may be reported, in bytes.
const MaxVersion = 80

// ValidVersion reports whether v may stand in a report: 1 to [MaxVersion]
// bytes of 0-9 A-Z a-z . + _ and -. It need not be a semantic version.
func ValidVersion(v string) bool {
	if v == "" || len(v) > MaxVersion {
		return false
	}
	for i := 0; i < len(v); i++ {
		c := v[i]
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		case c == '.', c == '+', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// Canonical returns v as golang.org/x/mod/semver writes it: with a leading
// "v", all three numbers, and no build metadata. Two spellings of one version
// have one canonical form. It is empty when v is not a semantic version.
func Canonical(v string) string {
	if !strings.HasPrefix(v, "v") {
		v = "v" + v
	}
	return semver.Canonical(v)
}

// Core returns v's canonical form without its pre-release: "v0.21.0" for
// "0.21.0-istio". It is empty when v is not a semantic version.
func Core(v string) string {
	v = Canonical(v)
	return strings.TrimSuffix(v, semver.Prerelease(v))
}

// Compare orders two versions by precedence, as semver.org defines it: -1 if a
// is older than b, 0 if they are equal, +1 if a is newer. What is not a
// semantic version is older than all that are.
func Compare(a, b string) int {
	return semver.Compare(Canonical(a), Canonical(b))
}
