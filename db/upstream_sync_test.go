package db_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"relcheck/checker/catalog"
	"relcheck/db"
)

// A product has the results of its syncs, without their states. Other processes see a
// change.
func testSyncs(t *testing.T, name string) {
	ctx := context.Background()
	s, other := open(t, name), open(t, name)
	if err := s.AddProduct(ctx, catalog.Product{Name: "app", Title: "App", Module: "example.com/app"}); err != nil {
		t.Fatal(err)
	}
	_, at := changeLines(t, other, catalog.Revision{})
	day := func(n int) time.Time { return time.Unix(int64(n)*86400, 0).UTC() }
	record := func(sync catalog.Sync) {
		t.Helper()
		if err := s.RecordSync(ctx, "app", sync); err != nil {
			t.Fatal(err)
		}
	}
	check := func(want ...catalog.Sync) {
		t.Helper()
		one, err := other.Product(ctx, "app")
		all, err2 := other.Products(ctx)
		c, err3 := other.Changes(ctx, at)
		if err := errors.Join(err, err2, err3); err != nil {
			t.Fatal(err)
		}
		at = c.Revision
		if len(c.Products) != 1 || len(c.Products[0].Releases) > 0 {
			t.Fatalf("got changes %+v, want the product without releases", c)
		}
		for how, got := range map[string][]catalog.Sync{"Product": one.Syncs, "Products": all[0].Syncs, "Changes": c.Products[0].Syncs} {
			if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
				t.Errorf("%s: got syncs %+v, want %+v", how, got, want)
			}
		}
	}
	state := func(upstream, want string) {
		t.Helper()
		got, err := other.SyncState(ctx, "app", upstream)
		if err != nil || got.Upstream != upstream || string(got.State) != want {
			t.Errorf("state of %s: got %+v (error %v), want %q", upstream, got, err, want)
		}
	}
	const module = "go:example.com/app"
	state(module, "")
	record(catalog.Sync{Upstream: module, Tried: day(1), Error: "no\x1b route"})
	check(catalog.Sync{Upstream: module, Tried: day(1), Error: "no route"})
	record(catalog.Sync{Upstream: module, Tried: day(2), Latest: "v1.0.0", State: []byte(`["a"]`)})
	check(catalog.Sync{Upstream: module, Tried: day(2), Succeeded: day(2), Latest: "v1.0.0"})
	state(module, `["a"]`)
	long := strings.Repeat("ä", 600)
	record(catalog.Sync{Upstream: module, Tried: day(3), Succeeded: day(3), Error: long, Latest: "v2.0.0", State: []byte(`["b"]`)})
	check(catalog.Sync{Upstream: module, Tried: day(3), Succeeded: day(2), Error: strings.Repeat("ä", 500) + "…", Latest: "v1.0.0"})
	state(module, `["b"]`)
	record(catalog.Sync{Upstream: module, Tried: day(3), Error: long})
	check(catalog.Sync{Upstream: module, Tried: day(3), Succeeded: day(2), Error: strings.Repeat("ä", 500) + "…", Latest: "v1.0.0"})
	state(module, `["b"]`)
	for since, want := range map[int]int{2: 1, 3: 0} {
		if got, err := other.FailedSyncs(ctx, day(since)); err != nil || len(got) != want || want > 0 && string(got[0].State) != `["b"]` {
			t.Errorf("syncs that failed after day %d: got %+v (error %v), want %d", since, got, err, want)
		}
	}
	edit := func(name, value string) {
		t.Helper()
		if _, _, err := s.EditProduct(ctx, "app", catalog.ProductPatch{name: value}); err != nil {
			t.Fatal(err)
		}
	}
	edit("upstreams", "file:/srv/app "+module)
	record(catalog.Sync{Upstream: "file:/srv/app", Tried: day(4)})
	check(catalog.Sync{Upstream: "file:/srv/app", Tried: day(4), Succeeded: day(4)}, catalog.Sync{Upstream: module, Tried: day(3), Succeeded: day(2), Error: strings.Repeat("ä", 500) + "…", Latest: "v1.0.0"})
	edit("upstreams", "file:/srv/app")
	check(catalog.Sync{Upstream: "file:/srv/app", Tried: day(4), Succeeded: day(4)})
	edit("title", "Other")
	check(catalog.Sync{Upstream: "file:/srv/app", Tried: day(4), Succeeded: day(4)})
	edit("upstreams", "")
	check()
	for _, err := range []error{errOf(s.SyncState(ctx, "none", module)), s.RecordSync(ctx, "none", catalog.Sync{Upstream: module}), s.RecordSync(ctx, "app", catalog.Sync{Upstream: "go:example.com/lib"})} {
		if !errors.Is(err, db.ErrNotFound) {
			t.Errorf("got error %v, want ErrNotFound", err)
		}
	}
}
