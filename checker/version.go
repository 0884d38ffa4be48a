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

// isPrerelease reports whether a semantic version has the suffix of a pre-release or of a
// Go pseudo-version, not that of a vendor's build.
func isPrerelease(v string) bool {
	suffix := strings.ToLower(strings.TrimPrefix(semver.Prerelease(Canonical(v)), "-"))
	switch suffix[:len(suffix)-len(strings.TrimLeft(suffix, "abcdefghijklmnopqrstuvwxyz"))] {
	case "alpha", "beta", "rc", "cr", "pre", "preview", "dev", "snapshot", "nightly", "canary", "next", "milestone", "ea", "tp", "draft":
		return true
	}
	return isPseudo(suffix)
}

// isPseudo reports whether a suffix is that of a Go pseudo-version: a time and a commit
// hash, as in 20260201120000-abcdefabcdef, 0.2026…-abcdefabcdef and rc.1.0.2026…-abcdefabcdef.
func isPseudo(suffix string) bool {
	i := strings.LastIndexByte(suffix, '.') + 1
	before := suffix[:i]
	time, hash, _ := strings.Cut(suffix[i:], "-")
	return len(time) == 14 && strings.Trim(time, "0123456789") == "" &&
		len(hash) == 12 && strings.Trim(hash, "0123456789abcdef") == "" &&
		(before == "" || before == "0." || strings.HasSuffix(before, ".0."))
}
