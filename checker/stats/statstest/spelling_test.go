package statstest_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/stats"
	"relcheck/checker/stats/fleet"
)

// spellings are ways to spell the n-th release of a product.
var spellings = []struct {
	name    string
	product catalog.Product
	tag     func(r *rand.Rand, n int) string
}{
	{"semantic", catalog.Product{Match: ">=0.51,<0.55"}, func(_ *rand.Rand, n int) string { return fmt.Sprintf("v0.%d.%d", 50+n/3, n%3) }},
	{"prefix", catalog.Product{Prefixes: "cli/v bun-"}, func(r *rand.Rand, n int) string {
		return []string{"cli/v", "bun-v", "bun-"}[r.IntN(3)] + fmt.Sprintf("1.%d.%d", n/3, n%3)
	}},
	{"calendar", catalog.Product{MinAge: 72 * time.Hour}, func(_ *rand.Rand, n int) string { return fmt.Sprintf("2026.%02d.%02d", 1+n/3, 1+n%3*9) }},
	{"dates", catalog.Product{}, func(_ *rand.Rand, n int) string { return fmt.Sprintf("2026-%02d-%02d", 1+n/3, 1+n%3*9) }},
	{"builds", catalog.Product{}, func(_ *rand.Rand, n int) string { return fmt.Sprintf("v1.%d.0+k3s%d", 30+n/4, 8+n%4) }},
	{"suffixes", catalog.Product{Suffix: "[0-9]+"}, func(_ *rand.Rand, n int) string {
		return fmt.Sprintf("1.%d", n/4) + []string{"", "-1", "-10", "rc1"}[n%4]
	}},
	{"glued", catalog.Product{}, func(_ *rand.Rand, n int) string {
		return fmt.Sprintf("1.%d.0", n/4) + []string{"", "a", "rc2", ".Final"}[n%4]
	}},
	{"numbers", catalog.Product{}, func(_ *rand.Rand, n int) string { return fmt.Sprint(20+n/3) + []string{"", ".1", ".2.1.7"}[n%3] }},
	{"mixed", catalog.Product{Match: "<2000"}, func(r *rand.Rand, n int) string {
		return []string{fmt.Sprintf("2024.%02d.01", 1+n%12), fmt.Sprintf("v1.%d.0", n), fmt.Sprintf("1.%d.0", n)}[r.IntN(3)]
	}},
}

// TestViewSpellings compares views of products that spell their tags in many ways. Some of
// the releases are withdrawn, have no date, or are not out yet.
func TestViewSpellings(t *testing.T) {
	for seed := range uint64(4) {
		if seed > 0 && reduced() {
			break
		}
		for i, s := range spellings {
			t.Run(fmt.Sprint(s.name, seed), func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, uint64(i)))
				f := fleet.Fleet{Seed: seed, Days: 45, Instances: 120, Every: 12 * time.Hour, Product: s.product}
				today := f.Range().To - 8
				at := func(day int) time.Time { return f.Range().From.Time().AddDate(0, 0, day).Add(time.Hour) }
				tags, scheme := map[string]bool{}, s.product.Scheme()
				for n := range 18 {
					release := catalog.Release{Tag: s.tag(r, n), Date: at(4*n - 28)}
					release.Prerelease = !scheme.Parse(release.Tag).Stable() || r.IntN(8) == 0
					release.Withdrawn = r.IntN(5) == 0
					if r.IntN(8) == 0 {
						release.Date = time.Time{}
					}
					if !tags[release.Tag] {
						tags[release.Tag] = true
						f.Published = append(f.Published, release)
					}
				}
				f.Published = append(f.Published, catalog.Release{Tag: "nightly", Date: at(0), Withdrawn: seed%2 == 0}, catalog.Release{Tag: "cmd/v9.0.0", Date: at(0)})
				r.Shuffle(len(f.Published), func(i, j int) { f.Published[i], f.Published[j] = f.Published[j], f.Published[i] })
				all := f.Range()
				all.To = today
				release := func() string { return f.Published[r.IntN(len(f.Published))].Tag }
				bare := scheme.Trim
				line := func() string {
					lines := stats.NewLines(&s.product, s.product.Rank(f.Published))
					names := []string{"9.9"}
					for _, p := range f.Published {
						if name := lines.Of(p.Tag); name != "" {
							names = append(names, name)
						}
					}
					slices.Sort(names)
					return names[r.IntN(len(names))]
				}
				compare(t, f, today, []stats.Query{
					{Range: all, Below: release()},
					{Range: all, Below: bare(release()) + "-istio", Filter: stats.Filter{OS: "linux"}},
					{Range: all.Last(20), Below: line()},
					{Range: all, Filter: stats.Filter{Version: release()}},
					{Range: all, Filter: stats.Filter{Version: bare(release())}},
					{Range: all, Filter: stats.Filter{Version: line()}},
				})
			})
		}
	}
}
