package stats_test

import (
	"slices"
	"strings"
	"testing"

	"relcheck/checker/stats"
)

func answer(v *stats.View, table string) stats.Answer {
	return v.Query.Answer(v.Table(table), stats.Show)
}

func TestAnswer(t *testing.T) {
	v := fleetView("2026-03-16")
	for table, want := range map[string]string{
		"deprecation": "If support ended below v1.1.2, 8 instances (53.3 %) would be affected.",
		"heap_above":  "0 instances (0.0 %) exceeded 1 GiB.",
		"heap_change": "Too few instances to compare v1.2.0 with v1.0.0 at p95.",
		"versions":    "",
	} {
		if got := answer(v, table); got.Text != want || got.Doubt != (table == "heap_change") {
			t.Errorf("%s: got %+v, want %q", table, got, want)
		}
	}
	v.Query.Below, v.Query.Above = "1.0.0", 60<<20
	if got := answer(v, "deprecation").Text; got != "If support ended below v1.0.0, 0 instances (0.0 %) would be affected." {
		t.Errorf("rounded limit or other spelling: got %q", got)
	}
	if got := answer(v, "heap_above").Text; got != "8 instances (53.3 %) exceeded 64 MiB. That is the nearest heap that has a count." {
		t.Errorf("rounded limit or other spelling: got %q", got)
	}
	v.Query.Below, v.Query.Above = "", 0
	for _, table := range []string{"deprecation", "heap_above"} {
		if got := answer(v, table); got != (stats.Answer{}) {
			t.Errorf("%s: got answer %+v to a query without a question", table, got)
		}
	}
}

// TestAnswerCompare also checks that the answer does not depend on the order of the columns.
func TestAnswerCompare(t *testing.T) {
	all := []reports{
		{"2026-03-02", 0, 199, "1.0.0", "linux/amd64", 100 << 20},
		{"2026-03-02", 200, 399, "1.1.0", "linux/amd64", 150 << 20},
		{"2026-03-02", 400, 400, "1.2.0", "linux/amd64", -1},
		{"2026-03-02", 500, 599, "1.1.5", "linux/amd64", 150 << 20},
	}
	for compare, want := range map[[2]string]stats.Answer{
		{"1.0.0", "1.1.0"}: {Text: "v1.1.0 uses 49.2 % more heap than v1.0.0 at p95 (between +47.7 % and +50.7 % with 95 % confidence)."},
		{"1.1", "1.0"}:     {Text: "v1.0 uses 33.0 % less heap than v1.1 at p95 (between -33.6 % and -32.3 % with 95 % confidence)."},
		{"1.1.0", "1.1.5"}: {Text: "It is not certain that the heap changed from v1.1.0 to v1.1.5 (at p95, between -1.0 % and +1.0 % with 95 % confidence).", Doubt: true},
		{"1.1.0", "1.2.0"}: {Text: "Too few instances to compare v1.2.0 with v1.1.0 at p95.", Doubt: true},
		{"1.1.0", "1.9.0"}: {},
	} {
		table := comparison(stats.Query{Compare: compare}, all)
		for range 2 {
			if got := (stats.Query{}).Answer(table, stats.Show); got != want {
				t.Errorf("%v: got %+v, want %+v", compare, got, want)
			}
			table.Columns = slices.Clone(table.Columns)
			slices.Reverse(table.Columns)
			for _, row := range table.Rows {
				slices.Reverse(row)
			}
		}
	}
}

// TestRecency checks the sentences about how many run the latest release.
func TestRecency(t *testing.T) {
	want := "33.3 % of the instances run the latest release, v1.2.0, or newer. 40.0 % run its minor line, v1.2, or newer. 53.3 % run an older minor line. 6.7 % run a version that cannot be compared."
	if got := strings.Join(fleetView("2026-03-16").Recency(stats.Show), " "); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestAdoption checks that the newest minor line is compared with the one before it on the same day
// after their releases.
func TestAdoption(t *testing.T) {
	r := days("2026-02-01", "2026-03-11")
	earlier := reports{"2026-02-01", 1, 100, "v1.1.0", "linux/amd64", 0}
	newest := []reports{{"2026-03-10", 101, 200, "v1.0.0", "linux/amd64", 0}, {"2026-03-10", 201, 250, "v1.2.0", "linux/amd64", 0}}
	for _, c := range []struct {
		reports      []reports
		answer, want string
	}{
		{append(newest, earlier), "yes, slower", "On day 0 after its release, 33.3 % ran v1.2 or newer. v1.1 had 100.0 % on its day 0."},
		{newest, "", "On day 0 after its release, 33.3 % ran v1.2 or newer. There is no earlier release to compare with."},
	} {
		answer, sentences := newView(product(), stats.Query{Range: r}, totals(r, c.reports), r.To).Adoption(stats.Show)
		if got := strings.Join(sentences, " "); answer != c.answer || got != c.want {
			t.Errorf("got %q, %q, want %q, %q", answer, got, c.answer, c.want)
		}
	}
}
