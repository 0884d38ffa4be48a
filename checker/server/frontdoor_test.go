package server_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"relcheck/checker/catalog"
	"relcheck/checker/server"
	"relcheck/db"
)

// emptyWriter is a response that is not read.
type emptyWriter struct{ header http.Header }

func (w *emptyWriter) Header() http.Header         { return w.header }
func (w *emptyWriter) WriteHeader(int)             {}
func (w *emptyWriter) Write(b []byte) (int, error) { return len(b), nil }

// newFrontDoor returns a front door whose own routes and reports do nothing.
func newFrontDoor(t testing.TB) (s *service, door http.Handler) {
	t.Helper()
	s = newServiceWith(t, serviceOptions{Options: server.Options{Base: "https://releases.example.com"}, fill: func(s *db.Store) {
		err := s.AddProduct(context.Background(), catalog.Product{Name: "tool", Title: "Tool", Repo: "me/tool", Hosts: "api.example.com", Dialects: "gitea"})
		if err == nil {
			_, err = s.ImportReleases(context.Background(), "tool", catalog.ListOf("test", catalog.Release{Tag: "v1.0.0"}), true)
		}
		if err != nil {
			t.Fatal(err)
		}
	}}, catalog.Release{Tag: "v1.0.0"})
	return s, s.handler.FrontDoor()
}

// TestFrontDoorDoesNotAllocate tests that requests of this server's own routes, which name
// no product and no declared host, pass the front door without an allocation.
func TestFrontDoorDoesNotAllocate(t *testing.T) {
	_, door := newFrontDoor(t)
	for _, c := range []struct {
		method, path string
		want         float64
	}{
		{"POST", "/v1/version", 0},
		{"GET", "/healthz", 0},
		{"GET", "/", 0},
		{"GET", "/assets/style.css", 1}, // net/http makes a list of the values in the path
	} {
		r, w := httptest.NewRequest(c.method, c.path, nil), &emptyWriter{http.Header{}}
		r.Host = "releases.example.com:8443"
		if n := testing.AllocsPerRun(100, func() { door.ServeHTTP(w, r) }); n > c.want {
			t.Errorf("%s %s: got %v allocations, want %v", c.method, c.path, n, c.want)
		}
	}
}

// TestCachedAnswersAllocateLittle tests that a cached answer is neither made nor copied.
func TestCachedAnswersAllocateLittle(t *testing.T) {
	s, door := newFrontDoor(t)
	list := ask(s.handler.Handler(), "192.0.2.1:1", "GET", "/repos/me/tool/releases", credential{})
	for _, c := range []struct {
		path, known string
		want        float64
	}{
		{"/p/tool/gitea.json", "", 3},
		{"/repos/me/tool/releases", list.Header().Get("ETag"), 12},
	} {
		r, w := httptest.NewRequest("GET", c.path, nil), &emptyWriter{http.Header{}}
		if c.known != "" {
			r.Header.Set("If-None-Match", c.known)
		}
		if n := testing.AllocsPerRun(100, func() { door.ServeHTTP(w, r) }); n > c.want {
			t.Errorf("%s: got %v allocations, want %v", c.path, n, c.want)
		}
	}
}

// BenchmarkFrontDoor measures what the front door adds to a request.
func BenchmarkFrontDoor(b *testing.B) {
	_, door := newFrontDoor(b)
	for _, line := range []string{"POST /v1/version", "GET /healthz", "POST /p/opa/as/1.0.0/linux-amd64/v1/version", "GET /p/tool/gitea.json", "GET /repos/me/tool/releases"} {
		b.Run(strings.ReplaceAll(line, "/", "|"), func(b *testing.B) {
			method, path, _ := strings.Cut(line, " ")
			r, w := httptest.NewRequest(method, path, nil), &emptyWriter{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				door.ServeHTTP(w, r)
			}
		})
	}
}
