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
)

// forgetting is a store that records nothing.
type forgetting struct{ halves }

func (forgetting) Record(context.Context, string, checker.Platform, *checker.Report) error {
	return nil
}

// What a report costs but for recording it, with a budget for its source and without.
func BenchmarkReport(b *testing.B) {
	for _, rate := range []int{0, 600_000_000} {
		b.Run(fmt.Sprintf("source-rate=%d", rate), func(b *testing.B) {
			s := newServiceWith(b, serviceOptions{Options: server.Options{ClientRate: rate}, wrap: func(h halves) server.Store { return forgetting{h} }},
				catalog.Release{Version: "v1.0.0"})
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
