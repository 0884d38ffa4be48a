package db_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/db"
)

// EditRelease replaces the fields of the patch and keeps all others.
func testEditRelease(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	put := func(version string, e catalog.ReleasePatch, done catalog.Outcome, want catalog.Release) {
		t.Helper()
		before := revision(t, s)
		r, got, err := s.EditRelease(ctx, "opa", version, e)
		if diff := cmp.Diff(want, r); err != nil || got != done || diff != "" {
			t.Errorf("EditRelease: got outcome %d (error %v), want %d (-want +got):\n%s", got, err, done, diff)
		}
		all, err := s.Releases(ctx, "opa")
		if diff := cmp.Diff([]catalog.Release{want}, all); err != nil || diff != "" {
			t.Errorf("stored release: error %v (-want +got):\n%s", err, diff)
		}
		if grown := revision(t, s) > before; grown != (done != catalog.Unchanged) {
			t.Errorf("got a new revision: %v, want %v", grown, !grown)
		}
	}
	want := catalog.Release{ID: 1, Tag: "v1.0.0-rc.1", Prerelease: true}
	put("1.0.0-rc.1", catalog.ReleasePatch{}, catalog.Added, want) // opa is a Go module, whose tags begin with v
	put("v1.0.0-rc.1", catalog.ReleasePatch{}, catalog.Unchanged, want)

	e := newReleasePatch(t, "https://example.com", "", "https://example.com/a")
	if err := e.SetDate("2026-01-31T12:00:00.5+02:00"); err != nil {
		t.Fatal(err)
	}
	e.SetPrerelease(false)
	want.Prerelease, want.Notes, want.Date = false, "https://example.com", time.Date(2026, 1, 31, 10, 0, 0, 0, time.UTC)
	want.Files = []catalog.File{{ID: 1, Name: "a", Platform: linux, URL: "https://example.com/a"}}
	put("1.0.0-rc.1", e, catalog.Changed, want)
	put("1.0.0-rc.1", e, catalog.Unchanged, want)

	arm := checker.Platform{OS: "linux", Arch: "arm64"}
	e = catalog.ReleasePatch{}
	if err := errors.Join(e.SetAsset("linux/arm64", "https://example.com/b"), e.RemoveAsset("linux/amd64"), e.SetNotes("")); err != nil {
		t.Fatal(err)
	}
	want.Files, want.Notes = []catalog.File{{ID: 3, Platform: linux}, {ID: 2, Name: "b", Platform: arm, URL: "https://example.com/b"}}, ""
	put("1.0.0-rc.1", e, catalog.Changed, want)

	want.Withdrawn = true
	put("1.0.0-rc.1", newReleasePatch(t, "", "true", ""), catalog.Changed, want)
	put("1.0.0-rc.1", newReleasePatch(t, "", "true", ""), catalog.Unchanged, want)
	put("1.0.0-rc.1", catalog.ReleasePatch{}, catalog.Unchanged, want)
	want.Withdrawn = false
	put("1.0.0-rc.1", newReleasePatch(t, "", "false", ""), catalog.Changed, want)

	if _, _, err := s.EditRelease(ctx, "none", "v1.0.0", e); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("unknown product: got error %v, want ErrNotFound", err)
	}
	if _, _, err := s.EditRelease(ctx, "opa", "night ly", e); !errors.As(err, new(*catalog.FieldError)) {
		t.Errorf("invalid tag: got error %v, want a FieldError", err)
	}
}

// Setting withdrawn to false has no effect on a release that is not withdrawn: upstream can
// still retract it. Restoring a retracted release overrides upstream.
func TestEditNotWithdrawn(t *testing.T) {
	ctx := context.Background()
	s := open(t, engines["SQLite"](t))
	withdrawn := func() bool {
		t.Helper()
		all, err := s.Releases(ctx, "opa")
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		return all[0].Withdrawn
	}
	notWithdrawn := newReleasePatch(t, "", "false", "")
	retracted := []catalog.Release{{Tag: "v1.0.0", Withdrawn: true, Reason: "broken"}}
	for _, want := range []bool{true, false} { // the second time, the patch restores it
		if _, _, err := s.EditRelease(ctx, "opa", "v1.0.0", notWithdrawn); err != nil {
			t.Fatal(err)
		}
		if _, err := putReleases(ctx, s, "opa", retracted); err != nil {
			t.Fatal(err)
		}
		if withdrawn() != want {
			t.Errorf("got withdrawn = %v, want %v", !want, want)
		}
	}
}

func testEditProduct(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	put := func(e catalog.ProductPatch, done catalog.Outcome, want catalog.Product) {
		t.Helper()
		p, got, err := s.EditProduct(ctx, "app", e)
		if err != nil || got != done || !p.Equal(want) {
			t.Errorf("EditProduct: got %+v, outcome %d (error %v), want %+v, %d", p, got, err, want, done)
		}
		if p, err := s.Product(ctx, "app"); err != nil || !p.Equal(want) {
			t.Errorf("stored product: got %+v (error %v), want %+v", p, err, want)
		}
	}
	want := catalog.Product{Name: "app", Title: "app", Repo: "me/app"}
	put(catalog.ProductPatch{"repo": "me/app"}, catalog.Added, want)
	put(catalog.ProductPatch{}, catalog.Unchanged, want)
	want.Title, want.Repo, want.Download, want.Origins = "App", "", "https://example.com/{tag}", "https://a.example app:"
	put(catalog.ProductPatch{"title": "App", "repo": "", "download": want.Download, "origins": "HTTPS://a.example:443/ app: app:"}, catalog.Changed, want)
	for field, value := range map[string]string{"title": "", "repo": "app", "module": "/x", "download": "https://example.com/{file}", "notes": "example.com", "origins": "https:"} {
		m := (*catalog.FieldError)(nil)
		if _, _, err := s.EditProduct(ctx, "app", catalog.ProductPatch{field: value}); !errors.As(err, &m) || m.Field != field {
			t.Errorf("%s %q: got error %v, want a FieldError of %[1]s", field, value, err)
		}
	}
	put(catalog.ProductPatch{}, catalog.Unchanged, want)
	if _, _, err := s.EditProduct(ctx, "No", nil); !errors.As(err, new(*catalog.FieldError)) {
		t.Errorf("invalid product name: got error %v, want a FieldError", err)
	}
}
