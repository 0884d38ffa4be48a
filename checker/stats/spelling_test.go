package stats_test

import (
	"slices"
	"strings"
	"testing"

	"relcheck/checker/catalog"
	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

// spelled returns the view of a product whose instances, one each, run some versions. The
// releases are tags, separated by spaces: with a date (=2026-03-01) or not, withdrawn (!) or
// a pre-release (?).
func spelled(p catalog.Product, releases, versions string, q stats.Query) *stats.View {
	l := catalog.Listing{Product: p}
	for tag := range strings.FieldsSeq(releases) {
		name, day, _ := strings.Cut(strings.TrimRight(tag, "!?"), "=")
		r := release(name, day)
		r.Withdrawn, r.Prerelease = strings.HasSuffix(tag, "!"), strings.HasSuffix(tag, "?")
		l.Releases = append(l.Releases, r)
	}
	q.Range = days("2026-03-02", "2026-03-02")
	var all []reports
	for i, v := range strings.Fields(versions) {
		all = append(all, reports{"2026-03-02", i, i, v, "linux/amd64", 0})
	}
	f, keeps := totals(q.Range, all), q.Keeps(p.Scheme())
	f.Builds = slices.DeleteFunc(f.Builds, func(b rollup.BuildTotals) bool { return !keeps(b.Build) })
	return newView(l, q, f, q.To)
}

// columns returns some columns of a table as text.
func columns(v *stats.View, table string, names ...stats.Column) string {
	return strings.TrimSpace(strings.ReplaceAll(text(v.Table(table).Select(names...)), "\n", ", "))
}

func TestSpelling(t *testing.T) {
	for _, c := range []struct {
		name               string
		product            catalog.Product
		releases, versions string
		latest             string
		want               string // versions with how many releases they are behind
		lines              string
	}{
		{"builds are releases", catalog.Product{}, "v1.30.0+k3s1 v1.30.0+k3s2 v1.29.9+k3s1", "v1.30.0+k3s2 1.30.0+k3s1 v1.30.0+k3s9 v1.30.0 1.30.0-istio v1.29.9+k3s1 1.29.9+k3s7",
			"v1.30.0+k3s2", "v1.30.0+k3s9 0, v1.30.0+k3s2 0, v1.30.0+k3s1 1, v1.30.0 0, v1.30.0-istio 0, v1.29.9+k3s7 2, v1.29.9+k3s1 2,", "v1.30 5, v1.29 2,"},
		{"prefix", catalog.Product{Prefixes: "cli/v"}, "cli/v1.2.3 cli/v1.2.2 docker/v9.0.0", "1.2.3 v1.2.2 1.2.1 1.2.3-istio 1.2.3-rc.1",
			"cli/v1.2.3", "cli/v1.2.3 0, v1.2.3-rc.1 1, v1.2.3-istio 0, cli/v1.2.2 1, v1.2.1 2,", "v1.2 5,"},
		{"prefix of names", catalog.Product{Prefixes: "bun-v"}, "bun-v1.2.3 bun-v1.3.0 canary", "bun-v1.2.3 1.2.3 1.3.0 canary",
			"bun-v1.3.0", "bun-v1.3.0 0, bun-v1.2.3 1, canary -,", "v1.3 1, v1.2 2, other 1,"},
		{"calendar", catalog.Product{}, "2026.02.11 2025.12.01 2025.12.24", "2026.02.11 2025.12.01 2026.02.12 2025.12.24-istio 2026.1.1",
			"2026.02.11", "2026.02.12 0, 2026.02.11 0, 2026.1.1 1, 2025.12.24-istio 1, 2025.12.01 2,", "2026.02 2, 2026.1 1, 2025.12 2,"},
		{"dates", catalog.Product{Prefixes: "RELEASE."}, "RELEASE.2026-02-11T01-02-03Z RELEASE.2026-01-31T00-00-00Z", "RELEASE.2026-02-11T01-02-03Z 2026-01-31T00-00-00Z 2026-01-31T00-00-00Z-fips",
			"RELEASE.2026-02-11T01-02-03Z", "RELEASE.2026-02-11T01-02-03Z 0, RELEASE.2026-01-31T00-00-00Z 1, 2026-01-31T00-00-00Z-fips 1,", "2026-02 1, 2026-01 2,"},
		{"numbers", catalog.Product{}, "25 26 26.1", "25 26 26.1 27", "26.1", "27 0, 26.1 0, 26 1, 25 2,", "27 1, 26.1 1, 26 1, 25 1,"},
		{"ubuntu", catalog.Product{}, "24.04 24.10 25.04", "24.10 25.04 25.10", "25.04", "25.10 0, 25.04 0, 24.10 1,", "25.10 1, 25.04 1, 24.10 1,"},
		{"range", catalog.Product{Match: "<2000"}, "2024.05.01 2023.01.01 1.2.3 1.3.0", "2024.05.01 1.2.3 1.3.0 1.0.0", "1.3.0", "2024.05.01 0, 1.3.0 0, 1.2.3 1, 1.0.0 2,", "2024.05 1, 1.3 1, 1.2 1, 1.0 1,"},
		{"range with a lower end", catalog.Product{Match: ">=1.2,<2"}, "v1.1.0 v1.2.0 v1.3.0 v2.0.0", "1.0.0 1.3.0", "v1.3.0", "v1.3.0 0, v1.0.0 2,", "v1.3 1, v1.0 1,"},
		{"withdrawn between", catalog.Product{}, "v1.0.0 v1.1.0! v1.2.0? v1.3.0", "1.0.0", "v1.3.0", "v1.0.0 1,", "v1.0 1,"},
		{"future", catalog.Product{}, "v1.0.0=2026-01-01 v1.1.0=2026-03-03", "1.0.0 1.1.0", "v1.0.0", "v1.1.0 0, v1.0.0 0,", "v1.1 1, v1.0 1,"},
		{"today", catalog.Product{}, "v1.0.0=2026-01-01 v1.1.0=2026-03-02", "1.0.0 1.1.0", "v1.1.0", "v1.1.0 0, v1.0.0 1,", "v1.1 1, v1.0 1,"},
		{"future fix", catalog.Product{}, "v1.0.0=2026-01-01 v1.0.1=2026-04-01 v1.1.0=2026-02-01", "1.0.0", "v1.1.0", "v1.0.0 1,", "v1.0 1,"},
		{"minimum age", catalog.Product{MinAge: 72 * 3600e9}, "v1.0.0=2026-01-01 v1.1.0=2026-03-01", "1.0.0", "v1.0.0", "v1.0.0 0,", "v1.0 1,"},
		{"withdrawn", catalog.Product{}, "v1.0.0 v1.1.0! v0.9.0!", "1.0.0 1.1.0 0.9.0", "v1.0.0", "v1.1.0 -, v1.0.0 0, v0.9.0 1,", "v1.1 1, v1.0 1, v0.9 1,"},
		{"verdicts", catalog.Product{}, "v1.2.4 v1.2.0", "1.2.4-beta.3 1.2.4-dev 1.2.4-SNAPSHOT 1.2.4-nightly.20260101 v1.2.4-0.20260201120000-abcdefabcdef+dirty 1.2.4rc1 1.2.4-b7f3c1d 1.2.4-fips 1.2.4-14-gabcdef 1.2.4-1ubuntu1",
			"v1.2.4", "v1.2.4-nightly.20260101 1, v1.2.4-fips 0, v1.2.4-dev 1, v1.2.4-beta.3 1, v1.2.4-b7f3c1d 0, v1.2.4-SNAPSHOT 1, v1.2.4-14-gabcdef 0, v1.2.4-1ubuntu1 0, v1.2.4-0.20260201120000-abcdefabcdef+dirty 1, v1.2.4rc1 1,", "v1.2 10,"},
		{"release suffix", catalog.Product{Suffix: "[0-9]+"}, "2021.01.24 2021.01.24-1", "2021.01.24 2021.01.24-1 2021.01.24-2 2021.01.24-1-istio", "2021.01.24-1", "2021.01.24-2 0, 2021.01.24-1 0, 2021.01.24 1, 2021.01.24-1-istio 1,", "2021.01 4,"},
		{"glued", catalog.Product{}, "1.1.1w 1.1.1v", "1.1.1w 1.1.1v 1.1.1 1.1.1x", "1.1.1w", "1.1.1w 0, 1.1.1v 1, v1.1.1 2, 1.1.1x -,", "v1.1 3, other 1,"},
		{"incompatible", catalog.Product{}, "v2.0.0+incompatible v1.6.0", "v2.0.0 v2.0.0+incompatible", "v2.0.0+incompatible", "v2.0.0+incompatible 0, v2.0.0 0,", "v2.0 2,"},
		{"spellings of a release", catalog.Product{}, "1.0.0 v1.0.0 v0.9.0", "1.0.0 v1.0.0 0.9.0", "v1.0.0", "v1.0.0 0, v0.9.0 2,", "v1.0 2, v0.9 1,"},
	} {
		v := spelled(c.product, c.releases, c.versions, stats.Query{})
		if v.Latest != c.latest {
			t.Errorf("%s: got latest release %s, want %s", c.name, v.Latest, c.latest)
		}
		if got := columns(v, "versions", stats.ColVersion, stats.ColBehind); got != c.want {
			t.Errorf("%s: got versions\n%s\nwant\n%s", c.name, got, c.want)
		}
		if got := columns(v, "lines", stats.ColLine, stats.ColInstances); got != c.lines {
			t.Errorf("%s: got lines %s, want %s", c.name, got, c.lines)
		}
		for r := range v.Table("versions").All() {
			if name := r.Text(stats.ColVersion); !strings.Contains(c.lines, v.Line(name)+" ") {
				t.Errorf("%s: got line %s of %s, want one of %s", c.name, v.Line(name), name, c.lines)
			}
		}
	}
}

// TestSpellingOfQueries checks filters, compared versions and the table deprecation.
func TestSpellingOfQueries(t *testing.T) {
	cli := catalog.Product{Prefixes: "cli/v"}
	for _, c := range []struct {
		product            catalog.Product
		releases, versions string
		filter, want       string
	}{
		{cli, "cli/v1.2.3 cli/v1.3.0", "1.2.3 1.2.4 1.3.0", "cli/v1.2.3", "cli/v1.2.3"},
		{cli, "cli/v1.2.3 cli/v1.3.0", "1.2.3 1.2.4 1.3.0", "1.2.3", "cli/v1.2.3"},
		{cli, "cli/v1.2.3 cli/v1.3.0", "1.2.3 1.2.4 1.3.0", "v1.2", "v1.2.4 cli/v1.2.3"},
		{cli, "cli/v1.2.3 cli/v1.3.0", "1.2.3 1.2.4 1.3.0", "cli/v1.2", "v1.2.4 cli/v1.2.3"},
		{catalog.Product{}, "v1.30.0+k3s1 v1.30.0+k3s2", "v1.30.0+k3s1 v1.30.0+k3s2", "1.30.0+k3s2", "v1.30.0+k3s2"},
		{catalog.Product{}, "v1.30.0+k3s1 v1.30.0+k3s2", "v1.30.0+k3s1 v1.30.0+k3s2", "v1.30.0", ""},
		{catalog.Product{}, "2026.05.01 2026.05.02 2026.06.01", "2026.05.01 2026.05.02 2026.06.01", "2026.05", "2026.05.02 2026.05.01"},
		{catalog.Product{}, "2026-05-01 2026-05-02 2026-06-01", "2026-05-01 2026-05-02 2026-06-01", "2026-05", "2026-05-02 2026-05-01"},
		{catalog.Product{}, "25 26 26.1", "25 26 26.1", "25", "25"},
		{catalog.Product{}, "nightly", "nightly 1.0.0", "nightly", "nightly"},
		{catalog.Product{}, "v1.0.0", "1.0.0 1.0.0-x", "1.0.0-x", "v1.0.0-x"},
	} {
		v := spelled(c.product, c.releases, c.versions, stats.Query{Filter: stats.Filter{Version: c.filter}})
		if got := strings.ReplaceAll(strings.TrimSuffix(columns(v, "versions", stats.ColVersion), ","), ",", ""); got != c.want {
			t.Errorf("filter %s: got versions %s, want %s", c.filter, got, c.want)
		}
	}
	for _, c := range []struct {
		product                   catalog.Product
		releases, versions, below string
		want, answer              string
	}{
		{cli, "cli/v1.2.3 cli/v1.3.0", "1.2.3 1.2.4 1.3.0", "1.2.4", "cli/v1.3.0 2, v1.2.4 1, cli/v1.2.3 0,", "below v1.2.4, 1 instance"},
		{cli, "cli/v1.2.3 cli/v1.3.0", "1.2.3 1.2.4 1.3.0", "1.3.0", "cli/v1.3.0 2, cli/v1.2.3 0,", "below cli/v1.3.0, 2 instances"},
		{catalog.Product{}, "2026.05.01 nightly", "2026.05.01 2026.04.30 nightly", "2026.05", "2026.05.01 1, 2026.05 1,", "below 2026.05, 1 instance"},
		{catalog.Product{}, "v1.30.0+k3s1 v1.30.0+k3s2", "v1.30.0+k3s1 v1.30.0 v1.30.0-rc1", "v1.30.0+k3s2", "v1.30.0+k3s2 2, v1.30.0+k3s1 1,", "below v1.30.0+k3s2, 2 instances"},
		{catalog.Product{}, "v1.0.0", "1.0.0", "0.1", "v1.0.0 0, v0.1 0,", "below v0.1, 0 instances"},
		{catalog.Product{}, "v1.0.0", "1.0.0", "nightly2", "v1.0.0 0,", ""},
	} {
		v := spelled(c.product, c.releases, c.versions, stats.Query{Below: c.below})
		if got := columns(v, "deprecation", stats.ColBelow, stats.ColInstances); got != c.want {
			t.Errorf("below %s: got %s, want %s", c.below, got, c.want)
		}
		if got := answer(v, "deprecation").Text; !strings.Contains(got, c.answer) || (got == "") != (c.answer == "") {
			t.Errorf("below %s: got answer %q, want %q", c.below, got, c.answer)
		}
		if note := v.Table("deprecation").Note; strings.Contains(note, "nightly2") != (c.below == "nightly2") {
			t.Errorf("below %s: got note %s", c.below, note)
		}
	}
}

// TestWithdrawn checks that instances of withdrawn releases count as withdrawn only, and are
// not up to date.
func TestWithdrawn(t *testing.T) {
	v := spelled(catalog.Product{}, "v1.0.0 v1.1.0! v1.0.1! v0.9.0! nightly!", "1.0.0 1.1.0 1.0.1 0.9.0 nightly 1.2.0", stats.Query{})
	expect(t, v, "latest", `
		latest release v1.0.0 2 0.333 - -
		latest minor line v1.0 2 0.333 - -
		older - 0 0.000 - -
		unknown - 0 0.000 - -
		withdrawn release - 4 0.667 - -`)
	if got, want := columns(v, "versions", stats.ColVersion, stats.ColBehind, stats.ColDaysBehind, stats.ColWithdrawn), "v1.2.0 0 0 false, v1.1.0 - - true, v1.0.1 - - true, v1.0.0 0 0 false, v0.9.0 1 - true, nightly - - true,"; got != want {
		t.Errorf("got versions %s, want %s", got, want)
	}
	if got, want := columns(v, "releases", stats.ColVersion, stats.ColWithdrawn), "v1.1.0 true, v1.0.1 true, v1.0.0 false, v0.9.0 true, nightly true,"; got != want {
		t.Errorf("got releases %s, want %s", got, want)
	}
}

// TestDaysBehindBuilds checks that a build is as old as its own release, or else the newest
// one of the same version.
func TestDaysBehindBuilds(t *testing.T) {
	v := spelled(catalog.Product{}, "v1.30.0+k3s1=2026-01-01 v1.30.0+k3s2=2026-01-11 v1.29.0+k3s1=2025-12-01 v1.29.0+k3s2=2025-12-12", "1.30.0+k3s1 1.30.0+k3s2 1.30.0+k3s7 1.30.0-istio 1.29.0-istio 1.29.0+k3s1", stats.Query{})
	if got, want := columns(v, "versions", stats.ColVersion, stats.ColDaysBehind), "v1.30.0+k3s7 0, v1.30.0+k3s2 0, v1.30.0+k3s1 10, v1.30.0-istio 0, v1.29.0+k3s1 41, v1.29.0-istio 30,"; got != want {
		t.Errorf("got days behind %s, want %s", got, want)
	}
}
