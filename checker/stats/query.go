package stats

import (
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
	"relcheck/checker/version"
)

const (
	// defaultDays is the number of days if a query has no range.
	defaultDays = 28
	// maxDays is the maximum number of days of a query: ten years and some.
	maxDays = 3660
)

// ParseQuery parses the parameters days, from, to, version, os, arch, site, below, above and
// compare. The function get returns "" for a parameter that is absent. The text of an error
// begins with the name of the parameter and says how to change it.
func ParseQuery(get func(name string) string, today rollup.Day) (Query, error) {
	p := params{get: func(name string) string { return strings.TrimSpace(get(name)) }}
	var q Query
	q.Range, q.LastDays = p.days(today)
	q.Version = p.version("version")
	q.OS, q.Arch = p.platform()
	q.Site = p.site()
	q.Below = p.below()
	q.Above = p.above()
	q.Compare = p.compare()
	if p.err != nil {
		return Query{}, p.err
	}
	return q, nil
}

// Values returns parameters that [ParseQuery] parses to the query. Defaults are omitted. A
// query of the last days has no dates, so that a link to it always shows the last days.
func (q Query) Values() url.Values {
	values := url.Values{}
	set := func(name, value string) {
		if value != "" {
			values.Set(name, value)
		}
	}
	switch q.LastDays {
	case defaultDays:
	case 0:
		set("from", q.From.String())
		set("to", q.To.String())
	default:
		set("days", strconv.Itoa(q.LastDays))
	}
	set("version", q.Version)
	set("os", q.OS)
	set("arch", q.Arch)
	set("site", q.Site)
	set("below", q.Below)
	if q.Above != 0 {
		set("above", strconv.FormatInt(q.Above, 10))
	}
	if q.Compare != [2]string{} {
		set("compare", q.Compare[0]+".."+q.Compare[1])
	}
	return values
}

// params parses parameters. It keeps the first error.
type params struct {
	get func(name string) string
	err error
}

func (p *params) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

// date parses a date. It returns missing if the parameter is absent.
func (p *params) date(name string, missing rollup.Day) rollup.Day {
	text := p.get(name)
	if text == "" {
		return missing
	}
	day, err := rollup.ParseDay(text)
	switch {
	case err != nil:
		p.fail("%s: %w", name, err)
	case day < 0:
		p.fail("%s=%s is too early: use a day after 1970", name, day)
	}
	return day
}

// days parses the range. It also returns the number of days if the range has no dates.
func (p *params) days(today rollup.Day) (r rollup.Range, days int) {
	r.To = p.date("to", today)
	r.From = p.date("from", r.To-defaultDays+1)
	text := p.get("days")
	if text == "" {
		text = strconv.Itoa(defaultDays)
	} else if p.get("from") != "" {
		p.fail("days and from exclude each other: leave one of them out")
	}
	days, err := strconv.Atoi(text)
	if err != nil || days < 1 || days > maxDays {
		p.fail("days=%.20q is not a number from 1 to %d", text, maxDays)
	}
	if p.get("from") != "" {
		days = r.Days()
	} else {
		r = r.Last(days)
	}
	switch {
	case r.To > today:
		p.fail("to=%s is in the future: use %s or an earlier day", r.To, today)
	case r.From > r.To:
		p.fail("from=%s is after to=%s: swap them", r.From, r.To)
	case r.Days() > maxDays:
		p.fail("from=%s to=%s are %d days: use at most %d", r.From, r.To, r.Days(), maxDays)
	}
	if p.get("from") != "" || p.get("to") != "" {
		days = 0
	}
	return r, days
}

// version parses a version or minor line. A product decides what it means: see [selector].
func (p *params) version(name string) string {
	text := p.get(name)
	if text != "" && catalog.CheckTag(text) != nil {
		p.fail("%s=%.100q is not a version such as v1.2.3, or a minor line such as v1.2", name, text)
	}
	return text
}

func (p *params) platform() (os, arch string) {
	os, arch = p.get("os"), p.get("arch")
	known := append(checker.Platforms(), checker.Other)
	if os != "" && !slices.ContainsFunc(known, func(p checker.Platform) bool { return p.OS == os }) {
		p.fail("os=%.100q is not an operating system of Go, such as linux, darwin or windows, or other", os)
	}
	if arch != "" && !slices.ContainsFunc(known, func(p checker.Platform) bool { return p.Arch == arch }) {
		p.fail("arch=%.100q is not an architecture of Go, such as amd64 or arm64, or other", arch)
	}
	return os, arch
}

func (p *params) site() string {
	text := p.get("site")
	if text != "" && text != rollup.LocalSite && !rollup.ValidSite(text) {
		p.fail("site=%.100q is not the name of a site, or %s for this store without its sites", text, rollup.LocalSite)
	}
	return text
}

func (p *params) below() string {
	text := p.get("below")
	if text != "" && (catalog.CheckTag(text) != nil || !strings.ContainsAny(text, "0123456789")) {
		p.fail("below=%.100q is not a version such as v1.2.3", text)
	}
	return text
}

func (p *params) above() int64 {
	text := p.get("above")
	if text == "" {
		return 0
	}
	n, err := ParseBytes(text)
	if err != nil {
		p.fail("above: %w", err)
	}
	return n
}

func (p *params) compare() (versions [2]string) {
	text := p.get("compare")
	if text == "" {
		return versions
	}
	before, after, found := strings.Cut(text, "..")
	switch {
	case !found || catalog.CheckTag(before) != nil || catalog.CheckTag(after) != nil:
		p.fail("compare=%.200q is not two versions such as v1.2.3..v1.3.0, or two minor lines such as v1.2..v1.3", text)
	case overlap(before, after):
		p.fail("compare=%s..%s are the same, or one includes the other: use two different ones", before, after)
	}
	return [2]string{before, after}
}

// overlap reports whether two versions or minor lines have versions in common, as far as
// that does not depend on the prefixes of a product.
func overlap(a, b string) bool {
	var s version.Scheme
	return selector(s, a)(b) || selector(s, b)(a)
}

// units are units of bytes in lower case. If two end alike, the longer one comes first.
var units = []struct {
	name  string
	bytes float64
}{
	{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"tib", 1 << 40},
	{"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"tb", 1e12}, {"b", 1}, {"", 1},
}

// ParseBytes parses a positive number of bytes: 1048576, 512MiB, 1.5GB.
func ParseBytes(s string) (int64, error) {
	lower := strings.ToLower(s)
	for _, unit := range units {
		digits, ok := strings.CutSuffix(lower, unit.name)
		if !ok {
			continue
		}
		digits = strings.TrimSpace(digits)
		n, err := strconv.ParseFloat(digits, 64)
		n *= unit.bytes
		if err != nil || n < 1 || n >= math.MaxInt64 || strings.Trim(digits, "0123456789.") != "" { // such as 1e9 and 0x10
			break
		}
		return int64(n), nil
	}
	return 0, fmt.Errorf("%.100q is not a number of bytes such as 1048576, 512MiB or 100MB", s)
}
