package stats_test

import (
	"strings"
	"testing"

	"relcheck/checker/stats"
)

// TestTables compares all tables with values that were counted by hand. Heaps are rounded to
// their buckets.
func TestTables(t *testing.T) {
	v := fleetView("2026-03-16")
	for name, want := range map[string]string{
		"summary": `
			day 03-15 03-15 0 1 -1.000 0 0
			7 days 03-09 03-15 8 7 0.143 9 0
			28 days 02-16 03-15 17 - - - -
			range 03-02 03-15 15 - - 16 0`,
		"weekly": `
			03-02 03-08 7 7
			03-09 03-15 8 9`,
		"monthly": "",
		"daily": `
			03-02 4 4 0
			03-03 3 3 0
			03-04 0 0 0
			03-05 0 0 0
			03-06 0 0 0
			03-07 0 0 0
			03-08 0 0 0
			03-09 1 1 0
			03-10 0 0 0
			03-11 0 0 0
			03-12 4 4 0
			03-13 3 3 0
			03-14 1 1 0
			03-15 0 0 0`,
		"lifetimes": `
			03-02 4 0 0.000
			03-03 3 0 0.000
			03-04 0 0 -
			03-05 0 0 -
			03-06 0 0 -
			03-07 0 0 -
			03-08 0 0 -
			03-09 1 0 0.000
			03-10 0 0 -
			03-11 0 0 -
			03-12 4 1 0.250
			03-13 2 0 0.000
			03-14 1 0 0.000
			03-15 0 0 -`,
		"adoption": `
			03-02 v1.0.0 4 1.000
			03-03 v1.1.0 2 0.667
			03-03 v1.0.0 1 0.333
			03-09 v1.2.0-rc.1 1 1.000
			03-12 v1.2.0 3 0.750
			03-12 v1.1.0-istio 1 0.250
			03-13 v9.9.9 1 0.333
			03-13 v1.2.0 1 0.333
			03-13 dev 1 0.333
			03-14 v1.3.0-rc.1 1 1.000`,
		"releases": `
			v1.3.0-rc.1 03-20 1 0.067 - - - false
			v1.2.1 03-15 0 0.000 - - - true
			v1.2.0 03-10 3 0.200 - - 2 false
			v1.2.0-rc.1 03-08 1 0.067 - - 1 false
			v1.1.1 03-05 0 0.000 - - 4 false
			v1.1.0 02-01 2 0.133 - - - false
			v1.0.0 01-01 5 0.333 - - - false`,
		"lines": `
			v9.9 1 0.067 - - false
			v1.3 1 0.067 - - false
			v1.2 4 0.267 - - true
			v1.1 3 0.200 - - false
			v1.0 5 0.333 - - false
			other 1 0.067 - - false`,
		"latest": `
			latest release v1.2.0 5 0.333 - -
			latest minor line v1.2 6 0.400 - -
			older - 8 0.533 - -
			unknown - 1 0.067 - -
			withdrawn release - 0 0.000 - -`,
		"versions": `
			v9.9.9 - 1 0.067 - - 1 0 0 - false
			v1.3.0-rc.1 03-20 1 0.067 - - 1 0 0 - false
			v1.2.0 03-10 3 0.200 - - 4 0 0 5.22e+07 false
			v1.2.0-rc.1 03-08 1 0.067 - - 1 1 2 - false
			v1.1.0 02-01 2 0.133 - - 2 2 37 3.16e+08 false
			v1.1.0-istio - 1 0.067 - - 1 2 37 - false
			v1.0.0 01-01 5 0.333 - - 5 3 68 1.05e+08 false
			dev - 1 0.067 - - 1 - - - false`,
		"deprecation": `
			v1.3.0-rc.1 12 0.800 - -
			v1.2.1 12 0.800 - -
			v1.2.0 9 0.600 - -
			v1.2.0-rc.1 8 0.533 - -
			v1.1.2 8 0.533 - -
			v1.1.1 8 0.533 - -
			v1.1.0 5 0.333 - -
			v1.0.0 0 0.000 - -`,
		"behind": `
			0 5 0.333 - -
			1 1 0.067 - -
			2 3 0.200 - -
			3 5 0.333 - -
			- 1 0.067 - -`,
		"behind_days": `
			0 0 5 0.333 - -
			1 30 1 0.067 - -
			31 90 8 0.533 - -
			91 180 0 0.000 - -
			181 365 0 0.000 - -
			366 - 0 0.000 - -
			- - 1 0.067 - -`,
		"platforms": `
			linux amd64 9 0.600 - - 9 v1.0.0 1.05e+08
			darwin arm64 3 0.200 - - 4 v1.2.0 5.22e+07
			linux arm64 2 0.133 - - 2 v1.1.0 3.16e+08
			other other 1 0.067 - - 1 v1.1.0-istio -`,
		"os": `
			linux 11 0.733 - -
			darwin 3 0.200 - -
			other 1 0.067 - -`,
		"arch": `
			amd64 9 0.600 - -
			arm64 5 0.333 - -
			other 1 0.067 - -`,
		"platform_versions": `
			linux amd64 v9.9.9 1 0.111 - -
			linux amd64 v1.3.0-rc.1 1 0.111 - -
			linux amd64 v1.2.0-rc.1 1 0.111 - -
			linux amd64 v1.0.0 5 0.556 - -
			linux amd64 dev 1 0.111 - -
			darwin arm64 v1.2.0 3 1.000 - -
			linux arm64 v1.1.0 2 1.000 - -
			other other v1.1.0-istio 1 1.000 - -`,
		"heap": `
			- - - 10 11 1.05e+08 3.16e+08 3.16e+08 3.16e+08
			v1.2.0 - - 3 4 5.22e+07 5.22e+07 5.22e+07 5.22e+07
			v1.1.0 - - 2 2 3.16e+08 3.16e+08 3.16e+08 3.16e+08
			v1.0.0 - - 5 5 1.05e+08 1.05e+08 1.05e+08 1.05e+08
			- linux amd64 5 5 1.05e+08 1.05e+08 1.05e+08 1.05e+08
			- darwin arm64 3 4 5.22e+07 5.22e+07 5.22e+07 5.22e+07
			- linux arm64 2 2 3.16e+08 3.16e+08 3.16e+08 3.16e+08
			v1.2.0 darwin arm64 3 4 5.22e+07 5.22e+07 5.22e+07 5.22e+07
			v1.1.0 linux arm64 2 2 3.16e+08 3.16e+08 3.16e+08 3.16e+08
			v1.0.0 linux amd64 5 5 1.05e+08 1.05e+08 1.05e+08 1.05e+08`,
		"heap_above": `
			5.03e+07 10 0.667 11 1.000
			6.71e+07 8 0.533 8 0.727
			1.01e+08 7 0.467 7 0.636
			1.34e+08 3 0.200 3 0.273
			2.01e+08 3 0.200 3 0.273
			2.68e+08 2 0.133 2 0.182
			4.03e+08 0 0.000 0 0.000
			1.07e+09 0 0.000 0 0.000`,
	} {
		expect(t, v, name, want)
	}
	if note := v.Table("deprecation").Note; !strings.HasSuffix(note, "not shown: 1 instance whose version cannot be compared") {
		t.Errorf("got note %s, want it to say how many cannot be compared", note)
	}
}

// TestHeapCountsInstanceDays checks that an instance counts once for each day on which it
// reported a heap.
func TestHeapCountsInstanceDays(t *testing.T) {
	var all []reports
	for range 24 {
		all = append(all, reports{"2026-03-02", 0, 0, "v1.0.0", "linux/amd64", 1 << 30})
	}
	all = append(all, reports{"2026-03-02", 1, 19, "v1.0.0", "linux/amd64", 10 << 20}, reports{"2026-03-03", 0, 0, "v1.0.0", "linux/amd64", 1 << 30})
	r := days("2026-03-01", "2026-03-03")
	expect(t, newView(product(), stats.Query{Range: r}, totals(r, all), r.To+1), "heap", `
		- - - 20 21 1.05e+07 1.05e+07 1.07e+09 1.07e+09
		v1.0.0 - - 20 21 1.05e+07 1.05e+07 1.07e+09 1.07e+09
		- linux amd64 20 21 1.05e+07 1.05e+07 1.07e+09 1.07e+09
		v1.0.0 linux amd64 20 21 1.05e+07 1.05e+07 1.07e+09 1.07e+09`)
}
