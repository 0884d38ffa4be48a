package db_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"relcheck/checker/catalog"
	"relcheck/db"
)

// newReleases returns n releases, each with an asset.
func newReleases(n int, notes string) (all []catalog.Release) {
	for i := range n {
		all = append(all, catalog.Release{Tag: fmt.Sprintf("v1.%d.0", i), Notes: notes, Files: file(linux, notes+"/a")})
	}
	return all
}

// Readers see none or all releases of an import. Changes that other processes make during the
// import are kept.
func testImportIsAtomic(t *testing.T, name string) {
	n := unlessRace(10_000, 3000)
	for i := 0; !importBesideEdits(t, name, fmt.Sprint("app", i), n); i++ {
		if n *= 2; n > catalog.MaxReleases/4 {
			t.Fatal("all imports ended before releases were edited")
		}
	}
	awaitNoStage(t, name)
}

// importBesideEdits imports n releases of a new product while another process reads and
// edits them. It reports false if the import ended before the edits.
func importBesideEdits(t *testing.T, name, product string, n int) bool {
	ctx := context.Background()
	s, other := open(t, name), open(t, name)
	if err := s.AddProduct(ctx, catalog.Product{Name: product}); err != nil {
		t.Fatal(err)
	}
	if _, err := putReleases(ctx, s, product, []catalog.Release{{Tag: "v0.9.0"}, {Tag: "v1.7.0"}}); err != nil {
		t.Fatal(err)
	}
	var change db.ImportResult
	done := make(chan error)
	go func() {
		var err error
		change, err = putReleases(ctx, s, product, newReleases(n, "https://example.com/import"))
		done <- err
	}()
	merged := catalog.ReleasePatch{}
	if err := merged.SetDate("2026-01-31"); err != nil {
		t.Fatal(err)
	}
	hidden := func() (count int) {
		if err := raw(t, name).QueryRow("SELECT count(*) FROM release_layer WHERE revision < 0").Scan(&count); err != nil {
			t.Fatal(err)
		}
		return count
	}
	w, follows := writer(t, other), catalog.Revision{}
	defer w.Close()
	edits := 0
	for ended := false; !ended; {
		select {
		case err := <-done:
			if ended = true; err != nil {
				t.Fatal(err)
			}
		default:
		}
		if edits == 0 && hidden() > 0 {
			var outcomes [3]catalog.Outcome
			for i, tag := range []string{"v1.1.0", fmt.Sprintf("v1.%d.0", n-1), "v2.0.0"} { // staged, not staged yet, and not in the import
				var err error
				if _, outcomes[i], err = other.EditRelease(ctx, product, tag, merged); err != nil {
					t.Fatalf("edit release %s during the import: %v", tag, err)
				}
			}
			withdrawn := errOf2(other.Withdraw(ctx, product, "v1.2.0", true))
			if hidden() == 0 {
				if !ended {
					<-done
				}
				return false
			}
			edits++
			if want := [3]catalog.Outcome{catalog.Added, catalog.Added, catalog.Added}; outcomes != want {
				t.Errorf("edit releases during the import: got outcomes %v, want %v", outcomes, want)
			}
			if !errors.Is(withdrawn, db.ErrNotFound) {
				t.Errorf("withdraw a staged release: got error %v, want ErrNotFound", withdrawn)
			}
		}
		all, err := other.Releases(ctx, product)
		if len(all) != 2+3*edits && !(len(all) == n+1+min(edits, 1)) || err != nil {
			t.Fatalf("got %d releases (error %v), want %d or %d", len(all), err, 2+3*edits, n+1+min(edits, 1))
		}
		c, err := other.Changes(ctx, follows)
		if err != nil {
			t.Fatal(err)
		}
		follows = c.Revision
		if _, err := w.Record(ctx, product, linux, report("1.5.0")); err != nil {
			t.Fatal(err)
		}
	}
	if edits == 0 {
		return false
	}
	all, err := other.Releases(ctx, product)
	if err != nil || len(all) != n+2 {
		t.Fatalf("got %d releases (error %v), want %d", len(all), err, n+2)
	}
	for _, r := range all {
		switch r.Tag {
		case "v0.9.0", "v2.0.0":
		default:
			if r.Notes != "https://example.com/import" || len(r.Files) != 1 {
				t.Errorf("got release %+v, want the imported notes and one asset", r)
			}
		}
	}
	checkReleaseIDs(t, name)
	if want := (db.ImportResult{Added: n - 3, Changed: 3}); change != want {
		t.Errorf("import: got %v, want %v", change, want)
	}
	return true
}

// awaitNoStage waits until no staged rows are left.
func awaitNoStage(t *testing.T, name string) {
	t.Helper()
	d := raw(t, name)
	var n int
	for begin := time.Now(); time.Since(begin) < 20*time.Second; time.Sleep(10 * time.Millisecond) {
		if err := d.QueryRow("SELECT (SELECT count(*) FROM release_layer WHERE revision < 0) + (SELECT count(*) FROM stage)").Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return
		}
	}
	t.Errorf("timeout: got %d staged rows, want none", n)
}

// A server or the next import removes the rows that a killed import has staged.
func testKilledImport(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	d := raw(t, name)
	left := func() {
		execute(t, d, `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
			INSERT INTO release_layer (product, tag, layer, id, notes, list, gone, revision) SELECT 1, 'v1.' || i || '.0', 0, i, 'left', 'test', false, -1 FROM n`)
		execute(t, d, "INSERT INTO file_layer SELECT product, tag, 0, 'a', 'linux', 'arm64', id, 'https://example.com', 0, '', '', '', false FROM release_layer WHERE revision = -1")
		execute(t, d, "INSERT INTO stage VALUES (1, 7, 1700000000)")
	}
	left()
	maintained, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { s.Maintain(maintained, db.Retention{}, slog.New(slog.DiscardHandler)); close(ended) }()
	awaitNoStage(t, name)
	stop()
	<-ended
	left()
	const n = 300
	if c, err := putReleases(ctx, s, "opa", newReleases(n, "https://example.com/import")); err != nil || c != (db.ImportResult{Added: n}) {
		t.Errorf("import: got %v (error %v), want %d added", c, err, n)
	}
	all, err := s.Releases(ctx, "opa")
	if err != nil || len(all) != n {
		t.Errorf("got %d releases (error %v), want %d", len(all), err, n)
	}
	for _, r := range all {
		if r.Notes != "https://example.com/import" || len(r.Files) != 1 {
			t.Errorf("got release %+v, want the imported notes and one asset", r)
		}
	}
	awaitNoStage(t, name)
}

// Two concurrent imports of the same releases add each of them once.
func testConcurrentImports(t *testing.T, name string) {
	ctx := context.Background()
	open(t, name)
	const n = 500
	var wg sync.WaitGroup
	var sum [2]db.ImportResult
	for i := range sum {
		s := open(t, name)
		wg.Go(func() {
			var err error
			if sum[i], err = putReleases(ctx, s, "opa", newReleases(n, "https://example.com/import")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if sum[0].Added+sum[1].Added != n || sum[0].Unchanged+sum[1].Unchanged != n {
		t.Errorf("imports: got %v and %v, want %d added and %[3]d unchanged in all", sum[0], sum[1], n)
	}
	awaitNoStage(t, name)
}
