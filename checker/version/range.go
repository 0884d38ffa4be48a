package version

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// Range is a set of versions, given by conditions that all must hold:
//
//	<2  <=1.4  >1.4  >=1.4.2  =1.4    comparisons; <=, > and = compare only the numbers
//	                                 that are given: =1.4 contains 1.4.9
//	1.x  1.4.x                       the same as =1 and =1.4
//	~1.4.2                           at least 1.4.2, with the same first two numbers
//	^1.4.2                           at least 1.4.2, with the same numbers up to the
//	                                 first that is not 0
//
// Conditions are separated by commas. A pre-release belongs to its core: <2 does not
// contain 2.0.0-rc.1. A bound with a suffix (>=2.0.0-rc.2) compares by precedence. The
// zero Range contains all versions.
type Range struct {
	text       string
	conditions []condition
}

type condition struct {
	op    string
	bound Version
}

// operators lists all operators, each before its prefixes.
var operators = []string{"<=", ">=", "<", ">", "=", "~", "^"}

// ParseRange parses a range of versions without the scheme's prefixes. An empty text is
// the zero Range.
func (s Scheme) ParseRange(text string) (Range, error) {
	r := Range{text: text}
	if strings.TrimSpace(text) == "" {
		return Range{}, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		c, err := s.parseCondition(strings.TrimSpace(part))
		if err != nil {
			return Range{}, fmt.Errorf("range %q: %w", text, err)
		}
		r.conditions = append(r.conditions, c)
	}
	return r, nil
}

func (s Scheme) parseCondition(text string) (condition, error) {
	op := ""
	for _, o := range operators {
		if rest, ok := strings.CutPrefix(text, o); ok {
			op, text = o, strings.TrimSpace(rest)
			break
		}
	}
	if numbers, ok := strings.CutSuffix(text, ".x"); ok && op == "" {
		op, text = "=", numbers
	}
	bound := Scheme{releaseSuffix: s.releaseSuffix}.Parse(text)
	if op == "" || !bound.Ordered() {
		return condition{}, fmt.Errorf("%q is not a condition, such as <2, >=1.4, ~1.4, ^1.4 or 1.x", text)
	}
	return condition{op, bound}, nil
}

// String returns the text that was parsed.
func (r Range) String() string { return r.text }

// Contains reports whether v is in the range. A range with conditions does not contain
// versions without an order.
func (r Range) Contains(v Version) bool {
	return len(r.conditions) == 0 || v.Ordered() && !slices.ContainsFunc(r.conditions, func(c condition) bool { return !c.holds(v) })
}

// Empty reports whether no version can be in the range. A range that is not empty contains
// 0 or the lowest version of one of its conditions.
func (r Range) Empty() bool {
	lowest := []Version{(Scheme{}).Parse("0-0")}
	for _, c := range r.conditions {
		lowest = append(lowest, c.lowest())
	}
	return !slices.ContainsFunc(lowest, r.Contains)
}

// lowest returns the lowest version for which c holds, or the bound of an upper bound.
func (c condition) lowest() Version {
	v := c.bound
	switch {
	case v.gluedRank|v.hyphenRank == 0:
		if c.op == ">" {
			last := len(v.core) - 1
			n, _ := new(big.Int).SetString("0"+v.core[last], 10)
			v.core = append(slices.Clone(v.core[:last]), n.Add(n, big.NewInt(1)).String())
		}
		v.hyphen, v.hyphenRank = "0", -1 // a pre-release belongs to its core
	case c.op == ">" && v.hyphenRank != 0:
		v.hyphen += ".0"
	case c.op == ">":
		v.glued += ".0"
	}
	return v
}

func (c condition) holds(v Version) bool {
	order := v.CompareCore(c.bound)
	if order == 0 && c.bound.gluedRank|c.bound.hyphenRank != 0 {
		order = v.Compare(c.bound)
	}
	// prefix compares only the numbers of the bound.
	given := len(c.bound.core)
	prefix := v.truncate(given).CompareCore(c.bound)
	if c.bound.gluedRank|c.bound.hyphenRank != 0 {
		prefix = order
	}
	switch c.op {
	case "<":
		return order < 0
	case "<=":
		return prefix <= 0
	case ">":
		return prefix > 0
	case ">=":
		return order >= 0
	case "=":
		return prefix == 0
	case "~":
		return order >= 0 && v.sameNumbers(c.bound, min(2, given))
	}
	first := 1 + slices.IndexFunc(c.bound.core, func(n string) bool { return n != "" })
	if first == 0 { // all are 0
		first = given
	}
	return order >= 0 && v.sameNumbers(c.bound, first)
}

// truncate returns v with at most n numbers.
func (v Version) truncate(n int) Version {
	v.core = v.core[:min(n, len(v.core))]
	return v
}

// sameNumbers reports whether the first n numbers of v and w are equal.
func (v Version) sameNumbers(w Version, n int) bool {
	return v.truncate(n).CompareCore(w.truncate(n)) == 0
}
