package dialect

import "errors"

// Pattern is a pattern of request paths, such as /api/versions/{version}.
type Pattern struct{ text string }

// ParsePattern parses a pattern.
func ParsePattern(text string) (Pattern, error) { return Pattern{}, errors.New("not implemented") }

// String returns the pattern as it was parsed.
func (p Pattern) String() string { return p.text }

// Match reports whether the pattern matches an escaped and normalized path, see
// [SplitPath]. If it does, Match adds its variables to v.
func (p Pattern) Match(path string, v *Vars) bool { return false }

// Overlaps reports whether a path matches both patterns.
func (p Pattern) Overlaps(q Pattern) bool { return false }
