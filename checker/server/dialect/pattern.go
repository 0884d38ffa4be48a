package dialect

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"relcheck/checker/printable"
)

// Pattern is a pattern of request paths, such as /api/versions/{version}. Its segments
// consist of literals and variables, which are not empty. The last segment may be
// {name...}, which matches one or more segments.
type Pattern struct {
	text     string
	segments []segment
	rest     string // the name of the last variable if it is {name...}, or empty
}

// segment is a list of literals with a variable between each two of them. The first and
// the last literal may be empty.
type segment struct{ literals, names []string }

var namePattern = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9]{0,29}$`)

// ParsePattern parses a pattern.
func ParsePattern(text string) (p Pattern, err error) {
	if clean, ok := SplitPath(text); !ok || clean != text || text == "/" {
		return p, fmt.Errorf("path %q is not a normal path: write segments after single slashes, such as /api/{name}.json", text)
	}
	p.text = text
	var names []string
	for rest := text; rest != ""; {
		var part string
		part, rest = cutSegment(rest)
		if name, ok := strings.CutSuffix(part, "...}"); ok && strings.HasPrefix(name, "{") {
			p.rest = name[1:]
			if names = append(names, p.rest); rest != "" {
				return p, fmt.Errorf("path %q: %s must be the last segment", text, part)
			}
			break
		}
		s, err := parseSegment(part)
		if err != nil {
			return p, fmt.Errorf("path %q: %w", text, err)
		}
		p.segments, names = append(p.segments, s), append(names, s.names...)
	}
	for i, name := range names {
		if !namePattern.MatchString(name) || slices.Contains(names[:i], name) {
			return p, fmt.Errorf("path %q: variable %q: use a name of letters and digits, once", text, name)
		}
	}
	if len(names) > maxVars {
		return p, fmt.Errorf("path %q has %d variables: use at most %d", text, len(names), maxVars)
	}
	return p, nil
}

func parseSegment(part string) (s segment, err error) {
	for {
		literal, rest, found := strings.Cut(part, "{")
		text, err := unescape(literal)
		if err != nil || strings.Contains(literal, "}") || printable.Check(text) != nil {
			return s, fmt.Errorf("%q is not a valid text between variables", literal)
		}
		if s.literals = append(s.literals, text); !found {
			break
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || len(s.names) > 0 && text == "" {
			return s, fmt.Errorf("%q: close each variable with }, and separate two variables by a text", part)
		}
		s.names, part = append(s.names, name), after
	}
	return s, nil
}

// String returns the pattern as it was parsed.
func (p Pattern) String() string { return p.text }

// names returns the names of the variables.
func (p Pattern) names() (names []string) {
	for _, s := range p.segments {
		names = append(names, s.names...)
	}
	if p.rest != "" {
		names = append(names, p.rest)
	}
	return names
}

// Match reports whether the pattern matches an escaped and normalized path, see
// [SplitPath]. If it does, Match adds its variables to v.
func (p Pattern) Match(path string, v *Vars) bool {
	before, rest := len(v.all), path
	for i := range p.segments {
		if rest == "" {
			v.all = v.all[:before]
			return false
		}
		var part string
		part, rest = cutSegment(rest)
		if text, err := unescape(part); err != nil || !p.segments[i].match(text, v) {
			v.all = v.all[:before]
			return false
		}
	}
	if p.rest != "" && rest != "" {
		text, err := unescape(rest[1:])
		if err == nil && v.add(p.rest, text, maxLong) {
			return true
		}
		rest = "/"
	}
	if rest != "" || p.rest != "" {
		v.all = v.all[:before]
		return false
	}
	return true
}

// match matches each literal as early as possible, but the last one at the end.
func (s *segment) match(text string, v *Vars) bool {
	last := len(s.names)
	if last == 0 {
		return text == s.literals[0]
	}
	text, ok := strings.CutPrefix(text, s.literals[0])
	if !ok {
		return false
	}
	if text, ok = strings.CutSuffix(text, s.literals[last]); !ok {
		return false
	}
	for i, name := range s.names[:last-1] {
		literal := s.literals[i+1]
		n := strings.Index(text[min(1, len(text)):], literal) + 1
		if n <= 0 || !v.Add(name, text[:n]) {
			return false
		}
		text = text[n+len(literal):]
	}
	return v.Add(s.names[last-1], text)
}

// Overlaps reports whether a path matches both patterns.
func (p Pattern) Overlaps(q Pattern) bool {
	for i := 0; ; i++ {
		pRest, qRest := p.rest != "" && i == len(p.segments), q.rest != "" && i == len(q.segments)
		pEnd, qEnd := i == len(p.segments) && !pRest, i == len(q.segments) && !qRest
		switch {
		case pEnd || qEnd:
			return pEnd && qEnd
		case pRest || qRest:
			return true
		case !p.segments[i].overlaps(&q.segments[i]):
			return false
		}
	}
}

// overlaps reports whether a text matches both segments.
func (s *segment) overlaps(t *segment) bool {
	a, b := s.glob(), t.glob()
	known := map[[2]int]bool{} // pairs of positions that were tried in vain
	var try func(i, j int) bool
	try = func(i, j int) bool {
		if i == len(a) && j == len(b) {
			return true
		}
		if known[[2]int{i, j}] {
			return false
		}
		known[[2]int{i, j}] = true
		switch {
		case i < len(a) && a[i] == anyText:
			return try(i+1, j) || j < len(b) && try(i, j+1)
		case j < len(b) && b[j] == anyText:
			return try(i, j+1) || i < len(a) && try(i+1, j)
		case i == len(a) || j == len(b):
			return false
		}
		return (a[i] == b[j] || a[i] == anyByte || b[j] == anyByte) && try(i+1, j+1)
	}
	return try(0, 0)
}

// The special elements of a glob.
const (
	anyByte = -1 - iota
	anyText // may be empty
)

// glob returns the bytes of the literals, with two special elements for each variable.
func (s *segment) glob() (glob []int) {
	for i, literal := range s.literals {
		if i > 0 {
			glob = append(glob, anyByte, anyText)
		}
		for _, c := range []byte(literal) {
			glob = append(glob, int(c))
		}
	}
	return glob
}
