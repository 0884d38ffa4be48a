package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
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

// TestFrontDoorPaths tests hosts and paths that are written in unusual ways.
func TestFrontDoorPaths(t *testing.T) {
	s := newServiceWith(t, serviceOptions{Options: server.Options{Base: "https://releases.example.com:8443/app"}})
	tool := s.newProduct(t, "tool", `{"repo":"me/tool","hosts":["releases.example.com"],"dialects":["gitea","grafana-plugins"],"match":"<2","channels":[{"name":"next","match":">=2"}]}`)
	tool.want("201", "PUT", "v1.0.0", "{}")
	tool.want("201", "PUT", "v2.0.0", `{"assets":{"linux/amd64":"https://e.com/get/tool_linux_amd64?sig=1"}}`)
	plugins := "tool" + strings.Repeat(",another-plugin", 20)
	for _, c := range []struct{ host, path, want string }{
		// A declared host can be that of the base URL. Then the own routes come first.
		{"releases.example.com:8443", "/app/healthz", "200 ok"},
		{"releases.example.com", "/healthz", "200 ok"},
		{"releases.example.com", "/gitea.json", `200 {"latest": {"version": "1.0.0"}}`},
		// Empty segments are dropped, also before and in the path of the base URL.
		{"localhost", "//app//p//tool//gitea.json", `200 {"latest": {"version": "1.0.0"}}`},
		{"localhost", "/apple/p/tool/gitea.json", "404 "},
		// Escaped texts are the ones in patterns.
		{"localhost", "/repos/me/tool/%74ags", `200 [{"name":"v1.0.0","zipball_url"`},
		{"localhost", "/api/%763/repos/me/tool/releases/latest", `200 {"id":1,"node_id":"RE_1","url":"https://releases.example.com:8443/app/api/v3/repos/me/tool/releases/1"`},
		{"localhost", "/me/tool/releases%2Eatom", "200 <?xml"},
		// A list in a query may be long. An answer to a part of it would be wrong.
		{"localhost", "/p/tool/plugins/versioncheck?slugIn=" + plugins, `200 [{"slug": "tool", "version": "1.0.0"}]`},
		{"localhost", "/p/tool/plugins/versioncheck?slugIn=" + strings.Repeat(plugins+",", 10), "400 a query parameter has more than 2,000 bytes"},
	} {
		r := httptest.NewRequest("GET", "http://x/", nil)
		r.Host = c.host
		r.URL.RawPath, r.URL.RawQuery, _ = strings.Cut(c.path, "?")
		r.URL.Path, _ = url.PathUnescape(r.URL.RawPath)
		reply := s.send(t, r)
		if got := fmt.Sprint(reply.StatusCode, " ", reply.body); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s%.100s: got %.300s, want %s", c.host, c.path, got, c.want)
		}
	}

	// The link to a file leads to the release in the channel.
	_, after, _ := strings.Cut(s.get(t, "GET", "/p/tool@next/repos/me/tool/releases/latest").body, `"browser_download_url":"https://releases.example.com:8443/app`)
	link, _, _ := strings.Cut(after, `"`)
	r, _ := http.NewRequest("HEAD", "http://"+s.Listener.Addr().String()+link, nil)
	got, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || got.StatusCode != http.StatusFound || got.Header.Get("Location") != "https://e.com/get/tool_linux_amd64?sig=1" {
		t.Errorf("link %q: got %v, %v, want a redirect to the file", link, got, err)
	}
}
