package server_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/server"
	"relcheck/checker/stats/rollup"
)

// discardingStore is a store that discards reports.
type discardingStore struct{ testStore }

func (discardingStore) Record(context.Context, string, checker.Platform, *checker.Report) (rollup.Day, error) {
	return 20_000, nil
}

// BenchmarkReport measures a report without recording it, with and without a rate limit, and
// with public figures.
func BenchmarkReport(b *testing.B) {
	for _, o := range []server.Options{{}, {ClientRate: 600_000_000}, {PublicStats: true, PublicThreshold: 40}, {ClientRate: 600_000_000, PublicStats: true, PublicThreshold: 40}} {
		b.Run(fmt.Sprintf("client-rate=%d,public=%t", o.ClientRate, o.PublicStats), func(b *testing.B) {
			s := newServiceWith(b, serviceOptions{Options: o, wrap: func(h testStore) server.Store { return discardingStore{h} }},
				catalog.Release{Tag: "v1.0.0"})
			h := s.handler.Handler()
			body := `{"id":"` + sampleID + `","version":"1.0.0","heap_usage_bytes":"2664880"}`
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest("POST", "/v1/version", strings.NewReader(body))
				r.RemoteAddr = "192.0.2.1:4711"
				h.ServeHTTP(httptest.NewRecorder(), r)
			}
		})
	}
}
