package db_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"relcheck/checker"
	"relcheck/checker/access"
	"relcheck/checker/catalog"
	"relcheck/db"
)

func keepStored(stored, _ catalog.Release) catalog.Release   { return stored }
func replaceStored(_, given catalog.Release) catalog.Release { return given }

func testPresets(t *testing.T, name string) {
	s := open(t, name)
	products, err := s.Products(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(products) != 2 || products[0].Name != "opa" || products[1].Name != "relcheck" {
		t.Errorf("got products %v of a new store, want opa and relcheck", products)
	}
	for _, p := range products {
		if err := catalog.CheckProduct(p); err != nil {
			t.Errorf("CheckProduct(%s): %v", p.Name, err)
		}
	}
}

// An older relcheck may have stored hostile text. Reading removes its control characters, and
// other fields of the row can still be changed.
func testStoredTextIsCleaned(t *testing.T, name string) {
	s, ctx := open(t, name), t.Context()
	const hostile, clean = "\u202ea\x1b[31mb\u200bc\u2028d", "a [31mbc d"
	k, _ := access.NewToken(hostile, access.Read, time.Now())
	err := errors.Join(
		s.AddProduct(ctx, catalog.Product{Name: "app", Title: hostile}),
		s.AddProduct(ctx, catalog.Product{Name: "hidden", Title: "\u200b"}),
		s.AddToken(ctx, k))
	if err == nil {
		_, err = s.PutReleases(ctx, "app", []catalog.Release{{Version: "v1.0.0", Retracted: hostile}}, nil)
	}
	if err == nil {
		_, err = raw(t, name).Exec("UPDATE audit SET detail = $1", hostile)
	}
	if err != nil {
		t.Fatal(err)
	}
	changes, err := s.Changes(ctx, catalog.Revision{})
	if err != nil {
		t.Fatal(err)
	}
	titles := map[string]string{}
	for _, p := range changes.Products {
		titles[p.Name] = p.Title
	}
	app, err1 := s.Product(ctx, "app")
	releases, err2 := s.Releases(ctx, "app")
	tokens, err3 := s.Tokens(ctx)
	token, err4 := s.Token(ctx, k.ID)
	audit, err5 := s.Audit(ctx, "", time.Time{})
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string]string{
		"title in the catalog": titles["app"], "title": app.Title, "retraction": releases[0].Retracted,
		"token in the list": tokens[0].Name, "token": token.Name, "audit log": audit[0].Detail,
	} {
		if got != clean {
			t.Errorf("%s: got %q, want %q", what, got, clean)
		}
	}
	if titles["hidden"] != "hidden" {
		t.Errorf("title without visible characters: got %q, want the product's name", titles["hidden"])
	}
	if p, _, err := s.EditProduct(ctx, "app", catalog.ProductPatch{"repo": "me/app"}); err != nil || p.Title != clean {
		t.Errorf("EditProduct: got %+v (error %v), want title %q", p, err, clean)
	}
}

func testRemovedPreset(t *testing.T, name string) {
	s := open(t, name)
	if err := s.RemoveProduct(context.Background(), "opa", false); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := open(t, name).Product(context.Background(), "opa"); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("removed preset after reopening: got error %v, want ErrNotFound", err)
	}
}

func testConcurrentOpen(t *testing.T, name string) {
	text := schema(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := db.Open(context.Background(), name, text)
			if err != nil {
				t.Error(err)
				return
			}
			s.Close()
		})
	}
	wg.Wait()
}

func testReleases(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	full := catalog.Release{
		Version: "v1.2.3", Notes: "https://example.com/notes", Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Assets: map[checker.Platform]string{linux: "https://example.com/linux"},
	}
	put := func(merge func(_, _ catalog.Release) catalog.Release, want db.ImportResult, releases ...catalog.Release) {
		t.Helper()
		got, err := s.PutReleases(ctx, "opa", releases, merge)
		if err != nil || got != want {
			t.Errorf("PutReleases: got %+v (error %v), want %+v", got, err, want)
		}
	}
	list := func(want ...catalog.Release) {
		t.Helper()
		got, err := s.Releases(ctx, "opa")
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("Releases: error %v (-want +got):\n%s", err, diff)
		}
	}
	first := revision(t, s)
	put(replaceStored, db.ImportResult{Added: 1}, full)
	list(full)
	if now := revision(t, s); now <= first {
		t.Errorf("got revision %d after a change, want more than %d", now, first)
	}
	first = revision(t, s)
	put(replaceStored, db.ImportResult{Unchanged: 1}, full)
	if now := revision(t, s); now != first {
		t.Errorf("got revision %d without a change, want %d", now, first)
	}
	put(keepStored, db.ImportResult{Unchanged: 1}, catalog.Release{Version: "1.2.3"}) // another spelling of the version
	full.Version, full.Assets = "1.2.3", nil
	put(replaceStored, db.ImportResult{Changed: 1}, full)
	list(full)

	if err := s.Withdraw(ctx, "opa", "v1.2.3", true); err != nil {
		t.Error(err)
	}
	put(replaceStored, db.ImportResult{Unchanged: 1}, full) // does not restore the release
	full.Withdrawn = true
	list(full)

	full.Retracted = "broken"
	if err := s.Withdraw(ctx, "opa", "1.2.3", false); err != nil {
		t.Error(err)
	}
	put(replaceStored, db.ImportResult{Changed: 1}, full) // the operator's decision overrides the retraction
	full.Withdrawn = false
	list(full)

	if err := s.Withdraw(ctx, "opa", "v9.9.9", true); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("withdraw an unknown release: got error %v, want ErrNotFound", err)
	}
}

func testRetractedIsWithdrawn(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	if _, err := s.PutReleases(ctx, "opa", []catalog.Release{{Version: "v1.0.0", Retracted: "broken"}}, replaceStored); err != nil {
		t.Fatal(err)
	}
	all, err := s.Releases(ctx, "opa")
	if err != nil || !all[0].Withdrawn {
		t.Errorf("got releases %+v (error %v), want the first withdrawn", all, err)
	}
}

func testPutReleasesIsAtomic(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	_, err := s.PutReleases(ctx, "opa", []catalog.Release{{Version: "v1.0.0"}, {Version: "nightly"}}, replaceStored)
	if err == nil || !strings.Contains(err.Error(), "nightly") {
		t.Errorf("got error %v, want one that contains nightly", err)
	}
	if all, err := s.Releases(ctx, "opa"); len(all) != 0 || err != nil {
		t.Errorf("got releases %v (error %v), want none", all, err)
	}
}

func testProducts(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	app := catalog.Product{Name: "app", Title: "App", Repo: "me/app", Origins: "null"}
	if err := s.AddProduct(ctx, app); err != nil {
		t.Fatal(err)
	}
	if err := s.AddProduct(ctx, app); !errors.Is(err, db.ErrInUse) {
		t.Errorf("add a product twice: got error %v, want ErrInUse", err)
	}
	if err := s.AddProduct(ctx, catalog.Product{Name: "fork", Title: "Fork", Repo: "Me/App"}); !errors.Is(err, db.ErrInUse) {
		t.Errorf("repository of another product: got error %v, want ErrInUse", err)
	}
	app.Title, app.Origins = "The App", "https://a.example app:"
	if err := s.SetProduct(ctx, app); err != nil {
		t.Error(err)
	}
	if got, err := s.Product(ctx, "app"); got != app || err != nil {
		t.Errorf("got %+v (error %v), want %+v", got, err, app)
	}
	if err := s.SetProduct(ctx, catalog.Product{Name: "none"}); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("change an unknown product: got error %v, want ErrNotFound", err)
	}
	for name, want := range map[string]error{"app": nil, "none": db.ErrNotFound} {
		if err := s.RemoveProduct(ctx, name, false); !errors.Is(err, want) {
			t.Errorf("remove product %s: got error %v, want %v", name, err, want)
		}
	}
}

func testRemoveProductWithReports(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	w := writer(t, s)
	defer w.Close()
	if _, err := s.PutReleases(ctx, "opa", []catalog.Release{{Version: "v1.0.0", Assets: map[checker.Platform]string{linux: "https://example.com"}}}, replaceStored); err != nil {
		t.Fatal(err)
	}
	for _, product := range []string{"opa", "relcheck"} {
		if err := w.Record(ctx, product, linux, report("1.0.0")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.RemoveProduct(ctx, "opa", false); !errors.Is(err, db.ErrInUse) {
		t.Errorf("remove a product with reports: got error %v, want ErrInUse", err)
	}
	if err := s.RemoveProduct(ctx, "opa", true); err != nil {
		t.Error(err)
	}
	if err := w.Record(ctx, "opa", linux, report("1.0.0")); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("report of a removed product: got error %v, want ErrNotFound", err)
	}
	if n := len(recorded(t, s, "relcheck")); n != 1 {
		t.Errorf("got %d reports of the other product, want 1", n)
	}
	var left int
	if err := raw(t, name).QueryRow("SELECT count(*) FROM report").Scan(&left); err != nil || left != 1 {
		t.Errorf("got %d reports in all (error %v), want 1", left, err)
	}
}

func revision(t *testing.T, s *db.Store) int64 {
	t.Helper()
	c, err := s.Changes(context.Background(), catalog.Revision{})
	if err != nil {
		t.Fatal(err)
	}
	return c.Revision.Changes
}

// Concurrent changes of the same product or release are applied one after the other.
func testConcurrentCatalogChanges(t *testing.T, name string) {
	ctx := context.Background()
	open(t, name)
	const others, each = 6, 5
	stores := make([]*db.Store, others)
	for i := range stores {
		stores[i] = open(t, name)
	}
	var added, inUse atomic.Int64
	var wg sync.WaitGroup
	for i, s := range stores {
		wg.Go(func() {
			p := catalog.Product{Name: fmt.Sprintf("app%d", i), Title: "App", Repo: "me/app"}
			switch err := s.AddProduct(ctx, p); {
			case err == nil:
				added.Add(1)
			case errors.Is(err, db.ErrInUse):
				inUse.Add(1)
			default:
				t.Error(err)
			}
			for n := range each {
				again := []catalog.Release{{Version: "v1.0.0"}, {Version: fmt.Sprintf("v1.%d.%d", i, n+1)}}
				_, err := s.PutReleases(ctx, "opa", again, func(stored, _ catalog.Release) catalog.Release {
					stored.Notes += "+"
					return stored
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if added.Load() != 1 || inUse.Load() != others-1 {
		t.Errorf("got %d products with the same repository and %d refused, want 1 and %d", added.Load(), inUse.Load(), others-1)
	}
	all, err := stores[0].Releases(ctx, "opa")
	if err != nil || len(all) != others*each+1 {
		t.Errorf("got %d releases (error %v), want %d", len(all), err, others*each+1)
	}
	for _, r := range all {
		if r.Version == "v1.0.0" && len(r.Notes) != others*each-1 {
			t.Errorf("got %d changes of a release, want %d", len(r.Notes), others*each-1)
		}
	}
}
