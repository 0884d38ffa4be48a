package stats_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
	"relcheck/checker/stats/statstest"
)

// reports is one report of each of some instances on one day.
type reports struct {
	day         string
	first, last int // numbers of instances
	version     string
	platform    string
	heap        int64 // 0 for none
}

func date(s string) rollup.Day {
	d, err := rollup.ParseDay(s)
	if err != nil {
		panic(err)
	}
	return d
}

func days(from, to string) rollup.Range { return rollup.Range{From: date(from), To: date(to)} }

// totals returns the totals of reports, as a store has them.
func totals(r rollup.Range, all []reports) *rollup.Totals {
	f := &rollup.Totals{Range: r, Known: rollup.Range{From: 1, To: 0}}
	var builds []rollup.Build
	fold := rollup.NewFold(0, map[uint64]rollup.Lifetime{})
	for _, s := range all {
		at := date(s.day)
		os, arch, _ := strings.Cut(s.platform, "/")
		b := rollup.Build{Version: s.version, Platform: checker.Platform{OS: os, Arch: arch}}
		if !slices.Contains(builds, b) {
			builds = append(builds, b)
		}
		if f.Known.Days() == 0 {
			f.Known = rollup.Range{From: at, To: at}
		}
		f.Known = rollup.Range{From: min(f.Known.From, at), To: max(f.Known.To, at)}
		for n := s.first; n <= s.last; n++ {
			report := rollup.Report{At: at.Time().Unix(), Build: int64(slices.Index(builds, b)), Hash: hashKey.Hash(numbered(n))}
			if s.heap != 0 {
				report.Heap = &s.heap
			}
			fold.Add(report)
		}
	}
	rollups := statstest.Rollups(fold)
	for i, b := range builds {
		total := rollup.BuildTotals{Build: b}
		own := map[rollup.Period]*rollup.Rollup{}
		for slot, sum := range rollups {
			if slot.Build != int64(i) {
				continue
			}
			own[slot.Period] = sum
			if p := slot.Range(); !r.Contains(p.From) || !r.Contains(p.To) {
				continue
			}
			c := rollup.Count{Day: slot.Day, Reports: sum.Reports, Instances: sum.Instances()}
			switch slot.Span {
			case rollup.OneDay:
				c.Starts = fold.Starts[slot]
				total.Days = append(total.Days, c)
			case rollup.OneWeek:
				total.Weeks = append(total.Weeks, c)
			case rollup.FourWeeks:
				total.Months = append(total.Months, c)
			}
		}
		for _, counts := range [][]rollup.Count{total.Days, total.Weeks, total.Months} {
			slices.SortFunc(counts, func(a, b rollup.Count) int { return int(a.Day - b.Day) })
		}
		statstest.Sum(&total, r, own)
		f.Builds = append(f.Builds, total)
	}
	return f
}

// checkKinds checks that each value has the type of its column.
func checkKinds(t rapid.TB, table *stats.Table) {
	t.Helper()
	for _, row := range table.Rows {
		if len(row) != len(table.Columns) {
			t.Fatalf("%s: got %d values for %d columns: %v", table.Name, len(row), len(table.Columns), row)
		}
		for i, value := range row {
			ok := value == nil
			switch kind := table.Columns[i].Kind; value := value.(type) {
			case string:
				ok = kind == stats.Text
			case rollup.Day:
				ok = kind == stats.Date
			case int64:
				ok = kind == stats.Number
			case float64:
				ok = (kind == stats.Share && 0 <= value && value <= 1) || (kind == stats.Change && value >= -1) || (kind == stats.Mean && value >= 0) || (kind == stats.Bytes && value >= 0)
			case bool:
				ok = kind == stats.Yes
			}
			if !ok {
				t.Errorf("%s: column %s: got %T %v", table.Name, table.Columns[i].Name, value, value)
			}
		}
	}
}

// text formats the rows of a table, one per line.
func text(table *stats.Table) string {
	var b strings.Builder
	for _, row := range table.Rows {
		for i, value := range row {
			if i > 0 {
				b.WriteByte(' ')
			}
			switch kind := table.Columns[i].Kind; {
			case value == nil:
				b.WriteByte('-')
			case kind == stats.Share, kind == stats.Change:
				fmt.Fprintf(&b, "%.3f", value)
			case kind == stats.Mean:
				b.WriteString(stats.ShowMean(value.(float64)))
			case kind == stats.Bytes:
				fmt.Fprintf(&b, "%.3g", value)
			case kind == stats.Date:
				b.WriteString(value.(rollup.Day).String()[5:])
			default:
				fmt.Fprint(&b, value)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// expect compares a table with lines, without their indentation.
func expect(t *testing.T, v *stats.View, name, want string) {
	t.Helper()
	table := v.Table(name)
	if table == nil {
		t.Fatalf("got no table %s", name)
	}
	checkKinds(t, table)
	want = strings.TrimSpace(strings.ReplaceAll(want, "\t", "")) + "\n"
	if want == "\n" {
		want = ""
	}
	if got := text(table); got != want {
		t.Errorf("%s: got\n%swant\n%s", name, got, want)
	}
}

func release(version, day string) catalog.Release {
	r := catalog.Release{Tag: version}
	if day != "" {
		r.Date = date(day).Time().Add(20 * time.Hour)
	}
	r.Prerelease = strings.Contains(version, "-")
	return r
}

// product returns a product with all kinds of releases.
func product() catalog.Listing {
	withdrawn := release("v1.2.1", "2026-03-15")
	withdrawn.Withdrawn = true
	return catalog.Listing{
		Product: catalog.Product{Name: "opa", Title: "Open Policy Agent"},
		Releases: []catalog.Release{
			release("v1.0.0", "2026-01-01"), release("v1.2.0", "2026-03-10"), release("v1.1.0", "2026-02-01"), withdrawn,
			release("v1.3.0-rc.1", "2026-03-20"), release("v1.1.1", "2026-03-05"), release("v1.2.0-rc.1", "2026-03-08"),
		},
	}
}

// fleet has 15 instances in two weeks, and two before.
func fleet() []reports {
	const mib = 1 << 20
	return []reports{
		{"2026-02-20", 20, 21, "v1.0.0", "linux/amd64", 0},
		{"2026-03-02", 1, 4, "1.0.0", "linux/amd64", 100 * mib},
		{"2026-03-03", 5, 5, "v1.0.0", "linux/amd64", 200 * mib},
		{"2026-03-03", 6, 7, "v1.1.0", "linux/arm64", 300 * mib},
		{"2026-03-09", 15, 15, "1.2.0-rc.1", "linux/amd64", 0},
		{"2026-03-12", 8, 10, "1.2.0", "darwin/arm64", 50 * mib},
		{"2026-03-12", 11, 11, "1.1.0-istio", "other/other", 0},
		{"2026-03-13", 8, 8, "1.2.0", "darwin/arm64", 70 * mib},
		{"2026-03-13", 12, 12, "dev", "linux/amd64", 0},
		{"2026-03-13", 13, 13, "9.9.9", "linux/amd64", 0},
		{"2026-03-14", 14, 14, "1.3.0-rc.1", "linux/amd64", 0},
	}
}

func fleetView(today string) *stats.View {
	r := days("2026-03-02", "2026-03-15")
	return newView(product(), stats.Query{Range: r, Below: "1.1.2", Above: 1 << 30}, totals(r, fleet()), date(today))
}

var hashKey = rollup.Key{1, 2, 3}

func numbered(n int) (id uuid.UUID) {
	binary.LittleEndian.PutUint64(id[:], uint64(n))
	return id
}

func newView(l catalog.Listing, q stats.Query, f *rollup.Totals, today rollup.Day) *stats.View {
	return stats.NewView(l.Product, l.Rank(l.Releases), q, f, today)
}
