package db_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"relcheck/checker/catalog"
	"relcheck/db"
)

// bundleOf returns a function that iterates over the products of a bundle.
func bundleOf(products ...*db.BundleProduct) iter.Seq2[*db.BundleProduct, error] {
	return func(yield func(*db.BundleProduct, error) bool) {
		for _, p := range products {
			if !yield(p, nil) {
				return
			}
		}
	}
}

// bundleProduct returns a product with n releases, each with a file, which is hosted.
func bundleProduct(name string, sequence int64, n int) *db.BundleProduct {
	p := &db.BundleProduct{Product: catalog.Product{Name: name, Title: name}, Sequence: sequence, Hosted: map[string][]catalog.HostedFile{}}
	p.List = catalog.ListOf("bundle:home", newReleases(n, "https://example.com/"+name)...)
	p.List.Whole = true
	for i, e := range p.List.Entries {
		p.Hosted[e.Tag] = []catalog.HostedFile{hosted("a", i), hosted("b", i)}
	}
	return p
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
		b.Store, b.Time = "home", bundleTime
		results, err := s.ApplyBundle(ctx, b, bundleOf(products...))
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
	older := bundleProduct("app", 7, 1)
	if _, err := s.ApplyBundle(ctx, db.Bundle{ID: "two", Store: "home", Time: bundleTime}, bundleOf(bundleProduct("third", 9, 1), older)); !errors.Is(err, db.ErrOldBundle) {
		t.Errorf("the same sequence number: got error %v, want ErrOldBundle", err)
	}
	if diff := cmp.Diff(after, visible(t, s)); diff != "" {
		t.Errorf("after a repeated and an old bundle (-before +after):\n%s", diff)
	}
	if got := apply(db.Bundle{ID: "three"}, bundleProduct("app", 8, 3)); got[0].Repeated || got[0].Releases.Unchanged != 3 || got[0].Hosted != 0 {
		t.Errorf("a newer bundle with the same content: got %+v, want nothing changed", got)
	}
	if other, err := other.Changes(ctx, c.Revision); err != nil || len(other.Products) != 0 {
		t.Errorf("got changes %+v (error %v), want none", other, err)
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
	broken := errors.New("broken")
	for what, products := range map[string][]*db.BundleProduct{
		"belongs to product opa": {bundleProduct("a", 1, 5), {Product: catalog.Product{Name: "b", Title: "b", Repo: "open-policy-agent/opa"}, Sequence: 1}},
		"listed twice":           {bundleProduct("a", 1, 5), bundleProduct("a", 1, 5)},
		"name":                   {bundleProduct("a", 1, 5), bundleProduct("B", 1, 5)},
		"tag":                    {bundleProduct("a", 1, 5), {Product: catalog.Product{Name: "b", Title: "b"}, Sequence: 1, List: catalog.ListOf("bundle:home", catalog.Release{Tag: "a b"})}},
		"operator's layer":       {{Product: catalog.Product{Name: "b", Title: "b"}, Sequence: 1, List: catalog.List{Entries: []catalog.Entry{{Tag: "v1", Operator: new(catalog.Layer)}}}}},
		"is not in the list":     {{Product: catalog.Product{Name: "b", Title: "b"}, Sequence: 1, Hosted: map[string][]catalog.HostedFile{"v1": {hosted("a", 1)}}}},
		"not a hash":             {{Product: catalog.Product{Name: "b", Title: "b"}, Sequence: 1, List: catalog.ListOf("x", catalog.Release{Tag: "v1"}), Hosted: map[string][]catalog.HostedFile{"v1": {{Name: "a"}}}}},
		"not the name of a file": {{Product: catalog.Product{Name: "b", Title: "b"}, Sequence: 1, List: catalog.ListOf("x", catalog.Release{Tag: "v1"}), Hosted: map[string][]catalog.HostedFile{"v1": {hosted("../a", 1)}}}},
	} {
		_, err := s.ApplyBundle(ctx, db.Bundle{ID: "x", Store: "home", Time: bundleTime}, bundleOf(products...))
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("got error %v, want %q", err, what)
		}
	}
	for after := range 4 { // a reader that fails, at the first or the second reading
		n := 0
		_, err := s.ApplyBundle(ctx, db.Bundle{ID: "x", Store: "home", Time: bundleTime}, func(yield func(*db.BundleProduct, error) bool) {
			for i := range 2 {
				if n == after {
					yield(nil, broken)
					return
				}
				if n++; !yield(bundleProduct(fmt.Sprint("p", i), 1, 120), nil) {
					return
				}
			}
		})
		if !errors.Is(err, broken) {
			t.Errorf("broken after %d products: got error %v, want %v", after, err, broken)
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
		func() error { // between the first reading, which claims, and the comparison
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
	}
	if err := s.AddProduct(ctx, catalog.Product{Name: "late", Title: "Late"}); err != nil {
		t.Fatal(err)
	}
	products := []*db.BundleProduct{bundleProduct("app", 1, 150), bundleProduct("late", 1, 10), bundleProduct("new", 1, 150)}
	results, err := s.ApplyBundle(ctx, db.Bundle{ID: "x", Store: "home", Time: bundleTime}, func(yield func(*db.BundleProduct, error) bool) {
		for _, p := range products {
			if !yield(p, nil) {
				return
			}
		}
		if readings < len(edits) {
			if err := edits[readings](); err != nil {
				t.Errorf("edit %d: %v", readings, err)
			}
		}
		readings++
	})
	want := []db.BundleResult{{Product: "app", Releases: db.ImportResult{Added: 148, Changed: 2}, Hosted: 300}, {Product: "late", New: true, Releases: db.ImportResult{Added: 10}, Hosted: 20},
		{Product: "new", Releases: db.ImportResult{Added: 150}, Hosted: 300}}
	if err != nil || !slices.Equal(results, want) || readings < len(edits) {
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
func killedBundle() iter.Seq2[*db.BundleProduct, error] {
	app, lib := bundleProduct("app", 3, 120), bundleProduct("lib", 3, 60)
	return bundleOf(app, bundleProduct("new1", 3, 150), lib, bundleProduct("new2", 3, 40))
}

func applyBundle(s *db.Store) error {
	fmt.Println("begin")
	_, err := s.ApplyBundle(context.Background(), db.Bundle{ID: "x", Store: "home", Time: bundleTime}, killedBundle())
	if err == nil {
		fmt.Println("done")
	}
	return err
}

// A killed ApplyBundle has applied everything or nothing, and can be repeated.
func testKilledBundle(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	for _, p := range []string{"app", "lib"} {
		if err := s.AddProduct(ctx, catalog.Product{Name: p, Title: p}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ApplyBundle(ctx, db.Bundle{ID: "old", Store: "home", Time: bundleTime}, bundleOf(bundleProduct(p, 1, 70))); err != nil {
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
			if _, err := s.ApplyBundle(ctx, db.Bundle{ID: "old", Store: "home", Time: bundleTime}, bundleOf(bundleProduct(p, 1, 70))); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("kills before and after: %v", count)
	if count[0] < 5 || count[1] < 5 {
		t.Errorf("got %v kills before and after the application, want at least 5 each", count)
	}
	if _, err := s.ApplyBundle(ctx, db.Bundle{ID: "x", Store: "home", Time: bundleTime}, killedBundle()); err != nil {
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
		p := bundleProduct("app", int64(i+1), n)
		for j := range p.List.Entries {
			p.List.Entries[j].Upstream.Title = new(what)
			p.Hosted[p.List.Entries[j].Tag][0].Size += int64(i)
		}
		done := make(chan error)
		go func() {
			_, err := s.ApplyBundle(ctx, db.Bundle{ID: what, Store: "home", Time: bundleTime}, bundleOf(p))
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
			if err := w.Record(ctx, "opa", linux, report("1.0.0")); err != nil {
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
