package db_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"relcheck/checker/catalog"
	"relcheck/db"
)

// releaseLines returns the releases of a product, one line each: tag, state and files.
func releaseLines(t *testing.T, s *db.Store, product string) (lines []string) {
	t.Helper()
	all, err := s.Releases(context.Background(), product)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		line := r.Tag
		if r.Prerelease {
			line += " pre-release"
		}
		if r.Withdrawn {
			line += " withdrawn:" + r.Reason
		}
		if r.Notes != "" {
			line += " " + strings.TrimPrefix(r.Notes, "https://example.com/")
		}
		for _, f := range r.Files {
			line += fmt.Sprintf(" %s#%d=%s", f.Name, f.ID, strings.TrimPrefix(f.URL, "https://example.com/"))
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

// Upstream's layer changes with each import, and the operator's layer stays.
func testLayers(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
	files := func(names ...string) (all []catalog.File) {
		all = []catalog.File{}
		for _, name := range names {
			all = append(all, catalog.File{Name: name, URL: "https://example.com/" + name})
		}
		return all
	}
	entry := func(n int, notes string, names ...string) catalog.Entry {
		r := catalog.ListOf("file", catalog.Release{Tag: fmt.Sprintf("v1.%d.0", n), Date: day(n), Notes: "https://example.com/" + notes, Files: files(names...)})
		return r.Entries[0]
	}
	draft := func(n int) catalog.Entry { return catalog.Entry{Tag: fmt.Sprintf("v1.%d.0", n), Draft: true} }
	patch := func(set func(e *catalog.ReleasePatch) error) (e catalog.ReleasePatch) {
		t.Helper()
		if err := set(&e); err != nil {
			t.Fatal(err)
		}
		return e
	}
	edit := func(tag string, e catalog.ReleasePatch) func() error {
		return func() error { return errOf2(s.EditRelease(ctx, "opa", tag, e)) }
	}
	result := ""
	list := func(force bool, list catalog.List) func() error {
		return func() error {
			c, err := s.ImportReleases(ctx, "opa", list, force)
			result = fmt.Sprintf("%d+%d~%d=%d-", c.Added, c.Changed, c.Unchanged, c.Gone)
			return err
		}
	}
	load := func(entries ...catalog.Entry) func() error {
		return list(false, catalog.List{Name: "file", Entries: entries})
	}
	for _, c := range []struct {
		name   string
		change func() error
		result string
		err    error
		want   []string
	}{
		{"import", load(entry(1, "a", "x"), entry(2, "b", "x", "y"), entry(3, "c", "x")), "3+0~0=0-", nil,
			[]string{"v1.1.0 a x#1=x", "v1.2.0 b x#2=x y#3=y", "v1.3.0 c x#4=x"}},
		{"the same again", load(entry(1, "a", "x"), entry(2, "b", "x", "y"), entry(3, "c", "x")), "0+0~3=0-", nil,
			[]string{"v1.1.0 a x#1=x", "v1.2.0 b x#2=x y#3=y", "v1.3.0 c x#4=x"}},
		{"operator's notes", edit("1.1.0", patch(func(e *catalog.ReleasePatch) error { return e.SetNotes("https://example.com/mine") })), "", nil,
			[]string{"v1.1.0 mine x#1=x", "v1.2.0 b x#2=x y#3=y", "v1.3.0 c x#4=x"}},
		{"operator's mirror of a file", edit("v1.2.0", patch(func(e *catalog.ReleasePatch) error {
			return e.SetFile(catalog.File{Name: "x", URL: "https://example.com/mirror"})
		})), "", nil, []string{"v1.1.0 mine x#1=x", "v1.2.0 b x#2=mirror y#3=y", "v1.3.0 c x#4=x"}},
		{"emptied and added files, and other notes", load(entry(1, "d"), entry(2, "b", "x", "z"), entry(3, "c", "x")), "0+2~1=0-", nil,
			[]string{"v1.1.0 mine", "v1.2.0 b x#2=mirror z#7=z", "v1.3.0 c x#4=x"}},
		{"files that return keep their IDs", load(entry(1, "d", "x"), entry(2, "b", "x", "y"), entry(3, "c", "x")), "0+2~1=0-", nil,
			[]string{"v1.1.0 mine x#1=x", "v1.2.0 b x#2=mirror y#3=y", "v1.3.0 c x#4=x"}},
		{"a draft", load(entry(1, "d", "x"), entry(2, "b", "x", "y"), draft(3)), "0+0~2=1-", nil,
			[]string{"v1.1.0 mine x#1=x", "v1.2.0 b x#2=mirror y#3=y", "v1.3.0 withdrawn:removed upstream c x#4=x"}},
		{"published again", load(entry(1, "d", "x"), entry(2, "b", "x", "y"), entry(3, "c", "x")), "0+1~2=0-", nil,
			[]string{"v1.1.0 mine x#1=x", "v1.2.0 b x#2=mirror y#3=y", "v1.3.0 c x#4=x"}},
		{"a page without old releases", load(entry(3, "c", "x")), "0+0~1=0-", nil,
			[]string{"v1.1.0 mine x#1=x", "v1.2.0 b x#2=mirror y#3=y", "v1.3.0 c x#4=x"}},
		{"a list without the latest release", load(entry(1, "d", "x"), entry(2, "b", "x", "y")), "0+0~0=0-", catalog.ErrMissing,
			[]string{"v1.1.0 mine x#1=x", "v1.2.0 b x#2=mirror y#3=y", "v1.3.0 c x#4=x"}},
		{"a list with an unreadable release", list(false, catalog.List{Name: "file", Unread: []string{"v1.2.0"}, Entries: []catalog.Entry{entry(1, "d", "x"), entry(3, "c", "x")}}), "0+0~2=0-", nil,
			[]string{"v1.1.0 mine x#1=x", "v1.2.0 b x#2=mirror y#3=y", "v1.3.0 c x#4=x"}},
		{"another list", list(false, catalog.List{Name: "go:example.com", Whole: true, Entries: []catalog.Entry{{Tag: "v1.4.0"}}}), "1+0~0=0-", nil,
			[]string{"v1.1.0 mine x#1=x", "v1.2.0 b x#2=mirror y#3=y", "v1.3.0 c x#4=x", "v1.4.0"}},
		{"a list without most releases", list(false, catalog.List{Name: "file", Whole: true, Entries: []catalog.Entry{entry(3, "c", "x")}}), "0+0~0=0-", catalog.ErrMissing,
			[]string{"v1.1.0 mine x#1=x", "v1.2.0 b x#2=mirror y#3=y", "v1.3.0 c x#4=x", "v1.4.0"}},
		{"the same with force", list(true, catalog.List{Name: "file", Whole: true, Entries: []catalog.Entry{entry(3, "c", "x")}}), "0+0~1=2-", nil,
			[]string{"v1.1.0 withdrawn:removed upstream mine x#1=x", "v1.2.0 withdrawn:removed upstream b x#2=mirror y#3=y", "v1.3.0 c x#4=x", "v1.4.0"}},
		{"restored by the operator", func() error { return errOf2(s.Withdraw(ctx, "opa", "v1.2.0", false)) }, "", nil,
			[]string{"v1.1.0 withdrawn:removed upstream mine x#1=x", "v1.2.0 b x#2=mirror y#3=y", "v1.3.0 c x#4=x", "v1.4.0"}},
		{"reset", func() error { return errOf2(s.ResetRelease(ctx, "opa", "1.2.0")) }, "", nil,
			[]string{"v1.1.0 withdrawn:removed upstream mine x#1=x", "v1.2.0 withdrawn:removed upstream b x#2=x y#3=y", "v1.3.0 c x#4=x", "v1.4.0"}},
		{"reset of an unknown release", func() error { return errOf2(s.ResetRelease(ctx, "opa", "v9.0.0")) }, "", db.ErrNotFound,
			[]string{"v1.1.0 withdrawn:removed upstream mine x#1=x", "v1.2.0 withdrawn:removed upstream b x#2=x y#3=y", "v1.3.0 c x#4=x", "v1.4.0"}},
		{"a release by hand", edit("v2.0.0", patch(func(e *catalog.ReleasePatch) error { e.SetPrerelease(true); return nil })), "", nil,
			[]string{"v1.1.0 withdrawn:removed upstream mine x#1=x", "v1.2.0 withdrawn:removed upstream b x#2=x y#3=y", "v1.3.0 c x#4=x", "v1.4.0", "v2.0.0 pre-release"}},
		{"its reset", func() error { return errOf2(s.ResetRelease(ctx, "opa", "v2.0.0")) }, "", nil,
			[]string{"v1.1.0 withdrawn:removed upstream mine x#1=x", "v1.2.0 withdrawn:removed upstream b x#2=x y#3=y", "v1.3.0 c x#4=x", "v1.4.0"}},
		{"a draft that is not known", load(entry(3, "c", "x"), draft(9)), "0+0~1=0-", nil,
			[]string{"v1.1.0 withdrawn:removed upstream mine x#1=x", "v1.2.0 withdrawn:removed upstream b x#2=x y#3=y", "v1.3.0 c x#4=x", "v1.4.0"}},
	} {
		result = ""
		if err := c.change(); !errors.Is(err, c.err) {
			t.Fatalf("%s: got error %v, want %v", c.name, err, c.err)
		}
		if result != c.result {
			t.Errorf("%s: got result %s, want %s", c.name, result, c.result)
		}
		if diff := cmp.Diff(c.want, releaseLines(t, s, "opa")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		fresh, err := open(t, name).Changes(ctx, catalog.Revision{})
		if err != nil || len(fresh.Products[0].Releases)+len(fresh.Products[1].Releases) != len(c.want) {
			t.Errorf("%s: got catalog %+v (error %v), want %d releases", c.name, fresh.Products, err, len(c.want))
		}
	}
}

func errOf2[T, U any](_ T, _ U, err error) error { return err }

// Release returns each source's part, with the notes. Another store that imports what
// Entries returns is equal.
func testReleaseDetails(t *testing.T, name string) {
	ctx := context.Background()
	s := open(t, name)
	body, own := "# Changes\n\n- ünï", "mine"
	up := catalog.Layer{Text: &body, Files: []catalog.File{{Name: "a", URL: "https://example.com/a"}}}
	if _, err := s.ImportReleases(ctx, "opa", catalog.List{Name: "file", Entries: []catalog.Entry{{Tag: "v1.0.0", Upstream: up}}}, false); err != nil {
		t.Fatal(err)
	}
	texts := func(want map[string]string) {
		t.Helper()
		if got, err := s.Texts(ctx, "opa", []string{"v1.0.0", "v2.0.0", "v9.0.0"}); err != nil || !maps.Equal(got, want) {
			t.Errorf("Texts: got %q (error %v), want %q", got, err, want)
		}
	}
	texts(map[string]string{"v1.0.0": body})
	var e catalog.ReleasePatch
	if err := e.SetText(own); err != nil {
		t.Fatal(err)
	}
	if _, done, err := s.EditRelease(ctx, "opa", "v1.0.0", e); err != nil || done != catalog.Changed {
		t.Fatalf("got outcome %v (error %v), want Changed", done, err)
	}
	if _, done, err := s.EditRelease(ctx, "opa", "v1.0.0", e); err != nil || done != catalog.Unchanged {
		t.Errorf("the same notes: got outcome %v (error %v), want Unchanged", done, err)
	}
	_, layers, err := s.Release(ctx, "opa", "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	if got := layers[catalog.Upstream]; got == nil || *got.Text != body || len(got.Files) != 1 || got.List != "file" {
		t.Errorf("got upstream's layer %+v, want notes %q and one file", got, body)
	}
	if got := layers[catalog.Operator]; got == nil || *got.Text != own || len(got.Files) != 0 {
		t.Errorf("got the operator's layer %+v, want notes %q", got, own)
	}
	if _, _, err := s.Release(ctx, "opa", "v2.0.0"); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("unknown release: got error %v, want ErrNotFound", err)
	}
	c, err := s.ImportReleases(ctx, "opa", catalog.List{Name: "file", Entries: []catalog.Entry{{Tag: "v1.0.0", Upstream: up}}}, false)
	if err != nil || c != (db.ImportResult{Unchanged: 1}) {
		t.Errorf("the same notes: got %v (error %v), want 1 unchanged", c, err)
	}
	if _, _, err := s.EditRelease(ctx, "opa", "v2.0.0", e); err != nil { // upstream does not list this release
		t.Fatal(err)
	}
	texts(map[string]string{"v1.0.0": own, "v2.0.0": own})
	entries := allEntries(t, s, "opa")
	if _, err := s.ImportReleases(ctx, "relcheck", catalog.List{Name: "file", Whole: true, Entries: entries}, false); err != nil {
		t.Fatal(err)
	}
	c, err = s.ImportReleases(ctx, "relcheck", catalog.List{Name: "file", Whole: true, Entries: entries}, false)
	if err != nil || c != (db.ImportResult{Unchanged: 2}) {
		t.Errorf("the same export again: got %v (error %v), want 2 unchanged", c, err)
	}
	if _, layers, err := s.Release(ctx, "relcheck", "v2.0.0"); err != nil || layers[catalog.Upstream] != nil {
		t.Errorf("release of the operator: got upstream's layer %+v (error %v), want none", layers[catalog.Upstream], err)
	}
	again := allEntries(t, s, "relcheck")
	withoutIDs := func(entries []catalog.Entry) []catalog.Entry {
		for i := range entries {
			for j := range entries[i].Upstream.Files {
				entries[i].Upstream.Files[j].ID = 0
			}
		}
		return entries
	}
	if diff := cmp.Diff(withoutIDs(entries), withoutIDs(again)); err != nil || diff != "" {
		t.Errorf("copied releases: error %v (-want +got):\n%s", err, diff)
	}

	entries = nil // enough to be staged
	for i := range 100 {
		entries = append(entries, catalog.Entry{Tag: fmt.Sprintf("v3.%d.0", i), Upstream: up, Operator: &catalog.Layer{Title: &own}})
	}
	if _, err := s.ImportReleases(ctx, "relcheck", catalog.List{Name: "file", Entries: entries}, true); err != nil {
		t.Fatal(err)
	}
	checkReleaseIDs(t, name)

	// An import has staged upstream's part of a release of the operator.
	execute(t, raw(t, name), "INSERT INTO release_layer (product, tag, layer, id, list, gone, revision) SELECT product, tag, 0, id, 'file', false, -1 FROM release_layer WHERE tag = 'v2.0.0' AND product = 1")
	if _, removed, err := s.ResetRelease(ctx, "opa", "v2.0.0"); err != nil || !removed {
		t.Errorf("reset a release that is staged: removed is %v (error %v), want true", removed, err)
	}
	if got := releaseLines(t, s, "opa"); len(got) != 1 {
		t.Errorf("got releases %q after a reset, want one, because the other is staged", got)
	}
}

// checkReleaseIDs checks that the two layers of a release have one ID.
func checkReleaseIDs(t *testing.T, name string) {
	t.Helper()
	var n int
	err := raw(t, name).QueryRow("SELECT count(*) FROM release_layer AS u JOIN release_layer AS o ON o.product = u.product AND o.tag = u.tag WHERE o.layer = 1 AND u.id <> o.id").Scan(&n)
	if err != nil || n != 0 {
		t.Errorf("got %d releases (error %v) with two IDs, want none", n, err)
	}
}

// allEntries returns everything that is stored about the releases of a product.
func allEntries(t *testing.T, s *db.Store, product string) (all []catalog.Entry) {
	t.Helper()
	for e, err := range s.Entries(context.Background(), product) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}
