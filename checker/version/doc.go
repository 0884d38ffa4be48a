// Package version parses and orders the tags of releases, as projects really spell
// them: semantic versions, calendar versions, versions of any count of numbers, and
// tags with the prefix of a component.
//
// # Parsing
//
// A [Scheme] removes one of its prefixes from a tag, then a leading "v". What remains
// is a core, a suffix and build metadata; "_" is read as ".":
//
//	core     dot-separated numbers of any count and size (1.2.3, 25.1, 2026.05.01),
//	         or a date (2026-05-01, 2026-05-01T12-00-00Z). Missing numbers are 0.
//	glued    a suffix directly after the core: the rc1 of 1.2.0rc1, the Final of
//	         4.2.Final, the w of 1.1.1w
//	hyphen   a suffix after a hyphen: the rc.1 of 1.2.0-rc.1
//	build    metadata after a plus sign: the k3s1 of v1.30.0+k3s1
//
// Tags with other characters, without a core, or with the suffix "x" (a branch: 1.2.x)
// have no order. Tags of another component have none either: with prefixes, tags
// without any of them; without prefixes, tags that contain "/" or "@" unless they begin
// with a digit.
//
// # Order
//
//  1. The numbers of the core.
//  2. The glued suffix. If its leading letters are a pre-release word (alpha, beta, rc,
//     cr, pre, preview, dev, snapshot, nightly, canary, next, milestone, ea, tp, draft,
//     in any case), or if its first identifier is one of a, b, c, m and pr with digits,
//     it ranks below none, otherwise above: 1.2.0rc1 < 1.2.0 < 1.2.0a < 1.2.0b.
//  3. The hyphen suffix ranks below none, as in semantic versions, unless it matches
//     the scheme's release suffix, which ranks above: with [0-9]+,
//     2021.01.24 < 2021.01.24-1.
//  4. Suffixes of one rank compare by their identifiers, as in semantic versions, except
//     that a run of digits in an identifier is compared by value: rc9 < rc10.
//  5. Among equal versions: build metadata by the same rules, none first; then the
//     count of numbers; then the tag. See [Version.Compare] and [Version.CompareTag].
//
// For semantic versions, this is the order of golang.org/x/mod/semver, except within
// runs of digits.
//
// # Stability
//
// Whether a version is a pre-release is another question than its order: see
// [Version.Stable]. The order cannot express stability that a tag does not show, such
// as odd minor versions for development, several spellings of pre-releases of one core
// (rc1 and -rc.2), or that .dev precedes a1 in PEP 440.
package version
