package db_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
	"relcheck/db/pgtest"
)

// worldDays are the days of the reports of [siteReports].
var worldDays = rollup.Range{From: 20_000, To: 20_069}

// siteReports returns reports of processes, and of installations that remember the day of
// their last answer, in order.
func siteReports(seed uint64) (all []db.Recorded) {
	random := rand.New(rand.NewPCG(seed, 0))
	versions := []string{"v1.0.0", "v1.1.0", "v1.2.0", "v1.2.1-custom"}
	platforms := []checker.Platform{linux, {OS: "windows", Arch: "amd64"}}
	for i := range 40 {
		from, to := worldDays.From+rollup.Day(random.IntN(60)), worldDays.To-rollup.Day(random.IntN(8))
		id, version, platform, last := uuid.New(), random.IntN(len(versions)), platforms[random.IntN(2)], checker.NeverAnswered
		for d := from; d <= to; d++ {
			if random.IntN(3) == 0 {
				continue
			}
			if random.IntN(20) == 0 {
				id, version = uuid.New(), min(version+1, len(versions)-1)
			}
			for n := range 1 + random.IntN(2) {
				r := db.Recorded{At: d.Time().Add(time.Duration(n)*12*time.Hour + time.Duration(random.IntN(40_000))*time.Second), Platform: platform}
				r.Report = checker.Report{ID: id, Version: versions[version]}
				if heap := int64(100<<20 + random.Int64N(400<<20)); i%5 > 0 {
					r.HeapUsageBytes = &heap
				}
				if i%2 == 0 {
					r.Last, r.ID = last, uuid.Nil
					last = checker.Last(d)
				}
				all = append(all, r)
			}
		}
	}
	sortReports(all)
	return all
}

func sortReports(all []db.Recorded) {
	slices.SortStableFunc(all, func(a, b db.Recorded) int { return a.At.Compare(b.At) })
}

// record records past reports of opa, and a few checks.
func record(t testing.TB, s *db.Store, reports []db.Recorded, checks int64) {
	t.Helper()
	_, err := s.Backfill(context.Background(), "opa", slices.Values(reports), slices.Values([]db.Checked{{worldDays.From.Time(), "v1.0.0", linux, checks}}))
	if err != nil {
		t.Fatal(err)
	}
	fold(t, s)
}

// siteKeys are the trusted keys of sites.
var siteKeys = []string{"one+00000001+key", "two+00000002+key", "three+00000003+key"}

// siteBundle returns a bundle of a site with the number i. Its sequence numbers are those of
// its ID.
func siteBundle(t testing.TB, s *db.Store, i, n int, through rollup.Day) db.SiteBundle {
	t.Helper()
	if err := s.TrustCountsKey(context.Background(), siteKeys[i], nil, bundleTime); err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("site%d", i)
	return db.SiteBundle{Bundle: db.Bundle{ID: fmt.Sprint(name, "-", n), Store: "store" + name, Created: bundleTime, Time: bundleTime, Keys: siteKeys[i : i+1]}, Site: name, Threshold: 1, Through: through}
}

// counted returns the counts of a product in a bundle.
func counted(sequence int, cells []rollup.Cell) []*db.CountedProduct {
	return []*db.CountedProduct{{Name: "opa", Sequence: int64(sequence), Cells: func(yield func(*rollup.Cell, error) bool) {
		for i := range cells {
			if !yield(&cells[i], nil) {
				return
			}
		}
	}}}
}

// cellsOf returns the counts that a store puts into a bundle.
func cellsOf(t testing.TB, s *db.Store, through rollup.Day, threshold int64) (all []rollup.Cell) {
	t.Helper()
	err := s.Cells(context.Background(), "opa", through, func(cells []rollup.Cell) error {
		all = append(all, rollup.HideSmall(cells, threshold, func(string) bool { return false })...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(all, func(a, b rollup.Cell) int { return a.Compare(&b) }) {
		t.Error("the counts are not in order")
	}
	return all
}

func apply(t testing.TB, s *db.Store, b db.SiteBundle, products []*db.CountedProduct) db.CountsResult {
	t.Helper()
	results, err := s.ApplyCounts(context.Background(), b, products)
	if err != nil {
		t.Fatal(err)
	}
	return results[0]
}

// additive returns what can be added up over sites: all but distinct instances of a range and
// what is known only of instances.
func additive(t testing.TB, s *db.Store, site string, r rollup.Range) (lines []string) {
	t.Helper()
	f, err := s.TotalsAt(context.Background(), "opa", site, r, allBuilds)
	if err != nil {
		t.Fatal(err)
	}
	for i := range f.Builds {
		b := &f.Builds[i]
		line := fmt.Sprint(b.Version, " ", b.Platform, " reports ", b.Reports)
		for _, span := range rollup.Spans {
			for _, c := range *b.Counts(span) {
				if p := (rollup.Period{Span: span, Day: c.Day}).Range(); r.From <= p.From && p.To <= r.To && c.Reports+c.Instances+c.Checks > 0 {
					line += fmt.Sprintf("\n  %d %s %d %d %d", span, c.Day, c.Reports, c.Instances, c.Checks)
				}
			}
		}
		for _, n := range b.Installations {
			if n.Day >= worldDays.From {
				line += fmt.Sprint("\n  ", n)
			}
		}
		for bucket, n := range b.Heaps.All() {
			line += fmt.Sprint("\n  heap ", bucket, n)
		}
		if strings.Contains(line, "\n") {
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return append(lines, fmt.Sprint(f.Known, f.Remembered))
}

// worldRanges are ranges of [worldDays], aligned to weeks and four weeks and not.
var worldRanges = []rollup.Range{worldDays, worldDays.Last(1), worldDays.Last(28), {From: 20_010, To: 20_051}, {From: 20_016, To: 20_043}}

// Counts of three sites at threshold 1 equal those of one store that has all reports.
func testSites(t *testing.T, name string) {
	ctx := context.Background()
	all, one := open(t, name), open(t, sameEngine(t, name))
	var reports []db.Recorded
	var sites []*db.Store
	for i := range 3 {
		own := siteReports(uint64(i))
		site := open(t, sameEngine(t, name))
		record(t, site, own, int64(i+1))
		reports, sites = append(reports, own...), append(sites, site)
	}
	sortReports(reports)
	record(t, one, reports, 1+2+3)
	compare := func(what string, s *db.Store) {
		t.Helper()
		for _, r := range worldRanges {
			if diff := cmp.Diff(additive(t, one, "", r), additive(t, s, "", r)); diff != "" {
				t.Fatalf("%s, %v (-want +got):\n%s", what, r, diff)
			}
			checkBounds(t, one, s, r)
		}
	}
	for i, s := range sites {
		apply(t, all, siteBundle(t, all, i, 1, worldDays.To), counted(1, cellsOf(t, s, worldDays.To, 1)))
		for _, r := range worldRanges {
			if diff := cmp.Diff(additive(t, s, "", r), additive(t, all, fmt.Sprintf("site%d", i), r)); diff != "" {
				t.Fatalf("site %d, %v (-want +got):\n%s", i, r, diff)
			}
		}
	}
	compare("three sites", all)
	// Applied twice, in any order.
	for i, s := range slices.Backward(sites) {
		if r := apply(t, all, siteBundle(t, all, i, 1, worldDays.To), counted(1, cellsOf(t, s, worldDays.To, 1))); !r.Repeated {
			t.Errorf("site %d, applied twice: got %+v, want it repeated", i, r)
		}
	}
	compare("applied twice", all)
	// Replaced by a later bundle that begins later, as after the retention period of the site.
	for i, s := range sites {
		later := cellsOf(t, s, worldDays.To, 1)
		at := rollup.FourWeeks.Start(worldDays.From) + 28
		later = slices.DeleteFunc(later, func(c rollup.Cell) bool { return c.Day < at })
		if r := apply(t, all, siteBundle(t, all, i, 2, worldDays.To), counted(2, later)); r.Cells != r.Removed || r.Cells == 0 {
			t.Errorf("site %d: got %+v, want as many rows as before", i, r)
		}
	}
	compare("replaced", all)
	other := otherEngine(t, name)
	if _, err := all.Copy(ctx, other, schema(t), func(done, total int64) {}); err != nil {
		t.Fatal(err)
	}
	compare("copied to the other engine", open(t, other))
	for i := range sites {
		if err := all.RemoveSite(ctx, fmt.Sprintf("site%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if got := additive(t, all, "", worldDays); len(got) != 1 {
		t.Errorf("all sites removed: got totals %v, want none", got)
	}
	for table, rows := range dumpTables(t, name, []string{"site", "site_product", "site_count"}) {
		if len(rows) > 0 {
			t.Errorf("all sites removed: got %d rows in %s, want none", len(rows), table)
		}
	}
	for i, s := range sites {
		apply(t, all, siteBundle(t, all, i, 1, worldDays.To), counted(1, cellsOf(t, s, worldDays.To, 1)))
	}
	compare("removed, and applied again", all)
}

// checkBounds reports an error if a number of distinct instances in a range is not a lower
// bound of the true one.
func checkBounds(t testing.TB, one, sites *db.Store, r rollup.Range) {
	t.Helper()
	want, err1 := one.Totals(context.Background(), "opa", r, allBuilds)
	got, err2 := sites.Totals(context.Background(), "opa", r, allBuilds)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	truth := map[rollup.Build]rollup.BuildTotals{}
	for _, b := range want.Builds {
		truth[b.Build] = b
	}
	for _, b := range got.Builds {
		w := truth[b.Build]
		if b.Instances > w.Instances || w.Instances > 0 && b.Instances == 0 {
			t.Errorf("%v %v: got at least %d instances, want at most %d, and 0 only for 0", r, b.Build, b.Instances, w.Instances)
		}
		g, w2 := b.Recent, w.Recent
		if g.Day != w2.Day || g.DayBefore != w2.DayBefore || g.Week > w2.Week || g.Month > w2.Month || g.RangeBefore > w2.RangeBefore {
			t.Errorf("%v %v: got recent instances %+v, want at most %+v", r, b.Build, g, w2)
		}
		for i, n := range b.Exceed {
			if len(w.Exceed) > 0 && n > w.Exceed[i] {
				t.Errorf("%v %v: got at least %d instances above limit %d, want at most %d", r, b.Build, n, i, w.Exceed[i])
			}
		}
	}
}

func sameEngine(t testing.TB, name string) string {
	if strings.HasPrefix(name, "postgres://") {
		return pgtest.Database(t)
	}
	return engines["SQLite"](t)
}

func otherEngine(t testing.TB, name string) string {
	if strings.HasPrefix(name, "postgres://") {
		return engines["SQLite"](t)
	}
	return pgtest.Database(t)
}

// smallCells returns n builds with counts of a day.
func smallCells(day rollup.Day, n int, reports int64) (cells []rollup.Cell) {
	for i := range n {
		cells = append(cells, rollup.Cell{Period: rollup.Period{Span: rollup.OneDay, Day: day}, Build: rollup.Build{Version: fmt.Sprintf("v1.%04d.0", i), Platform: linux}, Reports: reports, Instances: 1})
	}
	return cells
}

func testRefusedCounts(t *testing.T, name string) {
	ctx, s := context.Background(), open(t, name)
	apply(t, s, siteBundle(t, s, 0, 5, 20_000), counted(5, smallCells(20_000, 3, 7)))
	if err := s.TrustKey(ctx, "releases+00000009+key", nil, bundleTime); err != nil {
		t.Fatal(err)
	}
	before := dumpTables(t, name, []string{"site", "site_product", "site_count", "build"})
	bundle := func(change func(*db.SiteBundle)) db.SiteBundle {
		b := siteBundle(t, s, 0, 6, 20_001)
		change(&b)
		return b
	}
	broken := errors.New("broken")
	for what, test := range map[string]struct {
		bundle   db.SiteBundle
		products []*db.CountedProduct
		want     error
		text     string
	}{
		"an older bundle":         {bundle(func(*db.SiteBundle) {}), counted(4, smallCells(20_001, 1, 1)), db.ErrOldBundle, "sequence number 4 in this bundle, and 5 was applied"},
		"the same sequence":       {bundle(func(*db.SiteBundle) {}), counted(5, smallCells(20_001, 1, 1)), db.ErrOldBundle, "create a new bundle"},
		"a key for releases":      {bundle(func(b *db.SiteBundle) { b.Keys = []string{"releases+00000009+key"} }), counted(6, nil), db.ErrBundleRefused, "is not trusted"},
		"the key of another site": {bundle(func(b *db.SiteBundle) { b.Keys = siteBundle(t, s, 1, 1, 1).Keys }), counted(6, nil), db.ErrBundleRefused, "were signed by key one+00000001, and this one is signed by two+00000002"},
		"a name in use":           {bundle(func(b *db.SiteBundle) { b.Store = "other" }), counted(6, nil), db.ErrInUse, "site site0 has the counts of store storesite0"},
		"a wrong name":            {bundle(func(b *db.SiteBundle) { b.Store, b.Rename = "other", "local" }), counted(6, nil), nil, "cannot be the name of a site"},
		"expired":                 {bundle(func(b *db.SiteBundle) { b.Expires = time.Unix(1e9, 0) }), counted(6, nil), db.ErrBundleRefused, "has expired"},
		"an unknown product":      {bundle(func(*db.SiteBundle) {}), []*db.CountedProduct{{Name: "nothing", Sequence: 6}}, db.ErrNotFound, "product nothing: not found"},
		"an error in the middle": {bundle(func(*db.SiteBundle) {}), []*db.CountedProduct{{Name: "opa", Sequence: 6, Cells: func(yield func(*rollup.Cell, error) bool) {
			_ = yield(&smallCells(20_000, 1, 9)[0], nil) && yield(nil, broken)
		}}}, broken, ""},
		"a cell twice": {bundle(func(*db.SiteBundle) {}), counted(6, append(smallCells(20_000, 1, 1), smallCells(20_000, 1, 1)...)), nil, ""},
	} {
		_, err := s.ApplyCounts(ctx, test.bundle, test.products)
		if err == nil || test.want != nil && !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: got error %v, want %v with %q", what, err, test.want, test.text)
		}
		if diff := cmp.Diff(before, dumpTables(t, name, []string{"site", "site_product", "site_count", "build"})); diff != "" {
			t.Errorf("%s (-before +after):\n%s", what, diff)
		}
	}
	dry := bundle(func(b *db.SiteBundle) { b.DryRun, b.Rename = true, "renamed" })
	if r := apply(t, s, dry, counted(6, smallCells(20_000, 2, 7))); r.Cells != 2 || r.Removed != 3 || r.Site != "renamed" {
		t.Errorf("dry run: got %+v, want 2 rows instead of 3", r)
	}
	if diff := cmp.Diff(before, dumpTables(t, name, []string{"site", "site_product", "site_count", "build"})); diff != "" {
		t.Errorf("dry run (-before +after):\n%s", diff)
	}
	// A revoked key is replaced.
	if err := s.RevokeKey(ctx, siteKeys[0], bundleTime); err != nil {
		t.Fatal(err)
	}
	replaced := siteBundle(t, s, 1, 6, 20_001)
	replaced.Store, replaced.Site = "storesite0", "another"
	if r := apply(t, s, replaced, counted(6, smallCells(20_001, 1, 7))); r.Site != "site0" || r.Cells != 1 || r.Removed != 0 {
		t.Errorf("with another key: got %+v, want one row of site0", r)
	}
}

func testSiteNames(t *testing.T, name string) {
	ctx, s := context.Background(), open(t, name)
	apply(t, s, siteBundle(t, s, 0, 1, 20_000), counted(1, smallCells(20_000, 1, 7)))
	apply(t, s, siteBundle(t, s, 1, 1, 20_000), counted(1, smallCells(20_000, 1, 3)))
	if err := errors.Join(s.RenameSite(ctx, "site0", "berlin"), s.RenameSite(ctx, "berlin", "berlin")); err != nil {
		t.Fatal(err)
	}
	for want, err := range map[error]error{db.ErrInUse: s.RenameSite(ctx, "site1", "berlin"), db.ErrNotFound: s.RenameSite(ctx, "site0", "x")} {
		if !errors.Is(err, want) {
			t.Errorf("got error %v, want %v", err, want)
		}
	}
	if err := s.RenameSite(ctx, "site1", "A b"); !errors.As(err, new(*catalog.FieldError)) {
		t.Errorf("a wrong name: got error %v, want a FieldError", err)
	}
	if err := s.RemoveSite(ctx, "nowhere"); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("an unknown site: got error %v, want ErrNotFound", err)
	}
	if r := apply(t, s, siteBundle(t, s, 0, 2, 20_001), counted(2, smallCells(20_001, 1, 5))); r.Site != "berlin" || r.Removed != 0 {
		t.Errorf("got %+v, want site berlin, whose earlier day stays", r)
	}
	sites, err := s.Sites(ctx)
	if err != nil || len(sites) != 2 || sites[0].Name != "berlin" || sites[1].Name != "site1" || sites[0].Store != "storesite0" || len(sites[0].Products) != 1 ||
		sites[0].Products[0].Through != 20_001 || sites[0].Products[0].Product != "opa" || sites[0].Products[0].Bundle != "site0-2" {
		t.Errorf("got sites %+v (error %v), want berlin and site1", sites, err)
	}
	r := rollup.Range{From: 20_000, To: 20_001}
	for site, want := range map[string]int64{"": 15, "berlin": 12, "site1": 3, rollup.LocalSite: 0} {
		f, err := s.TotalsAt(ctx, "opa", site, r, allBuilds)
		got := int64(0)
		for _, b := range f.Builds {
			got += b.Reports
		}
		included := slices.Collect(func(yield func(string) bool) {
			for _, s := range f.Sites {
				if s.Included && !yield(s.Name) {
					return
				}
			}
		})
		if err != nil || got != want || len(f.Sites) != 2 || (site == "") != (len(included) == 2) {
			t.Errorf("site %q: got %d reports and sites %+v (error %v), want %d", site, got, f.Sites, err, want)
		}
	}
	if _, err := s.TotalsAt(ctx, "opa", "nowhere", r, allBuilds); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("an unknown site: got error %v, want ErrNotFound", err)
	}
	if err := s.RemoveSite(ctx, "berlin"); err != nil {
		t.Fatal(err)
	}
	audit, err := s.Audit(ctx, "", time.Time{})
	var actions []string
	for _, a := range slices.Backward(audit) {
		if !strings.HasPrefix(a.Action, "key.") {
			actions = append(actions, a.Action+" "+a.Detail)
		}
	}
	want := []string{"bundle.applied counts of site site0 through 2024-10-04", "bundle.applied counts of site site1 through 2024-10-04", "site.renamed site0 to berlin",
		"bundle.applied counts of site berlin through 2024-10-05", "site.removed berlin with the counts of store storesite0"}
	if diff := cmp.Diff(want, actions); diff != "" || err != nil {
		t.Errorf("audit log (-want +got, error %v):\n%s", err, diff)
	}
	if err := s.RemoveProduct(ctx, "opa", true); err != nil {
		t.Fatal(err)
	}
	if sites, err := s.Sites(ctx); err != nil || len(sites) != 1 || len(sites[0].Products) != 0 {
		t.Errorf("after the product was removed: got sites %+v (error %v), want site1 without products", sites, err)
	}
}

// applyCountsUntilKilled applies bundles of a site with ever higher sequence numbers.
func applyCountsUntilKilled(s *db.Store) error {
	ctx := context.Background()
	sites, err := s.Sites(ctx)
	if err != nil {
		return err
	}
	n := 1
	if len(sites) > 0 {
		n = int(sites[0].Products[0].Sequence) + 1
	}
	fmt.Println("begin")
	for ; ; n++ {
		b := db.SiteBundle{Bundle: db.Bundle{ID: fmt.Sprint(n), Store: "site0", Created: bundleTime, Time: bundleTime, Keys: siteKeys[:1]}, Site: "site0", Threshold: 1, Through: 20_000}
		if _, err := s.ApplyCounts(ctx, b, counted(n, smallCells(20_000, 300, int64(n)))); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// appliedSequence returns the sequence number of the bundle of the only site.
func appliedSequence(t testing.TB, s *db.Store) int64 {
	t.Helper()
	sites, err := s.Sites(context.Background())
	if err != nil || len(sites) != 1 {
		t.Fatalf("got sites %+v (error %v), want one", sites, err)
	}
	return sites[0].Products[0].Sequence
}

// A process that is killed while it applies a bundle leaves the counts of a bundle, and never
// of two.
func testKilledCounts(t *testing.T, name string) {
	skipRace(t)
	s := open(t, name)
	siteBundle(t, s, 0, 1, 1) // trusts the key
	kills, applied := 12, int64(0)
	for range kills {
		c := startRecording(t, "counts "+name)
		time.Sleep(rand.N(30 * time.Millisecond))
		c.kill()
		sequence := appliedSequence(t, s)
		f, err := s.Totals(context.Background(), "opa", rollup.Range{From: 20_000, To: 20_000}, allBuilds)
		for now := appliedSequence(t, s); err == nil && now != sequence; now = appliedSequence(t, s) { // PostgreSQL may commit after the kill
			sequence = now
			f, err = s.Totals(context.Background(), "opa", rollup.Range{From: 20_000, To: 20_000}, allBuilds)
		}
		if err != nil || len(f.Builds) != 300 {
			t.Fatalf("got %d builds (error %v), want 300", len(f.Builds), err)
		}
		for _, b := range f.Builds {
			if b.Reports != sequence {
				t.Fatalf("%s has %d reports, want the ones of bundle %d", b.Version, b.Reports, sequence)
			}
		}
		if sequence <= applied {
			t.Errorf("got bundle %d after bundle %d, want a newer one", sequence, applied)
		}
		applied = sequence
	}
	// A killed removal does not count any more, and a server removes the rest.
	if _, err := raw(t, name).Exec("UPDATE site SET name = NULL"); err != nil {
		t.Fatal(err)
	}
	if f, err := s.Totals(context.Background(), "opa", rollup.Range{From: 20_000, To: 20_000}, allBuilds); err != nil || len(f.Builds) != 0 {
		t.Errorf("after a removal was killed: got %d builds (error %v), want none", len(f.Builds), err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { s.Maintain(ctx, db.Retention{}, slog.New(slog.DiscardHandler)); close(ended) }()
	for deadline := time.Now().Add(time.Minute); len(dumpTables(t, name, []string{"site"})["site"]) > 0 && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
	}
	stop()
	<-ended
	if rows := dumpTables(t, name, []string{"site_count"})["site_count"]; len(rows) > 0 {
		t.Errorf("got %d rows of a removed site, want none", len(rows))
	}
}
