package stats_test

import (
	"strings"
	"testing"

	"relcheck/checker/catalog"
	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

// Tables name the sites that they include, and how these are counted. Statistics of a site end
// with its last day.
func TestSites(t *testing.T) {
	today := date("2026-03-31")
	totals := &rollup.Totals{Range: days("2026-03-04", "2026-03-31"), Known: days("2026-03-01", "2026-03-31"), Remembered: rollup.Range{From: 1, To: 0},
		Sites: []rollup.SiteTotals{{Name: "berlin", Through: date("2026-03-28"), Included: true}, {Name: "factory", Through: date("2026-03-29"), Included: true}}}
	view := func(site string) *stats.View {
		return stats.NewView(catalog.Product{Name: "opa"}, nil, stats.Query{Range: totals.Range, Site: site}, totals, today)
	}
	all := view("")
	for table, want := range map[string]string{
		"daily":     "; with sites: berlin (through 2026-03-28), factory (through 2026-03-29)",
		"versions":  "factory (through 2026-03-29); of a site, distinct instances in a range are a lower bound: the largest count of a day, week or four weeks in it",
		"lifetimes": "; without sites: berlin",
	} {
		if note := all.Table(table).Note; !strings.Contains(note, want) {
			t.Errorf("%s: got note %q, want one with %q", table, note, want)
		}
	}
	for _, table := range []string{"daily", "versions", "lifetimes"} {
		if strings.HasSuffix(all.Table(table).Note, "lower bound: the largest count of a day, week or four weeks in it") != (table == "versions") {
			t.Errorf("%s: got note %q, want a bound only for versions", table, all.Table(table).Note)
		}
	}
	totals.Sites[0].Included = false
	one := view("factory").Table("daily")
	if n := len(one.Rows); n != 26 || one.Rows[n-1][0] != date("2026-03-29") || strings.Contains(one.Note, "not over") || strings.Contains(one.Note, "berlin") {
		t.Errorf("got %d days to %v with note %q, want 26 days to 2026-03-29, which are over", n, one.Rows[n-1][0], one.Note)
	}
	totals.Sites[1].Included = false
	if note := view(rollup.LocalSite).Table("daily").Note; strings.Contains(note, "site") {
		t.Errorf("local: got note %q, want none about sites", note)
	}
}
