package db_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"relcheck/checker/catalog"
	"relcheck/db"
)

// bundleKey is the trusted key of bundles.
const bundleKey = "home+00000001+key"

// bundleOf returns a bundle that was signed by a key, and makes the store trust the key.
func bundleOf(t testing.TB, s *db.Store, id string) db.Bundle {
	t.Helper()
	if err := s.TrustKey(context.Background(), bundleKey, nil, bundleTime); err != nil {
		t.Fatal(err)
	}
	return db.Bundle{ID: id, Store: "home", Time: bundleTime, Keys: []string{bundleKey}}
}

// releasesOf returns a product of a bundle with releases.
func releasesOf(p catalog.Product, sequence int64, releases ...db.BundleRelease) *db.BundleProduct {
	for i := range releases {
		releases[i].Offset = int64(i)
	}
	return &db.BundleProduct{Product: p, Sequence: sequence, Text: func(r db.BundleRelease) (*string, error) { return releases[r.Offset].Layer.Text, nil },
		Releases: func(yield func(db.BundleRelease, error) bool) {
			for _, r := range releases {
				if !yield(r, nil) {
					return
				}
			}
		}}
}

// bundleProduct returns a product with n releases, each with two files, which are hosted.
// change changes them.
func bundleProduct(name string, sequence int64, n int, change ...func(*db.BundleRelease)) *db.BundleProduct {
	var all []db.BundleRelease
	for i, e := range catalog.ListOf("", newReleases(n, "https://example.com/"+name)...).Entries {
		r := db.BundleRelease{Tag: e.Tag, Layer: e.Upstream, Hosted: []catalog.HostedFile{hosted("a", i), hosted("b", i)}}
		for _, change := range change {
			change(&r)
		}
		all = append(all, r)
	}
	return releasesOf(catalog.Product{Name: name, Title: name}, sequence, all...)
}

// hosted returns a hosted file whose content depends on a number.
func hosted(name string, content int) catalog.HostedFile {
	return catalog.HostedFile{Name: name, SHA256: fmt.Sprintf("%064x", content), Size: int64(content), Verified: true, Fetched: time.Unix(1e9, 0).UTC()}
}

// visible returns a description of the catalog without IDs and revisions.
func visible(t testing.TB, s *db.Store) (lines []string) {
	t.Helper()
	ctx := context.Background()
	products, err := s.Products(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range products {
		lines = append(lines, fmt.Sprintf("product %+v", p))
		for e, err := range s.Entries(ctx, p.Name) {
			if err != nil {
				t.Fatal(err)
			}
			for i := range e.Upstream.Files {
				e.Upstream.Files[i].ID = 0
			}
			lines = append(lines, fmt.Sprintf("%s %s: notes %v, files %v, gone %v, list %s, by the operator: %v", p.Name, e.Tag, *cmpOr(e.Upstream.Notes, new("")), e.Upstream.Files, e.Upstream.Gone, e.Upstream.List, e.Operator != nil))
		}
	}
	for f, err := range s.HostedFiles(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("hosted %+v", f))
	}
	applied, err := s.AppliedBundles(ctx)
	if err != nil {
		t.Fatal(err)
	}
	lines = append(lines, fmt.Sprintf("applied %+v", applied))
	slices.Sort(lines)
	return lines
}

func cmpOr[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}

var bundleTime = time.Unix(1.8e9, 0).UTC()

// A bundle adds products, and writes upstream's layer and hosted files. It does not change
// settings and the operator's layer.
func testApplyBundle(t *testing.T, name string) {
	ctx := context.Background()
	s, other := open(t, name), open(t, name)
	app := catalog.Product{Name: "app", Title: "Own title", NotesHere: true}
	if err := s.AddProduct(ctx, app); err != nil {
		t.Fatal(err)
	}
	old := catalog.ListOf("bundle:home", catalog.Release{Tag: "v1.0.0", Notes: "https://example.com/old"}, catalog.Release{Tag: "v0.1.0"}, catalog.Release{Tag: "v1.2.0", Notes: "https://example.com/app", Files: file(linux, "https://example.com/app/a")})
	if _, err := s.ImportReleases(ctx, "app", old, false); err != nil {
		t.Fatal(err)
	}
	for _, f := range []catalog.HostedFile{hosted("a", 0), hosted("b", 99), hosted("own", 5)} { // the same, another content, and not in the bundle
		if err := s.HostFile(ctx, "app", "v1.0.0", f); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := s.Withdraw(ctx, "app", "v1.2.0", true); err != nil {
		t.Fatal(err)
	}
	before, err := other.Changes(ctx, catalog.Revision{})
	if err != nil {
		t.Fatal(err)
	}
	apply := func(b db.Bundle, products ...*db.BundleProduct) []db.BundleResult {
		t.Helper()
		signed := bundleOf(t, s, b.ID)
		signed.DryRun = b.DryRun
		results, err := s.ApplyBundle(ctx, signed, products)
		if err != nil {
			t.Fatal(err)
		}
		return results
	}
	products := []*db.BundleProduct{bundleProduct("new", 7, 200), bundleProduct("app", 7, 3)}
	want := []db.BundleResult{
		{Product: "new", New: true, Releases: db.ImportResult{Added: 200}, Hosted: 400},
		{Product: "app", Releases: db.ImportResult{Added: 1, Changed: 1, Unchanged: 1, Gone: 1}, Hosted: 5},
	}
	unchanged := visible(t, s)
	if got := apply(db.Bundle{ID: "one", DryRun: true}, products...); !slices.Equal(got, want) {
		t.Errorf("dry run: got %+v, want %+v", got, want)
	}
	if diff := cmp.Diff(unchanged, visible(t, s)); diff != "" {
		t.Errorf("after a dry run (-before +after):\n%s", diff)
	}
	if got := apply(db.Bundle{ID: "one"}, products...); !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	awaitNoStage(t, name)
	c, err := other.Changes(ctx, before.Revision)
	if err != nil || len(c.Products) != 2 || c.All {
		t.Fatalf("got changes %+v (error %v), want two products", c, err)
	}
	for _, l := range c.Products {
		slices.SortFunc(l.Releases, func(a, b catalog.Release) int { return strings.Compare(a.Tag, b.Tag) })
		hostedFiles := 0
		for _, r := range l.Releases {
			hostedFiles += len(r.Hosted)
		}
		switch l.Name {
		case "new":
			if len(l.Releases) != 200 || hostedFiles != 400 {
				t.Errorf("got %d changed releases with %d hosted files, want 200 with 400", len(l.Releases), hostedFiles)
			}
		case "app":
			if got, want := fmt.Sprint(l.Releases[1].Hosted), fmt.Sprint([]catalog.HostedFile{hosted("a", 0), hosted("b", 0), hosted("own", 5)}); l.Title != app.Title || !l.NotesHere || len(l.Releases) != 4 || got != want {
				t.Errorf("got %+v with %d releases and hosted files %v, want the operator's settings, 4 and %v", l.Product, len(l.Releases), got, want)
			}
			if r := l.Releases[3]; r.Tag != "v1.2.0" || !r.Withdrawn || len(r.Hosted) != 2 {
				t.Errorf("got %+v, want v1.2.0, withdrawn by the operator, with 2 hosted files", r)
			}
			if r := l.Releases[0]; r.Tag != "v0.1.0" || r.Reason != catalog.GoneReason {
				t.Errorf("got %+v, want v0.1.0, removed upstream", r)
			}
		}
	}
	after := visible(t, s)
	if got, want := apply(db.Bundle{ID: "one"}, products...), []db.BundleResult{{Product: "new", Repeated: true}, {Product: "app", Repeated: true}}; !slices.Equal(got, want) {
		t.Errorf("repeated: got %+v, want %+v", got, want)
	}
	for _, content := range []int{0, 5} { // of the bundle, and of another file
		if err := s.MarkDamaged(ctx, hosted("", content).SHA256, bundleTime); err != nil {
			t.Fatal(err)
		}
	}
	apply(db.Bundle{ID: "one"}, bundleProduct("app", 7, 1))
	if damaged, err := s.DamagedContents(ctx); err != nil || !maps.Equal(damaged, map[string]bool{hosted("", 5).SHA256: true}) {
		t.Errorf("repeated: got damaged contents %v (error %v), want only the one that the bundle does not contain", damaged, err)
	}
	if err := s.MarkDamaged(ctx, hosted("", 5).SHA256, time.Time{}); err != nil {
		t.Fatal(err)
	}
	older := bundleProduct("app", 7, 1)
	if _, err := s.ApplyBundle(ctx, bundleOf(t, s, "two"), []*db.BundleProduct{bundleProduct("third", 9, 1), older}); !errors.Is(err, db.ErrOldBundle) {
		t.Errorf("the same sequence number: got error %v, want ErrOldBundle", err)
	}
	if diff := cmp.Diff(after, visible(t, s)); diff != "" {
		t.Errorf("after a repeated and an old bundle (-before +after):\n%s", diff)
	}
	if c, err = other.Changes(ctx, c.Revision); err != nil {
		t.Fatal(err)
	}
	newer := bundleProduct("app", 8, 3)
	newer.Latest = "v1.2.0"
	if got := apply(db.Bundle{ID: "three"}, newer); got[0].Repeated || got[0].Releases.Unchanged != 3 || got[0].Hosted != 0 {
		t.Errorf("a newer bundle with the same content: got %+v, want nothing changed", got)
	}
	if other, err := other.Changes(ctx, c.Revision); err != nil || len(other.Products) != 1 || len(other.Products[0].Releases) != 0 ||
		!cmp.Equal(other.Products[0].Bundles, []catalog.Sync{{Upstream: "bundle:home", Tried: bundleTime, Succeeded: time.Unix(8, 0).UTC(), Latest: "v1.2.0"}}) || len(other.Products[0].Syncs) > 0 {
		t.Errorf("got changes %+v (error %v), want only the new bundle", other, err)
	}
	log, err := s.Audit(ctx, "", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	var entries []string
	for _, e := range log {
		if strings.HasPrefix(e.Action, "bundle.") || e.Product == "new" {
			entries = append(entries, e.Action+" "+e.Product+" "+e.Detail)
		}
	}
	wantLog := []string{"bundle.applied app 3 releases: 1 added, 1 changed, 1 unchanged; 1 removed upstream; 5 files", "bundle.applied new 200 releases: 200 added, 0 changed, 0 unchanged; 400 files", "product.added new "}
	if !slices.Equal(entries, wantLog) {
		t.Errorf("got audit log %q, want %q", entries, wantLog)
	}
}

// A bundle that cannot be applied changes nothing.
func testRefusedBundle(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	before := visible(t, s)
	broken, b := errors.New("broken"), catalog.Product{Name: "b", Title: "b"}
	for what, products := range map[string][]*db.BundleProduct{
		"belongs to product opa": {bundleProduct("a", 1, 5), releasesOf(catalog.Product{Name: "b", Title: "b", Repo: "open-policy-agent/opa"}, 1)},
		"listed twice":           {bundleProduct("a", 1, 5), bundleProduct("a", 1, 5)},
		"name":                   {bundleProduct("a", 1, 5), bundleProduct("B", 1, 5)},
		"tag":                    {bundleProduct("a", 1, 5), releasesOf(b, 1, db.BundleRelease{Tag: "a b"})},
		"v1 is listed twice":     {releasesOf(b, 1, db.BundleRelease{Tag: "v1"}, db.BundleRelease{Tag: "v1"})},
		"not a hash":             {releasesOf(b, 1, db.BundleRelease{Tag: "v1", Hosted: []catalog.HostedFile{{Name: "a"}}})},
		"not the name of a file": {releasesOf(b, 1, db.BundleRelease{Tag: "v1", Hosted: []catalog.HostedFile{hosted("../a", 1)}})},
	} {
		_, err := s.ApplyBundle(ctx, bundleOf(t, s, "x"), products)
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("got error %v, want %q", err, what)
		}
	}
	for _, after := range []int{0, 1, 110} { // a reader that fails, also after a page was staged
		p := bundleProduct("p1", 1, 120)
		releases := p.Releases
		p.Releases = func(yield func(db.BundleRelease, error) bool) {
			n := 0
			for r := range releases {
				if n++; n > after {
					yield(r, broken)
					return
				}
				if !yield(r, nil) {
					return
				}
			}
		}
		if _, err := s.ApplyBundle(ctx, bundleOf(t, s, "x"), []*db.BundleProduct{bundleProduct("p0", 1, 120), p}); !errors.Is(err, broken) {
			t.Errorf("broken after %d releases: got error %v, want %v", after, err, broken)
		}
	}
	for what, change := range map[string]func(*db.Bundle){
		"expired at 2001":         func(b *db.Bundle) { b.Expires = time.Unix(1e9, 0).UTC() },
		"is not trusted any more": func(b *db.Bundle) { b.Place = func() error { return s.RevokeKey(ctx, bundleKey, bundleTime) } },
		"trusted any more for product p0": func(b *db.Bundle) {
			b.Place = func() error { return s.TrustKey(ctx, bundleKey, []string{"p1"}, bundleTime) }
		},
		"cannot be put": func(b *db.Bundle) { b.Place = func() error { return errors.New("cannot be put") } },
	} {
		signed := bundleOf(t, s, "x")
		change(&signed)
		if _, err := s.ApplyBundle(ctx, signed, []*db.BundleProduct{bundleProduct("p0", 1, 120)}); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("got error %v, want %q", err, what)
		}
	}
	if diff := cmp.Diff(before, visible(t, s)); diff != "" {
		t.Errorf("after refused bundles (-before +after):\n%s", diff)
	}
	awaitNoLeftovers(t, name, s)
}

// awaitNoLeftovers waits until a server has removed everything that is staged.
func awaitNoLeftovers(t *testing.T, name string, s *db.Store) {
	t.Helper()
	d := raw(t, name)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { s.Maintain(ctx, db.Retention{}, slog.New(slog.DiscardHandler)); close(ended) }()
	defer func() { stop(); <-ended }()
	var n int
	for begin := time.Now(); time.Since(begin) < 40*time.Second; time.Sleep(10 * time.Millisecond) {
		err := d.QueryRow(`SELECT (SELECT count(*) FROM release_layer WHERE revision < 0) + (SELECT count(*) FROM stage) + (SELECT count(*) FROM product WHERE name IS NULL)
			+ (SELECT count(*) FROM hosted_file WHERE staged)`).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return
		}
	}
	t.Errorf("timeout: got %d rows that are staged, want none", n)
}

// Products that change while a bundle is applied keep the changes, and the bundle is
// applied to the changed products.
func testBundleBesideEdits(t *testing.T, name string) {
	ctx := context.Background()
	s, other := open(t, name), open(t, name)
	if err := s.AddProduct(ctx, catalog.Product{Name: "app", Title: "app"}); err != nil {
		t.Fatal(err)
	}
	readings := 0
	edits := []func() error{
		func() error { // before
			return errOf(putReleases(ctx, other, "app", []catalog.Release{{Tag: "v1.1.0"}}))
		},
		func() error { // after app was staged
			if _, _, err := other.EditRelease(ctx, "app", "v1.2.0", catalog.ReleasePatch{}); err != nil {
				return err
			}
			return other.HostFile(ctx, "app", "v1.2.0", hosted("a", 7777))
		},
		func() error { return other.AddProduct(ctx, catalog.Product{Name: "new", Title: "Meanwhile"}) },
		func() error { return other.RemoveProduct(ctx, "late", false) },
		func() error { return nil },
	}
	if err := s.AddProduct(ctx, catalog.Product{Name: "late", Title: "Late"}); err != nil {
		t.Fatal(err)
	}
	products := []*db.BundleProduct{bundleProduct("app", 1, 150), bundleProduct("late", 1, 10), bundleProduct("new", 1, 150)}
	signed := bundleOf(t, s, "x")
	signed.Place = func() error { // after all was staged
		readings++
		return edits[min(readings, len(edits)-1)]()
	}
	if err := edits[0](); err != nil {
		t.Fatal(err)
	}
	results, err := s.ApplyBundle(ctx, signed, products)
	want := []db.BundleResult{{Product: "app", Releases: db.ImportResult{Added: 148, Changed: 2}, Hosted: 300}, {Product: "late", New: true, Releases: db.ImportResult{Added: 10}, Hosted: 20},
		{Product: "new", Releases: db.ImportResult{Added: 150}, Hosted: 300}}
	if err != nil || !slices.Equal(results, want) || readings < len(edits)-1 {
		t.Errorf("got %+v after %d readings (error %v), want %+v", results, readings, err, want)
	}
	n := 0
	for f, err := range s.HostedFiles(ctx) {
		if n++; err != nil || f.HostedFile.SHA256 == hosted("a", 7777).SHA256 {
			t.Errorf("got hosted file %+v (error %v), want the content of the bundle", f, err)
		}
	}
	if p, err := s.Product(ctx, "new"); err != nil || p.Title != "Meanwhile" || n != 620 {
		t.Errorf("got product %+v and %d hosted files (error %v), want the title of the operator and 620", p, n, err)
	}
	awaitNoLeftovers(t, name, s)
}

// killedBundle is the bundle that a child process applies.
func killedBundle() []*db.BundleProduct {
	return []*db.BundleProduct{bundleProduct("app", 3, 120), bundleProduct("new1", 3, 150), bundleProduct("lib", 3, 60), bundleProduct("new2", 3, 40)}
}

func applyBundle(s *db.Store) error {
	fmt.Println("begin")
	_, err := s.ApplyBundle(context.Background(), db.Bundle{ID: "x", Store: "home", Time: bundleTime, Keys: []string{bundleKey}}, killedBundle())
	if err == nil {
		fmt.Println("done")
	}
	return err
}

// A killed ApplyBundle has applied everything or nothing, and can be repeated.
func testKilledBundle(t *testing.T, name string) {
	skipRace(t)
	ctx := context.Background()
	s := open(t, name)
	for _, p := range []string{"app", "lib"} {
		if err := s.AddProduct(ctx, catalog.Product{Name: p, Title: p}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ApplyBundle(ctx, bundleOf(t, s, "old"), []*db.BundleProduct{bundleProduct(p, 1, 70)}); err != nil {
			t.Fatal(err)
		}
	}
	before := visible(t, s)
	d := raw(t, name)
	var count [2]int // kills before and after the application
	var after []string
	most := 300 * time.Millisecond
	for kill := 0; kill < 40; kill++ {
		c := startChild(t, "apply "+name)
		for len(c.output()) == 0 {
			select {
			case <-c.done:
				t.Fatalf("child: %s", c.stderr.String())
			case <-time.After(time.Millisecond):
			}
		}
		time.Sleep(rand.N(most))
		c.kill()
		execute(t, d, "UPDATE stage SET at = 0") // as if 15 seconds had passed
		got := visible(t, s)
		if slices.Equal(got, before) {
			if slices.Contains(c.output(), "done") {
				t.Errorf("kill %d: the child has printed that it was done, and nothing is applied", kill)
			}
			count[0]++
			most = most * 6 / 5
			continue
		}
		count[1]++
		if after == nil {
			after = got
			checkApplied(t, got)
		}
		if diff := cmp.Diff(after, got); diff != "" {
			t.Fatalf("kill %d left a mixture (-applied +got):\n%s", kill, diff)
		}
		most = most * 4 / 5
		for _, p := range []string{"app", "lib", "new1", "new2"} { // begin again
			if err := s.RemoveProduct(ctx, p, false); err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range []string{"app", "lib"} {
			if err := s.AddProduct(ctx, catalog.Product{Name: p, Title: p}); err != nil {
				t.Fatal(err)
			}
			if _, err := s.ApplyBundle(ctx, bundleOf(t, s, "old"), []*db.BundleProduct{bundleProduct(p, 1, 70)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("kills before and after: %v", count)
	if count[0] < 5 || count[1] < 5 {
		t.Errorf("got %v kills before and after the application, want at least 5 each", count)
	}
	if _, err := s.ApplyBundle(ctx, bundleOf(t, s, "x"), killedBundle()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(after, visible(t, s)); diff != "" {
		t.Errorf("repeated after kills (-undisturbed +got):\n%s", diff)
	}
	awaitNoLeftovers(t, name, s)
}

// checkApplied checks that the whole bundle of a child process is visible.
func checkApplied(t *testing.T, lines []string) {
	t.Helper()
	releases, files := 0, 0
	for _, l := range lines {
		switch {
		case strings.HasPrefix(l, "hosted "):
			files++
		case strings.Contains(l, ": notes "):
			releases++
		}
	}
	if releases != 120+150+60+10+40 || files != 2*releases {
		t.Errorf("got %d releases and %d hosted files, want 380 and 760", releases, files)
	}
}

// While a bundle is applied, reports are recorded without long pauses, also by another
// server of the store.
func testBundleBesideRecording(t *testing.T, name string) {
	ctx := context.Background()
	s, other := open(t, name), open(t, name)
	w := writer(t, other)
	defer w.Close()
	n := unlessRace(3000, 300)
	for i, what := range []string{"new", "changed"} {
		p := bundleProduct("app", int64(i+1), n, func(r *db.BundleRelease) {
			r.Layer.Title, r.Layer.Text = new(what), new(strings.Repeat(what, 1000))
			r.Hosted[0].Size += int64(i)
		})
		signed := bundleOf(t, s, what)
		done := make(chan error)
		go func() {
			_, err := s.ApplyBundle(ctx, signed, []*db.BundleProduct{p})
			done <- err
		}()
		begin := time.Now()
		recorded, longest := 0, time.Duration(0)
		for ended := false; !ended; recorded++ {
			select {
			case err := <-done:
				if ended = true; err != nil {
					t.Fatal(err)
				}
			default:
			}
			at := time.Now()
			if _, err := w.Record(ctx, "opa", linux, report("1.0.0")); err != nil {
				t.Fatal(err)
			}
			longest = max(longest, time.Since(at))
			time.Sleep(time.Millisecond) // give the bundle, which polls for the lock, a chance to get it
		}
		t.Logf("%s: %d releases in %v during %d reports, of up to %v each", what, n, time.Since(begin).Round(time.Millisecond), recorded, longest.Round(time.Millisecond))
		if recorded == 0 || longest > 3*time.Second {
			t.Errorf("%s: got %d reports and a longest time of %v, want at least 1 and at most 3s", what, recorded, longest)
		}
	}
}
