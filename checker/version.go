package checker

import (
	"strings"

	"golang.org/x/mod/semver"
)

// MaxVersion is the maximum length of a version in a report, in bytes.
const MaxVersion = 80

// ValidVersion reports whether v is allowed in a report: 1 to [MaxVersion] of the
// characters 0-9 A-Z a-z . + _ and -. It need not be a semantic version.
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

// Canonical returns the canonical form of v as defined by golang.org/x/mod/semver: with
// a leading "v", three numbers and no build metadata. It returns "" if v is not a
// semantic version.
func Canonical(v string) string {
	if !strings.HasPrefix(v, "v") {
		v = "v" + v
	}
	return semver.Canonical(v)
}

// Core returns the canonical form of v without its pre-release: "v0.21.0" for
// "0.21.0-istio". It returns "" if v is not a semantic version.
func Core(v string) string {
	v = Canonical(v)
	return strings.TrimSuffix(v, semver.Prerelease(v))
}

// Compare compares two versions by semver.org's precedence. The result is -1 if a is
// older than b, 0 if they are equal, and +1 if a is newer. A version that is not
// semantic is older than all semantic versions.
func Compare(a, b string) int {
	return semver.Compare(Canonical(a), Canonical(b))
}
