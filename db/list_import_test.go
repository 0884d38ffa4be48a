package db_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"relcheck/checker/catalog"
	"relcheck/db"
)

const (
	gitHubList = "github:me/app"
	goList     = "go:example.com/app"
)

// newSynced returns a store with a product that has two upstreams.
func newSynced(t *testing.T, name string) *db.Store {
	t.Helper()
	s := open(t, name)
	if err := s.AddProduct(t.Context(), catalog.Product{Name: "synced", Title: "Synced", Upstreams: gitHubList + " " + goList}); err != nil {
		t.Fatal(err)
	}
	return s
}

// listOf returns a whole list of releases with tags.
func listOf(name string, tags ...string) catalog.List {
	list := catalog.List{Name: name, Whole: true}
	for _, tag := range tags {
		list.Entries = append(list.Entries, catalog.Entry{Tag: tag, Upstream: catalog.Layer{Title: new(name + " " + tag)}})
	}
	return list
}

// offered returns the tags of the releases that are not withdrawn.
func offered(t *testing.T, s *db.Store) (tags []string) {
	t.Helper()
	releases, err := s.Releases(t.Context(), "synced")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range releases {
		if !r.Withdrawn {
			tags = append(tags, r.Tag)
		}
	}
	slices.Sort(tags)
	return tags
}

// testListsTogether checks that several lists are stored together or not at all, with the
// same result as one after the other.
func testListsTogether(t *testing.T, name string) {
	s, ctx := newSynced(t, name), context.Background()
	c, err := s.ImportLists(ctx, "synced", []catalog.List{listOf(gitHubList, "v1.0.0", "v1.1.0", "v1.2.0"), listOf(goList, "v1.1.0", "v1.3.0")}, false, 0)
	if err != nil {
		t.Fatal(err)
	}
	if c[0].ImportResult != (db.ImportResult{Added: 3}) || c[1].ImportResult != (db.ImportResult{Added: 1, Changed: 1}) || !slices.Equal(c[1].New, []string{"v1.3.0"}) {
		t.Errorf("got %+v, want 3 added, and 1 added and 1 changed", c)
	}
	if r, _, err := s.Release(ctx, "synced", "v1.1.0"); err != nil || r.Title != goList+" v1.1.0" {
		t.Errorf("release of both lists: got title %q (error %v), want that of the last one", r.Title, err)
	}
	before, err := s.Changes(ctx, catalog.Revision{})
	if err != nil {
		t.Fatal(err)
	}
	// The second list is refused, so the first one changes nothing either.
	missing := new(catalog.MissingError)
	c, err = s.ImportLists(ctx, "synced", []catalog.List{listOf(gitHubList, "v1.0.0", "v1.1.0", "v1.2.0", "v2.0.0"), listOf(goList, "v0.1.0")}, false, 0)
	if !errors.As(err, &missing) || missing.List != goList || !errors.Is(err, catalog.ErrMissing) || len(c) != 2 {
		t.Errorf("a list without most of its releases: got %v, error %v, want ErrMissing about %s", c, err, goList)
	}
	if changes, err := s.Changes(ctx, before.Revision); err != nil || changes.Revision != before.Revision {
		t.Errorf("after the refusal: got revision %v (error %v), want %v", changes.Revision, err, before.Revision)
	}
	// A release that one list lacks and the other has is not withdrawn.
	c, err = s.ImportLists(ctx, "synced", []catalog.List{listOf(gitHubList, "v1.0.0"), listOf(goList, "v1.1.0", "v1.2.0", "v1.3.0")}, false, 0)
	if err != nil || len(c[1].Withdrawn) > 0 {
		t.Errorf("got %+v (error %v)", c, err)
	}
	if got, want := offered(t, s), []string{"v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	c, err = s.ImportLists(ctx, "synced", []catalog.List{listOf(goList, "v1.1.0", "v1.3.0")}, false, 0)
	if err != nil || !slices.Equal(c[0].Withdrawn, []string{"v1.2.0"}) || c[0].Gone != 1 {
		t.Errorf("got %+v (error %v), want v1.2.0 withdrawn", c, err)
	}
}

// testExactList checks that a list of another relcheck replaces all older values, and must
// contain the latest release.
func testExactList(t *testing.T, name string) {
	s, ctx := open(t, name), context.Background()
	const upstream = "relcheck:https://example.com/p/app"
	if err := s.AddProduct(ctx, catalog.Product{Name: "synced", Title: "Synced", Upstreams: upstream}); err != nil {
		t.Fatal(err)
	}
	full := catalog.Layer{Title: new("a"), Notes: new("https://example.com"), Text: new("notes"), Created: new(time.Unix(1e9, 0).UTC()), Prerelease: new(false), Files: file(linux, "https://example.com/a")}
	list := catalog.List{Name: upstream, Whole: true, Exact: true, Entries: []catalog.Entry{{Tag: "v1.0.0", Upstream: full}, {Tag: "v1.1.0-rc1", Upstream: full}, {Tag: "v0.9.0", Upstream: full}}}
	for range 2 {
		if _, err := s.ImportReleases(ctx, "synced", list, false); err != nil {
			t.Fatal(err)
		}
	}
	if r, layers, err := s.Release(ctx, "synced", "v1.1.0-rc1"); err != nil || r.Prerelease || *layers[catalog.Upstream].Text != "notes" {
		t.Errorf("a pre-release that the other operator has made a release: got %+v (error %v), want a release with notes", r, err)
	}
	list.Entries[1] = catalog.Entry{Tag: "v1.1.0-rc1", Upstream: catalog.Layer{Text: new("")}}
	c, err := s.ImportReleases(ctx, "synced", list, false)
	if err != nil || c != (db.ImportResult{Changed: 1, Unchanged: 2}) {
		t.Errorf("got %v (error %v), want 1 changed", c, err)
	}
	r, layers, err := s.Release(ctx, "synced", "v1.1.0-rc1")
	if up := layers[catalog.Upstream]; err != nil || !r.Prerelease || up.Title != nil || up.Created != nil || *up.Text != "" || len(up.Files) > 0 {
		t.Errorf("after everything was reset there: got %+v, %+v (error %v), want an empty layer", r, up, err)
	}
	list.Entries = list.Entries[1:]
	if _, err := s.ImportReleases(ctx, "synced", list, false); !errors.Is(err, catalog.ErrMissing) {
		t.Errorf("a list without the latest release: got error %v, want ErrMissing", err)
	}
}

// testAdoptedReleases checks that the releases of an upstream that was replaced belong to
// the new one.
func testAdoptedReleases(t *testing.T, name string) {
	s, ctx := newSynced(t, name), context.Background()
	unnamed := func(name string, tags ...string) catalog.List { // the lists have the same entries
		list := listOf("", tags...)
		list.Name = name
		return list
	}
	if _, err := s.ImportReleases(ctx, "synced", unnamed("github:me/old", "v1.0.0", "v1.1.0", "v1.2.0"), false); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ImportReleases(ctx, "synced", unnamed(gitHubList, "v1.0.0", "v1.1.0", "v1.2.0"), false); err != nil {
		t.Fatal(err)
	}
	c, err := s.ImportReleases(ctx, "synced", unnamed(gitHubList, "v1.1.0", "v1.2.0"), false)
	if err != nil || c.Gone != 1 {
		t.Errorf("got %v (error %v), want that one is removed upstream", c, err)
	}
	// A file imported by hand does not take releases of an upstream.
	file := unnamed("file", "v1.1.0", "v1.2.0")
	if _, err := s.ImportReleases(ctx, "synced", file, false); err != nil {
		t.Fatal(err)
	}
	if _, layers, err := s.Release(ctx, "synced", "v1.1.0"); err != nil || layers[catalog.Upstream].List != gitHubList {
		t.Errorf("got list %q (error %v), want %s", layers[catalog.Upstream].List, err, gitHubList)
	}
}

func testSyncClaims(t *testing.T, name string) {
	s, ctx := newSynced(t, name), context.Background()
	at := time.Unix(1_800_000_000, 0).UTC()
	other := open(t, name)
	for _, test := range []struct {
		by        *db.Store
		id        int64
		now, till time.Duration // after at
		want      bool
	}{{s, 1, 0, time.Minute, true}, {other, 2, time.Second, time.Minute, false}, {s, 1, 50 * time.Second, 2 * time.Minute, true}, {other, 2, time.Minute, 2 * time.Minute, false},
		{other, 2, 2 * time.Minute, 3 * time.Minute, true}, {s, 1, 2 * time.Minute, 4 * time.Minute, false}} {
		if claimed, err := test.by.ClaimSync(ctx, "synced", test.id, at.Add(test.now), at.Add(test.till)); err != nil || claimed != test.want {
			t.Errorf("claim of sync %d after %v: got %v (error %v), want %v", test.id, test.now, claimed, err, test.want)
		}
	}
	// The first sync has lost its claim: it stores nothing. The second one does, until it ends.
	store := func(sync int64, want error) {
		t.Helper()
		if _, err := s.ImportLists(ctx, "synced", []catalog.List{listOf(gitHubList, "v7.0.0")}, false, sync); !errors.Is(err, want) {
			t.Errorf("a list of sync %d: got error %v, want %v", sync, err, want)
		}
	}
	store(1, catalog.ErrSyncLost)
	store(2, nil)
	if err := s.EndSync(ctx, 2); err != nil {
		t.Fatal(err)
	}
	store(2, catalog.ErrSyncLost)
	if claimed, err := s.ClaimSync(ctx, "synced", 3, at, at); err != nil || !claimed {
		t.Errorf("after the end: got %v (error %v), want a claim", claimed, err)
	}
	for _, state := range [][]byte{[]byte("{}"), nil} {
		want := catalog.Sync{Upstream: gitHubList, Tried: at, Succeeded: at, Latest: "v1", State: state}
		if err := s.RecordSync(ctx, "synced", want); err != nil {
			t.Fatal(err)
		}
		if got, err := s.SyncState(ctx, "synced", gitHubList); err != nil || string(got.State) != string(state) || !got.Succeeded.Equal(at) {
			t.Errorf("got %+v (error %v), want %+v", got, err, want)
		}
	}
	if err := s.RecordSync(ctx, "synced", catalog.Sync{Upstream: gitHubList, Tried: at, Succeeded: at, State: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	// An import by hand may replace upstream's data, so the next sync must read upstream's
	// list again.
	if _, err := s.ImportReleases(ctx, "synced", listOf("file", "v1.0.0"), false); err != nil {
		t.Fatal(err)
	}
	if got, err := s.SyncState(ctx, "synced", gitHubList); err != nil || len(got.State) > 0 {
		t.Errorf("after an import: got state %q (error %v), want none", got.State, err)
	}
}

// testEntriesChange checks that a change is noticed while releases are read.
func testEntriesChange(t *testing.T, name string) {
	s, ctx := newSynced(t, name), context.Background()
	if _, err := s.ImportReleases(ctx, "synced", listOf(gitHubList, "v1.0.0", "v1.1.0"), false); err != nil {
		t.Fatal(err)
	}
	id, err := s.EntriesID(ctx, "synced")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	var last error
	for _, err := range s.Entries(ctx, "synced") {
		if n++; n == 1 {
			if _, _, err := s.Withdraw(ctx, "synced", "v1.0.0", true); err != nil {
				t.Fatal(err)
			}
		}
		last = err
	}
	if !errors.Is(last, db.ErrChanged) {
		t.Errorf("got error %v after %d entries, want ErrChanged", last, n)
	}
	if again, err := s.EntriesID(ctx, "synced"); err != nil || again == id {
		t.Errorf("got ID %q again (error %v), want another one", again, err)
	}
	for range s.Entries(ctx, "synced") {
		break
	}
	for _, err := range s.Entries(ctx, "none") {
		if !errors.Is(err, db.ErrNotFound) {
			t.Errorf("unknown product: got error %v, want ErrNotFound", err)
		}
	}
}
