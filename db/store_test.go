package db_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// putReleases stores releases as upstream's.
func putReleases(ctx context.Context, s *db.Store, product string, releases []catalog.Release) (db.ImportResult, error) {
	return s.ImportReleases(ctx, product, catalog.ListOf("test", releases...), true)
}

// errOf returns the error of a call.
func errOf[T any](_ T, err error) error { return err }

// file returns a file for a platform.
func file(p checker.Platform, url string) []catalog.File {
	return []catalog.File{{Name: catalog.FileName(url), Platform: p, URL: url}}
}

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
		_, err = putReleases(ctx, s, "app", []catalog.Release{{Tag: "v1.0.0", Withdrawn: true, Reason: hostile}})
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
		"title in the catalog": titles["app"], "title": app.Title, "retraction": releases[0].Reason,
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
	for range unlessRace(8, 4) { // so that a busy machine connects all of them before the timeout
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
		ID: 1, Tag: "v1.2.3", Title: "One", Notes: "https://example.com/notes", Created: time.Date(2026, 1, 1, 3, 4, 5, 0, time.UTC), Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Files: []catalog.File{{ID: 1, Name: "app-linux", URL: "https://example.com/app-linux", Size: 7, SHA256: strings.Repeat("ab", 32), SHA512: strings.Repeat("cd", 64), MediaType: "application/gzip"}},
	}
	put := func(want db.ImportResult, releases ...catalog.Release) {
		t.Helper()
		got, err := putReleases(ctx, s, "opa", releases)
		if err != nil || got != want {
			t.Errorf("ImportReleases: got %+v (error %v), want %+v", got, err, want)
		}
	}
	list := func(want ...catalog.Release) {
		t.Helper()
		got, err := s.Releases(ctx, "opa")
		slices.SortFunc(got, func(a, b catalog.Release) int { return strings.Compare(a.Tag, b.Tag) })
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("Releases: error %v (-want +got):\n%s", err, diff)
		}
	}
	first := revision(t, s)
	put(db.ImportResult{Added: 1}, full)
	list(full)
	if now := revision(t, s); now <= first {
		t.Errorf("got revision %d after a change, want more than %d", now, first)
	}
	first = revision(t, s)
	put(db.ImportResult{Unchanged: 1}, full)
	if now := revision(t, s); now != first {
		t.Errorf("got revision %d without a change, want %d", now, first)
	}

	full.Title, full.Files = "Two", nil // an import without files says nothing about them
	put(db.ImportResult{Changed: 1}, full)
	full.Files = []catalog.File{{ID: 1, Name: "app-linux", URL: "https://example.com/app-linux", Size: 7, SHA256: strings.Repeat("ab", 32), SHA512: strings.Repeat("cd", 64), MediaType: "application/gzip"}}
	list(full)

	if _, _, err := s.Withdraw(ctx, "opa", "1.2.3", true); err != nil { // without the v
		t.Error(err)
	}
	put(db.ImportResult{Unchanged: 1}, full) // does not restore the release
	full.Withdrawn = true
	list(full)

	if _, _, err := s.Withdraw(ctx, "opa", "v1.2.3", false); err != nil {
		t.Error(err)
	}
	retracted := full
	retracted.Withdrawn, retracted.Reason = true, "broken"
	put(db.ImportResult{Changed: 1}, retracted) // the operator's decision overrides the retraction
	full.Withdrawn = false
	list(full)

	for _, tag := range []string{"v9.9.9", "v1.2.3+k3s9", "v1.2.3.0", "v1.2"} {
		if _, _, err := s.Withdraw(ctx, "opa", tag, true); !errors.Is(err, db.ErrNotFound) {
			t.Errorf("withdraw unknown release %s: got error %v, want ErrNotFound", tag, err)
		}
	}
	spellings := []catalog.Release{{ID: 2, Tag: "1.2.3"}, {ID: 3, Tag: "v1.2.3+k3s1"}, {ID: 4, Tag: "v1.2.3+k3s2"}, {ID: 5, Tag: "v1.2.3.0"}}
	put(db.ImportResult{Added: 4, Unchanged: 1}, append(spellings, retracted)...)
	list(spellings[0], full, spellings[1], spellings[2], spellings[3])
}

func testRetractedIsWithdrawn(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	if _, err := putReleases(ctx, s, "opa", []catalog.Release{{Tag: "v1.0.0", Withdrawn: true, Reason: "broken"}}); err != nil {
		t.Fatal(err)
	}
	all, err := s.Releases(ctx, "opa")
	if err != nil || !all[0].Withdrawn || all[0].Reason != "broken" {
		t.Errorf("got releases %+v (error %v), want the first withdrawn", all, err)
	}
}

func testImportOfInvalidTag(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	_, err := putReleases(ctx, s, "opa", []catalog.Release{{Tag: "v1.0.0"}, {Tag: "a\u200bb"}})
	if err == nil || !strings.Contains(err.Error(), `a\u200bb`) {
		t.Errorf("got error %v, want one that contains the tag", err)
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
	if got, err := s.Product(ctx, "app"); !got.Equal(app) || err != nil {
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
	if _, err := putReleases(ctx, s, "opa", []catalog.Release{{Tag: "v1.0.0", Files: file(linux, "https://example.com/a")}}); err != nil {
		t.Fatal(err)
	}
	for _, product := range []string{"opa", "relcheck"} {
		if _, err := w.Record(ctx, product, linux, report("1.0.0")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.RemoveProduct(ctx, "opa", false); !errors.Is(err, db.ErrInUse) {
		t.Errorf("remove a product with reports: got error %v, want ErrInUse", err)
	}
	if err := s.RemoveProduct(ctx, "opa", true); err != nil {
		t.Error(err)
	}
	if _, err := w.Record(ctx, "opa", linux, report("1.0.0")); !errors.Is(err, db.ErrNotFound) {
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
				again := []catalog.Release{{Tag: "v1.0.0"}, {Tag: fmt.Sprintf("v1.%d.%d", i, n+1)}}
				if _, err := putReleases(ctx, s, "opa", again); err != nil {
					t.Error(err)
				}
				var e catalog.ReleasePatch
				if err := e.SetAsset("linux/amd64", fmt.Sprintf("https://example.com/%d", i*each+n)); err != nil {
					t.Error(err)
				}
				if err := e.SetFile(catalog.File{Name: fmt.Sprint("f", i*each+n), URL: "https://example.com/f"}); err != nil {
					t.Error(err)
				}
				if _, _, err := s.EditRelease(ctx, "opa", "v1.0.0", e); err != nil {
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
		if r.Tag == "v1.0.0" && len(r.Files) != others*each+1 {
			t.Errorf("got %d files of a release, want %d", len(r.Files), others*each+1)
		}
	}
}
