package db_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"relcheck/checker/catalog"
	"relcheck/db"
)

// hostedLines returns all hosted files, one a line.
func hostedLines(t *testing.T, s *db.Store) (lines []string) {
	t.Helper()
	for f, err := range s.HostedFiles(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		state := ""
		if !f.Damaged.IsZero() {
			state = fmt.Sprintf(" damaged %d", f.Damaged.Unix())
		}
		lines = append(lines, fmt.Sprintf("%s %s %s %d %v%s", f.Product, f.Tag, f.Name, f.Size, f.Verified, state))
	}
	return lines
}

// A change of a hosted file is a change of its release.
func testHostedFiles(t *testing.T, name string) {
	ctx := context.Background()
	s, other := open(t, name), open(t, name)
	if _, err := putReleases(ctx, s, "opa", []catalog.Release{{Tag: "v1.0.0"}, {Tag: "v1.1.0"}}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.EditRelease(ctx, "relcheck", "v0.1.0", catalog.ReleasePatch{}); err != nil {
		t.Fatal(err)
	}
	_, at := changeLines(t, other, catalog.Revision{})
	later := time.Unix(1.9e9, 0)
	unverified := hosted("opa", 3)
	unverified.Verified = false
	for _, c := range []struct {
		what   string
		change func() error
		want   []string // changed products with releases
		hosted []string // all hosted files
	}{
		{"add", func() error { return s.HostFile(ctx, "opa", "1.0.0", hosted("opa", 3)) }, []string{"opa: v1.0.0[]"}, []string{"opa v1.0.0 opa 3 true"}},
		{"the same", func() error { return s.HostFile(ctx, "opa", "v1.0.0", hosted("opa", 3)) }, nil, []string{"opa v1.0.0 opa 3 true"}},
		{"other content", func() error { return s.HostFile(ctx, "opa", "v1.0.0", hosted("opa", 4)) }, []string{"opa: v1.0.0[]"}, []string{"opa v1.0.0 opa 4 true"}},
		{"unverified", func() error { return s.HostFile(ctx, "opa", "v1.0.0", unverified) }, []string{"opa: v1.0.0[]"}, []string{"opa v1.0.0 opa 3 false"}},
		{"of the operator's release", func() error { return s.HostFile(ctx, "relcheck", "v0.1.0", hosted("opa", 3)) }, []string{"relcheck: v0.1.0[]"},
			[]string{"opa v1.0.0 opa 3 false", "relcheck v0.1.0 opa 3 true"}},
		{"damaged", func() error { return s.MarkDamaged(ctx, hosted("", 3).SHA256, later) }, []string{"opa: v1.0.0[]", "relcheck: v0.1.0[]"},
			[]string{"opa v1.0.0 opa 3 false damaged 1900000000", "relcheck v0.1.0 opa 3 true damaged 1900000000"}},
		{"damaged again", func() error { return s.MarkDamaged(ctx, hosted("", 3).SHA256, later.Add(time.Hour)) }, nil,
			[]string{"opa v1.0.0 opa 3 false damaged 1900000000", "relcheck v0.1.0 opa 3 true damaged 1900000000"}},
		{"stored again", func() error { return s.HostFile(ctx, "relcheck", "v0.1.0", hosted("opa", 3)) }, []string{"opa: v1.0.0[]", "relcheck: v0.1.0[]"},
			[]string{"opa v1.0.0 opa 3 false", "relcheck v0.1.0 opa 3 true"}},
		{"sound", func() error {
			return cmp.Or(s.MarkDamaged(ctx, hosted("", 3).SHA256, later), s.MarkDamaged(ctx, hosted("", 3).SHA256, time.Time{}))
		}, []string{"opa: v1.0.0[]", "relcheck: v0.1.0[]"}, []string{"opa v1.0.0 opa 3 false", "relcheck v0.1.0 opa 3 true"}},
		{"under another name", func() error {
			a, b := hosted("a", 3), hosted("linux-amd64/a", 3)
			a.URL, b.URL = "https://e.com/a", "https://e.com/a"
			return cmp.Or(s.HostFile(ctx, "opa", "v1.1.0", a), s.HostFile(ctx, "opa", "v1.1.0", b))
		}, []string{"opa: v1.1.0[]"}, []string{"opa v1.0.0 opa 3 false", "opa v1.1.0 linux-amd64/a 3 true", "relcheck v0.1.0 opa 3 true"}},
		{"remove it", func() error { return s.UnhostFile(ctx, "opa", "1.1.0", "linux-amd64/a") }, []string{"opa: v1.1.0[]"}, []string{"opa v1.0.0 opa 3 false", "relcheck v0.1.0 opa 3 true"}},
		{"unknown content", func() error { return s.MarkDamaged(ctx, hosted("", 9).SHA256, later) }, nil, []string{"opa v1.0.0 opa 3 false", "relcheck v0.1.0 opa 3 true"}},
		{"reset of an operator's release", func() error { return errOf2(s.ResetRelease(ctx, "relcheck", "v0.1.0")) }, []string{"all", "opa: v1.0.0[] v1.1.0[]", "relcheck:"}, []string{"opa v1.0.0 opa 3 false"}},
		{"remove", func() error { return s.UnhostFile(ctx, "opa", "1.0.0", "opa") }, []string{"opa: v1.0.0[]"}, nil},
		{"without a release", func() error { return wantError(s.HostFile(ctx, "opa", "v9.0.0", hosted("opa", 3)), db.ErrNotFound) }, nil, nil},
		{"without a product", func() error { return wantError(s.HostFile(ctx, "app", "v9.0.0", hosted("opa", 3)), db.ErrNotFound) }, nil, nil},
		{"remove again", func() error { return wantError(s.UnhostFile(ctx, "opa", "v1.0.0", "opa"), db.ErrNotFound) }, nil, nil},
		{"invalid name", func() error {
			if err := s.HostFile(ctx, "opa", "v1.0.0", hosted("a/b", 3)); !errors.As(err, new(*catalog.FieldError)) {
				return fmt.Errorf("got error %v, want a FieldError", err)
			}
			return nil
		}, nil, nil},
	} {
		if err := c.change(); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		var got []string
		got, at = changeLines(t, other, at)
		for i, line := range got {
			if name, releases, ok := strings.Cut(line, ": "); ok {
				tags := strings.Fields(releases)
				slices.Sort(tags)
				got[i] = name + ": " + strings.Join(tags, " ")
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got changes %q, want %q", c.what, got, c.want)
		}
		if got := hostedLines(t, other); !slices.Equal(got, c.hosted) {
			t.Errorf("%s: got hosted files %q, want %q", c.what, got, c.hosted)
		}
	}
	log, err := s.Audit(ctx, "opa", time.Time{})
	if err != nil || len(log) < 3 || log[0].Action != "file.removed" || log[0].Detail != "v1.0.0: opa" || log[2].Action != "file.hosted" {
		t.Errorf("got audit log %+v (error %v), want file.removed for v1.0.0: opa and file.hosted", log, err)
	}
}

func wantError(err, want error) error {
	if !errors.Is(err, want) {
		return fmt.Errorf("got error %v, want %w", err, want)
	}
	return nil
}

// Every way to read a release returns all its hosted files. Their number is limited.
// Removing the product removes them.
func testManyHostedFiles(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	if err := s.AddProduct(ctx, catalog.Product{Name: "app", Title: "App"}); err != nil {
		t.Fatal(err)
	}
	p := bundleProduct("app", 1, 2, func(r *db.BundleRelease) {
		for i := range catalog.MaxFiles {
			if r.Tag == "v1.0.0" {
				r.Hosted = append(r.Hosted[:i], hosted(fmt.Sprintf("f%04d", i), i))
			}
		}
	})
	if _, err := s.ApplyBundle(ctx, bundleOf(t, s, "x"), []*db.BundleProduct{p}); err != nil {
		t.Fatal(err)
	}
	if err := s.MarkDamaged(ctx, hosted("", 5).SHA256, bundleTime); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ApplyBundle(ctx, bundleOf(t, s, "x"), []*db.BundleProduct{p}); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Join(hostedLines(t, s), "\n"); strings.Contains(lines, "damaged") {
		t.Errorf("applied again after damage: got hosted files\n%s, want none damaged", lines)
	}
	if err := s.HostFile(ctx, "app", "v1.0.0", hosted("more", 1)); !errors.Is(err, db.ErrLimit) {
		t.Errorf("one more: got error %v, want ErrLimit", err)
	}
	p = bundleProduct("app", 2, 2, func(r *db.BundleRelease) { r.Hosted = []catalog.HostedFile{hosted("more", 1)} })
	if _, err := s.ApplyBundle(ctx, bundleOf(t, s, "y"), []*db.BundleProduct{p}); !errors.Is(err, db.ErrLimit) {
		t.Errorf("one more of a bundle: got error %v, want ErrLimit", err)
	}
	if err := s.HostFile(ctx, "app", "v1.0.0", hosted("f0000", 77)); err != nil { // replaces another
		t.Error(err)
	}
	check := func(how string, r catalog.Release, err error) {
		t.Helper()
		if err != nil || len(r.Hosted) != catalog.MaxFiles || !slices.IsSortedFunc(r.Hosted, func(a, b catalog.HostedFile) int { return strings.Compare(a.Name, b.Name) }) || r.Hosted[0].Size != 77 {
			t.Errorf("%s: got %d hosted files (error %v), want %d, sorted", how, len(r.Hosted), err, catalog.MaxFiles)
		}
	}
	r, _, err := s.Release(ctx, "app", "1.0.0")
	check("Release", r, err)
	all, err := s.Releases(ctx, "app")
	slices.SortFunc(all, func(a, b catalog.Release) int { return strings.Compare(a.Tag, b.Tag) })
	check("Releases", all[0], err)
	if n := len(hostedLines(t, s)); n != catalog.MaxFiles+2 {
		t.Errorf("got %d hosted files, want %d", n, catalog.MaxFiles+2)
	}
	if err := s.RecordSync(ctx, "app", catalog.Sync{Upstream: "go:x"}); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("sync with another upstream: got error %v, want ErrNotFound", err)
	}
	if _, err := s.NextBundleSequences(ctx, []string{"app"}, bundleTime); err != nil {
		t.Error(err)
	}
	if err := s.RemoveProduct(ctx, "app", false); err != nil {
		t.Fatal(err)
	}
	for table, rows := range dumpTables(t, name, []string{"hosted_file", "upstream_sync", "bundle_sequence", "applied_bundle", "release_layer"}) {
		if len(rows) > 0 {
			t.Errorf("table %s: got rows %v after the product was removed, want none", table, rows)
		}
	}
}
