package server_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"relcheck/checker/catalog"
	"relcheck/checker/server"
)

// BenchmarkGitHub measures answers in the form of GitHub's API, to a client that has none and
// to one that has the same.
func BenchmarkGitHub(b *testing.B) {
	s := newServiceWith(b, serviceOptions{Options: server.Options{}}, catalog.Release{Tag: "v1.0.0"})
	h := s.handler.Handler()
	r := httptest.NewRequest("GET", "/repos/open-policy-agent/opa/releases/latest", strings.NewReader(""))
	r.Header.Set("User-Agent", "Open Policy Agent/1.22.2 (linux, amd64)")
	r.Header.Set("Accept-Encoding", "gzip")
	first := httptest.NewRecorder()
	h.ServeHTTP(first, r)
	for _, etag := range []string{"", first.Header().Get("ETag")} {
		b.Run("etag="+etag, func(b *testing.B) {
			if etag != "" {
				r.Header.Set("If-None-Match", etag)
			}
			b.ReportAllocs()
			for b.Loop() {
				w := &discardedAnswer{header: http.Header{}}
				h.ServeHTTP(w, r)
			}
		})
	}
	b.Logf("%d bytes %v", first.Body.Len(), first.Header())
}

type discardedAnswer struct{ header http.Header }

func (a *discardedAnswer) Header() http.Header         { return a.header }
func (a *discardedAnswer) WriteHeader(int)             {}
func (a *discardedAnswer) Write(p []byte) (int, error) { return len(p), nil }
