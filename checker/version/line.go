package version

import (
	"cmp"
	"strings"
)

// Reported parses the version that a client of the product reports. It may lack the
// prefix of the product's tags. A commit hash, which many development builds report, has
// no order, even if it begins with a digit.
func (s Scheme) Reported(version string) Version {
	if isCommit(version) {
		return Version{tag: version}
	}
	if v := s.Parse(version); !v.OtherComponent() {
		return v
	}
	return Scheme{releaseSuffix: s.releaseSuffix}.Parse(version)
}

// isCommit reports whether a version is a commit hash, abbreviated or not, as git describe
// formats it. Digits alone are a version.
func isCommit(version string) bool {
	hash, state, _ := strings.Cut(version, "-")
	return 7 <= len(hash) && len(hash) <= 40 && strings.Trim(hash, "0123456789abcdef") == "" && digits(version) != version &&
		(state == "" || state == "dirty" || state == "broken")
}

// ParseLine parses a minor line: one or two numbers (1.2, v1.2, 25, or the month 2026-05),
// with or without a prefix. It reports false for other texts.
func (s Scheme) ParseLine(text string) (line Version, ok bool) {
	if month := strings.TrimPrefix(text, "v"); len(month) == len("2026-05") && datePattern.MatchString(month+"-01") {
		text = strings.Replace(text, "-", ".", 1)
	}
	line = s.Reported(text)
	return line, line.Ordered() && len(line.core) <= 2 && line.glued+line.hyphen+line.build == ""
}

// Line returns the minor line of an ordered version, which is the first two numbers of the
// core as the tag spells them: 1.2 for v1.2.3, 2026.05 for 2026.05.01, 2026-05 for
// 2026-05-01, and 25 for 25.
func (v Version) Line() string { return v.line }

// lineOf returns the first n numbers, at most two, at the start of a version.
func lineOf(text string, n int) string {
	end := len(digits(text))
	if n > 1 {
		end += 1 + len(digits(text[end+1:]))
	}
	return text[:end]
}

// CompareLine compares the first two numbers of two versions. Versions without an order
// are equal to each other and lower than all others.
func (v Version) CompareLine(w Version) int {
	if v.kind != ordered || w.kind != ordered {
		return cmp.Compare(b2i(v.kind == ordered), b2i(w.kind == ordered))
	}
	return cmp.Or(compareNumbers(at(v.core, 0), at(w.core, 0)), compareNumbers(at(v.core, 1), at(w.core, 1)))
}
