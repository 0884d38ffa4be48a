package db_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"relcheck/checker/catalog"
	"relcheck/db"
)

// changeLines returns the changes since a revision, one line for each product with its changed
// releases, and the new revision.
func changeLines(t *testing.T, s *db.Store, since catalog.Revision) (lines []string, next catalog.Revision) {
	t.Helper()
	c, err := s.Changes(context.Background(), since)
	if err != nil {
		t.Fatal(err)
	}
	if c.All {
		lines = append(lines, "all")
	}
	if c.Remaining != nil {
		lines = append(lines, fmt.Sprintf("%d left", len(c.Remaining)))
	}
	for _, l := range c.Products {
		line := l.Name + ":"
		for _, r := range l.Releases {
			line += fmt.Sprintf(" %s[", r.Tag)
			for _, f := range r.Files {
				line += f.Platform.String() + ":" + f.URL
			}
			line += "]"
		}
		lines = append(lines, line)
	}
	return lines, c.Revision
}

// Changes returns exactly what has changed since a revision.
func testChangesSince(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	d := raw(t, name)
	d.SetMaxOpenConns(1)
	put := func(product, version string, e catalog.ReleasePatch) {
		t.Helper()
		if _, _, err := s.EditRelease(ctx, product, version, e); err != nil {
			t.Fatal(err)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	withAsset := catalog.ReleasePatch{}
	must(withAsset.SetAsset("linux/amd64", "https://example.com"))
	put("opa", "v1.0.0", withAsset)
	put("opa", "v1.1.0", withAsset)
	first, at := changeLines(t, s, catalog.Revision{})
	if len(first) != 3 || first[0] != "all" {
		t.Fatalf("first read: got %q, want all and two products", first)
	}
	const before = "CASE name WHEN 'catalog' THEN value + 1 ELSE value END" // how relcheck with schema 2 records a change
	for _, c := range []struct {
		name   string
		change func()
		want   []string
	}{
		{"nothing", func() {}, nil},
		{"unchanged release", func() { put("opa", "v1.0.0", withAsset) }, nil},
		{"new release", func() { put("opa", "v1.2.0", withAsset) }, []string{"opa: v1.2.0[linux/amd64:https://example.com]"}},
		{"withdrawn release", func() {
			_, _, err := s.Withdraw(ctx, "opa", "v1.0.0", true)
			must(err)
		}, []string{"opa: v1.0.0[linux/amd64:https://example.com]"}},
		{"two products", func() {
			put("opa", "v1.3.0", catalog.ReleasePatch{})
			put("relcheck", "v0.1.0", catalog.ReleasePatch{})
		}, []string{"opa: v1.3.0[]", "relcheck: v0.1.0[]"}},
		{"import", func() {
			_, err := putReleases(ctx, s, "opa", []catalog.Release{{Tag: "v1.4.0"}, {Tag: "v1.3.0"}})
			must(err)
		}, []string{"opa: 2"}},
		{"new product", func() { must(s.AddProduct(ctx, catalog.Product{Name: "app", Title: "App"})) }, []string{"app:"}},
		{"product title", func() { must(s.SetProduct(ctx, catalog.Product{Name: "app", Title: "The App"})) }, []string{"app:"}},
		{"removed product", func() { must(s.RemoveProduct(ctx, "app", false)) }, []string{"2 left"}},
		{"product removed and added", func() {
			must(s.RemoveProduct(ctx, "relcheck", false))
			must(s.AddProduct(ctx, catalog.Product{Name: "relcheck", Title: "New"}))
		}, []string{"2 left", "relcheck:"}},
		{"change by schema 2", func() {
			execute(t, d, "UPDATE setting SET value = "+before)
			put("opa", "v1.5.0", catalog.ReleasePatch{})
		}, []string{"all", "opa: 6", "relcheck:"}},
		{"older database", func() { execute(t, d, "UPDATE setting SET value = value - 1 WHERE name IN ('catalog', 'marked')") }, []string{"all", "opa: 6", "relcheck:"}},
	} {
		c.change()
		var got []string
		got, at = changeLines(t, s, at)
		for i, line := range got {
			if n := strings.Count(line, "["); n > 1 {
				got[i] = fmt.Sprintf("opa: %d", n)
			}
		}
		if diff := cmp.Diff(stringSet(c.want), stringSet(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// A running writer notices releases that other processes add, and counts reports of their
// versions under their own builds.
func testWriterFollowsCatalog(t *testing.T, name string) {
	ctx := context.Background()
	s, other := open(t, name), open(t, name)
	d := raw(t, name)
	d.SetMaxOpenConns(1)
	w := writer(t, s)
	defer w.Close()
	record := func(product, version, want string) {
		t.Helper()
		if _, err := w.Record(ctx, product, linux, report(version)); err != nil {
			t.Fatal(err)
		}
		all := recorded(t, s, product)
		if got := all[len(all)-1].Version; got != want {
			t.Errorf("report of version %s: got recorded version %s, want %s", version, got, want)
		}
	}
	put := func(version string) {
		t.Helper()
		if _, err := putReleases(ctx, other, "opa", []catalog.Release{{Tag: version}}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 { // the daily limit of unreleased versions
		record("opa", fmt.Sprintf("0.0.%d-x", i), fmt.Sprintf("0.0.%d-x", i))
	}
	record("opa", "1.0", "other")
	put("v1.0")
	record("opa", "1.0", "1.0")
	record("opa", "1.0.0", "other")
	put("v1.0.0")
	record("opa", "1.0.0", "1.0.0")
	record("opa", "1.0", "1.0")
	put("2.0.0")
	record("opa", "v2.0.0", "v2.0.0")
	execute(t, d, "UPDATE setting SET value = value + 1 WHERE name = 'catalog'") // as relcheck with schema 2 does
	put("3.0.0")
	record("opa", "3.0.0", "3.0.0")
	record("opa", "cli/v4.0.0", "other")
	put("cli/v4.0.0")
	record("opa", "4.0.0", "other")
	if _, _, err := other.EditProduct(ctx, "opa", catalog.ProductPatch{"tag_prefixes": "cli/"}); err != nil {
		t.Fatal(err)
	}
	record("opa", "4.0.0", "4.0.0")
	record("opa", "4.0.0+k3s1", "other")
	put("cli/v4.0.0+k3s1")
	record("opa", "4.0.0+k3s1", "4.0.0+k3s1")
	if err := other.RemoveProduct(ctx, "opa", true); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Record(ctx, "opa", linux, report("3.0.0")); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("report of a removed product: got error %v, want ErrNotFound", err)
	}
	if err := other.AddProduct(ctx, catalog.Product{Name: "opa", Title: "OPA"}); err != nil {
		t.Fatal(err)
	}
	put("v1.0.0")
	record("opa", "1.0.0", "1.0.0")
	record("opa", "3.0.0", "other") // the daily limit is reached
}

// A store accepts at most MaxProducts products and MaxReleases releases.
func testCatalogLimits(t *testing.T, name string) {
	if race && !strings.HasPrefix(name, "postgres://") {
		t.Skip("inserting 100,000 releases is slow with the race detector; TestCatalogLimits covers it without")
	}
	ctx := context.Background()
	s := open(t, name)
	d := raw(t, name)
	numbers := func(n int) string {
		return fmt.Sprintf("WITH RECURSIVE n (i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < %d)", n)
	}
	execute(t, d, numbers(catalog.MaxProducts-1)+" INSERT INTO product (id, name, title, repo, module, download, notes) SELECT i, 'app' || i, 'App', '', '', '', '' FROM n")
	execute(t, d, fmt.Sprintf("UPDATE setting SET value = %d WHERE name = 'product'", catalog.MaxProducts))
	execute(t, d, numbers(catalog.MaxReleases+1)+" INSERT INTO release_layer (product, tag, layer, id, list, gone, revision) SELECT 1 + i % 2, 'v1.' || i || '.0', 0, i, '', false, 0 FROM n")

	execute(t, d, fmt.Sprintf("UPDATE setting SET value = %d WHERE name = 'releases'", catalog.MaxReleases-1))

	edited := func(version string, want error) {
		t.Helper()
		if _, _, err := s.EditRelease(ctx, "opa", version, catalog.ReleasePatch{}); !errors.Is(err, want) {
			t.Errorf("release %s: got error %v, want %v", version, err, want)
		}
	}
	put := func(want error, versions ...string) {
		t.Helper()
		var all []catalog.Release
		for _, v := range versions {
			all = append(all, catalog.Release{Tag: v, Notes: "https://example.com"})
		}
		if _, err := putReleases(ctx, s, "opa", all); !errors.Is(err, want) {
			t.Errorf("releases %v: got error %v, want %v", versions, err, want)
		}
	}
	put(db.ErrLimit, "v2.0.0", "v2.0.1")
	edited("v2.0.0", nil) // reaches the limit
	edited("v2.0.1", db.ErrLimit)
	put(db.ErrLimit, "v2.0.1")
	put(nil, "v2.0.0")
	added := func(name string, want error) {
		t.Helper()
		if err := s.AddProduct(ctx, catalog.Product{Name: name, Title: "T"}); !errors.Is(err, want) {
			t.Errorf("product %s: got error %v, want %v", name, err, want)
		}
	}
	added("last", nil)
	added("more", db.ErrLimit)
	if err := s.RemoveProduct(ctx, "app3", false); err != nil {
		t.Fatal(err)
	}
	added("more", nil)
}
