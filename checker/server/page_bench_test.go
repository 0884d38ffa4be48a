package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
)

// fillYear records reports of 60 builds on each day of a year.
func fillYear(b *testing.B, s *db.Store) {
	yesterday := rollup.DayOf(time.Now()) - 1
	_, err := s.Backfill(context.Background(), "opa", func(yield func(db.Recorded) bool) {
		for i := range 365 * 60 {
			heap, build := int64(20e6+i%1000*1e5), i%60
			r := db.Recorded{At: (yesterday - 364 + rollup.Day(i/60)).Time(), Platform: checker.Platforms()[build%5],
				Report: checker.Report{ID: uuid.New(), Version: fmt.Sprintf("v1.%d.0", build/5), HeapUsageBytes: &heap}}
			if !yield(r) {
				return
			}
		}
	}, func(func(db.Checked) bool) {})
	if err == nil {
		_, err = s.Fold(context.Background())
	}
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkPage measures requests for a product's page of a year, each with another
// query, or all with the same.
func BenchmarkPage(b *testing.B) {
	var releases []catalog.Release
	for v := range 12 {
		releases = append(releases, catalog.Release{Tag: fmt.Sprintf("v1.%d.0", v), Date: time.Now().AddDate(0, 0, -30*v)})
	}
	s := newServiceWith(b, serviceOptions{fill: func(s *db.Store) { fillYear(b, s) }}, releases...)
	_, token := s.token(b)
	s.handler.DisablePageRateLimit()
	h := s.handler.Handler()
	get := func(b *testing.B, url string) {
		r := httptest.NewRequest("GET", url, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Accept-Encoding", "gzip")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Code, w.Body)
		}
		b.ReportMetric(float64(w.Body.Len()), "bytes")
	}
	n := 0
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			n++
			get(b, fmt.Sprintf("/products/opa?days=365&above=%dMiB", n))
		}
	})
	b.Run("again", func(b *testing.B) {
		for b.Loop() {
			get(b, "/products/opa?days=365")
		}
	})
}
