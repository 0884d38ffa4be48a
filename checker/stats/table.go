package stats

import (
	"strings"

	"golang.org/x/mod/semver"

	"relcheck/checker"
	"relcheck/checker/stats/rollup"
)

// Query is what is asked about a product.
type Query struct {
	rollup.Range
	LastDays int // when the range was asked for as so many last days; 0 when as dates
	Filter
	Below   string    // a version: how many run an older one; empty for the latest
	Above   int64     // bytes of heap: how many exceed it; 0 for none
	Compare [2]string // two versions, or lines, whose heaps are compared; empty for the two versions most used
}

// Filter says which builds count. What is empty lets all pass.
type Filter struct {
	Version  string // one (v1.2.3), or a line of them (v1.2), with or without the leading v
	OS, Arch string
}

// Keeps tells whether a build passes.
func (f Filter) Keeps(b rollup.Build) bool {
	return (f.OS == "" || f.OS == b.OS) && (f.Arch == "" || f.Arch == b.Arch) && f.keepsVersion(b.Version)
}

func (f Filter) keepsVersion(v string) bool {
	if f.Version == "" || f.Version == v {
		return true
	}
	v = checker.Canonical(v)
	return v != "" && (v == checker.Canonical(f.Version) || Line(v) == askedLine(f.Version))
}

// askedLine returns the minor line that is asked for by v1.2 or 1.2; it is empty
// for what asks for a single version.
func askedLine(asked string) string {
	if strings.Count(asked, ".") != 1 {
		return ""
	}
	return Line(asked)
}

// Line returns the minor line of a version: v1.2 for 1.2.3. It is empty when v is
// not a semantic version.
func Line(v string) string { return semver.MajorMinor(checker.Canonical(v)) }

// What the rows of the table summary are of, in its column period.
const (
	LastDay    = "day"
	Last7Days  = "7 days"
	Last28Days = "28 days"
	WholeRange = "range"
)

// What the rows of the table latest are of, in its column what.
const (
	LatestRelease = "latest release"
	LatestLine    = "latest minor line"
	Older         = "older"
	Unknown       = "unknown"
)

// Kind is what a column's values are, and how they are shown.
type Kind int

// The kinds of columns, with the Go type of their values. Any value may be nil,
// for what is not known.
const (
	Text   Kind = iota // string; hostile ones are possible
	Date               // Day
	Number             // int64: how many there are of something
	Share              // float64, from 0 to 1
	Change             // float64: 0.12 is 12 % more
	Bytes              // float64: bytes of heap
	Yes                // bool
)

// Column is one column of a table.
type Column struct {
	Name string // in JSON, CSV and documents; stable: "released"
	Kind Kind
	Head string // for people: "Released"
}

// Table is the answer to one question. All of the API, the pages and the command
// line show the same ones.
type Table struct {
	Name    string // in URLs; stable: "versions"
	Title   string // for people: "Versions"
	Note    string // one sentence: what is counted, and how exactly
	Columns []Column
	Rows    [][]any // a value for each column, see [Kind]
}
