package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/syncer"
	"relcheck/checker/upstream"
	"relcheck/db/doctor"
)

// After an upstream has failed for 8 days, the pages, the metrics and the doctor show a
// warning. After a success, they show none.
func TestStaleUpstream(t *testing.T) {
	var failing atomic.Bool
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if failing.Load() {
			w.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprint(w, `[{"tag_name":"v1.4.0"}]`)
	}))
	defer api.Close()
	s := newService(t)
	_, token := s.token(t)
	name := "github:" + api.URL + "/repos/me/opa"
	if _, _, err := s.store.EditProduct(t.Context(), "opa", catalog.ProductPatch{"upstreams": name}); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	sync := &syncer.Syncer{Store: s.store, Reader: new(upstream.Reader), Now: func() time.Time { return now }}
	examine := func() (text string) {
		o := doctor.Options{Now: now, Progress: func(int64, int64) {}, Report: func(f doctor.Finding) {
			if f.Check == "upstreams" {
				text += fmt.Sprintf("%d %s\n", f.Severity, f.Text)
			}
		}}
		if err := doctor.Examine(context.Background(), s.path, o); err != nil {
			t.Fatal(err)
		}
		return text
	}
	check := func(what string, stale bool, texts ...string) {
		t.Helper()
		at := now
		if err := s.handler.SetClock(t.Context(), func() time.Time { return at }); err != nil {
			t.Fatal(err)
		}
		shown := map[string]string{"/products/opa/releases": s.page(t, "/products/opa/releases", token).body, "/": s.page(t, "/", token).body, "doctor": examine()}
		for place, text := range shown {
			warning := `<span class="state bad">stale</span>`
			if place == "doctor" {
				warning = fmt.Sprintf("%d opa: %s: ", doctor.Warning, name)
			}
			if got := strings.Contains(text, warning); got != stale {
				t.Errorf("%s: %s: got warning %v, want %v: %s", what, place, got, stale, text)
			}
			for _, want := range texts {
				if place != "/" && (place != "doctor" || stale) && !strings.Contains(text, want) {
					t.Errorf("%s: %s does not contain %q: %s", what, place, want, text)
				}
			}
		}
		line := fmt.Sprintf(`relcheck_upstream_stale{product="opa",upstream=%q} %d`, name, map[bool]int{true: 1}[stale])
		if got := s.scrape(t); !strings.Contains(got, line+"\n") {
			t.Errorf("%s: metrics lack %s", what, line)
		}
	}
	run := func() {
		t.Helper()
		if _, err := sync.Sync(t.Context(), "opa"); err != nil {
			t.Fatal(err)
		}
	}
	check("before the first sync", true, "never synced")
	run()
	check("after a sync", false, "synced just now (2026-03-01 12:00 UTC), latest release there v1.4.0")
	failing.Store(true)
	for day := 1; day <= 8; day++ {
		now = now.Add(24 * time.Hour)
		run()
		if day == 6 {
			check("after 6 days", false, "synced 6 days ago (2026-03-01 12:00 UTC), latest release there v1.4.0; the last attempt failed: read releases of me/opa: status 404 Not Found")
		}
	}
	check("after 8 days", true, "synced 8 days ago (2026-03-01 12:00 UTC), latest release there v1.4.0; the last attempt failed: read releases of me/opa: status 404 Not Found")
	failing.Store(false)
	run()
	check("after a success", false, "synced just now (2026-03-09 12:00 UTC)")
}
