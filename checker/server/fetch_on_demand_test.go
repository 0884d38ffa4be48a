package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// origin is an upstream server of files.
type origin struct {
	*httptest.Server
	requests atomic.Int64
	respond  func(w http.ResponseWriter, r *http.Request)
}

func newOrigin(t *testing.T, respond func(w http.ResponseWriter, r *http.Request)) *origin {
	o := &origin{respond: respond}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.requests.Add(1)
		o.respond(w, r)
	}))
	t.Cleanup(o.Close)
	return o
}

// settings are those of a product that has the server as an upstream, although its address is
// private.
func (o *origin) settings() string { return `{"upstreams":["relcheck:` + o.URL + `/p/app"]}` }

// TestFetchOnDemand requests a file that is not hosted with many clients at the same time.
func TestFetchOnDemand(t *testing.T) {
	s := newFileService(t, true)
	content := strings.Repeat("fetched ", 20_000)
	begin := make(chan struct{})
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		<-begin
		fmt.Fprint(w, content)
	})
	app := s.newProduct(t, "app", o.settings())
	app.want("201", "PUT", "v1", fmt.Sprintf(`{"files":[{"name":"app_linux_amd64.zip","url":"%s/a.zip","sha256":"%s"}]}`, o.URL, sumOf(content)))
	if got, _, all := s.links(t, "app"); got != "http://relcheck.example.com/files/app/v1/app_linux_amd64.zip" || len(outside(all)) != 0 {
		t.Errorf("before the fetch: got download %q and links outside %q, want none", got, outside(all))
	}
	var clients sync.WaitGroup
	for i := range 50 {
		clients.Go(func() {
			path, body := "/files/app/v1/app_linux_amd64.zip", content
			if i%10 == 0 {
				path, body = path+".sha256", sumOf(content)+"  app_linux_amd64.zip\n"
			}
			if got := s.get(t, "GET", path); got.StatusCode != 200 || got.body != body {
				t.Errorf("GET %s: got status %d and %.80q, want 200 and the file", path, got.StatusCode, got.body)
			}
		})
	}
	time.Sleep(50 * time.Millisecond) // most clients wait now; the result does not depend on it
	close(begin)
	clients.Wait()
	if got := o.requests.Load(); got != 1 {
		t.Errorf("got %d requests for the file upstream, want 1", got)
	}
	s.load(t)
	for f, err := range s.store.HostedFiles(t.Context()) {
		if err != nil || f.Name != "app_linux_amd64.zip" || !f.Verified || f.SHA256 != sumOf(content) {
			t.Errorf("got hosted file %+v (error %v), want the verified file", f, err)
		}
	}
}

// TestFetchOnDemandFails checks what a client gets if a file cannot be fetched.
func TestFetchOnDemandFails(t *testing.T) {
	for name, c := range map[string]struct {
		respond func(w http.ResponseWriter, r *http.Request)
		file    string // its fields other than the URL
		want    string
	}{
		"missing": {func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, `,"sha256":"` + sumOf("a") + `"`, "upstream does not have the file"},
		"broken":  {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) }, `,"sha256":"` + sumOf("a") + `"`, "could not be fetched"},
		"other":   {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "b") }, `,"sha256":"` + sumOf("a") + `"`, "not the expected one"},
		"truncated": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "9")
			fmt.Fprint(w, "b")
		}, `,"sha256":"` + sumOf("a") + `"`, "could not be fetched"},
		"other size":       {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "a") }, `,"size":5,"sha256":"` + sumOf("a") + `"`, "not the expected one"},
		"private":          {nil, `,"sha256":"` + sumOf("a") + `"`, "could not be fetched"},
		"private, no sums": {nil, "", "could not be fetched"},
		"private redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		}, `,"sha256":"` + sumOf("a") + `"`, "could not be fetched"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newFileService(t, true)
			o := newOrigin(t, c.respond)
			settings, want := o.settings(), int64(1)
			if c.respond == nil {
				settings, want = "", 0
			}
			s.newProduct(t, "app", settings).want("201", "PUT", "v1", fmt.Sprintf(`{"files":[{"name":"a.zip","url":"%s/a.zip"%s}]}`, o.URL, c.file))
			for range 3 {
				got := s.get(t, "GET", "/files/app/v1/a.zip")
				if got.StatusCode != 502 || !strings.Contains(got.body, c.want) || strings.Contains(got.body, o.Listener.Addr().String()) || strings.Contains(got.body, s.folder) {
					t.Errorf("got status %d and %s, want 502 and %q", got.StatusCode, got.body, c.want)
				}
			}
			if got := o.requests.Load(); got != want && name != "truncated" { // a truncated download continues
				t.Errorf("got %d requests upstream, want %d", got, want)
			}
			if n := len(foundFiles(t, s)); n != 0 {
				t.Errorf("got %d files in the store, want none", n)
			}
		})
	}
}

// TestFetchOnDemandVerifies fetches files whose checksums are only in checksum files.
func TestFetchOnDemandVerifies(t *testing.T) {
	s := newFileService(t, true)
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/SHA256SUMS":
			fmt.Fprintf(w, "%s  right.zip\n%s  wrong.zip\n", sumOf("content"), sumOf("another"))
		case "/beside.zip.sha256":
			fmt.Fprintln(w, sumOf("content"))
		case "/right.zip", "/wrong.zip", "/beside.zip", "/none.zip":
			fmt.Fprint(w, "content")
		default:
			http.NotFound(w, r)
		}
	})
	app, files := s.newProduct(t, "app", o.settings()), ""
	for _, name := range []string{"SHA256SUMS", "right.zip", "wrong.zip", "beside.zip", "none.zip"} {
		files += fmt.Sprintf(`,{"name":"%s","url":"%s/%[1]s"}`, name, o.URL)
	}
	app.want("201", "PUT", "v1", `{"files":[`+files[1:]+`]}`)
	for name, want := range map[string]int{"right.zip": 200, "wrong.zip": 502, "beside.zip": 200, "none.zip": 200} {
		if got := s.get(t, "GET", "/files/app/v1/"+name); got.StatusCode != want {
			t.Errorf("GET %s: got status %d and %s, want %d", name, got.StatusCode, got.body, want)
		}
	}
	for f, err := range s.store.HostedFiles(t.Context()) {
		if err != nil || f.Name == "wrong.zip" || f.Verified != (f.Name != "none.zip") {
			t.Errorf("got hosted file %+v (error %v), want all but one verified", f, err)
		}
	}
}

func foundFiles(t *testing.T, s *fileService) (names []string) {
	t.Helper()
	for f, err := range s.store.HostedFiles(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, f.Name)
	}
	return names
}

// TestFetchChanged requests a hosted file that upstream has changed under the same name. It
// is neither served nor replaced.
func TestFetchChanged(t *testing.T) {
	s := newFileService(t, true)
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "changed") })
	app := s.newProduct(t, "app", "")
	app.want("201", "PUT", "v1", fmt.Sprintf(`{"files":[{"name":"a.zip","url":"%s/a.zip"}]}`, o.URL))
	s.host(t, "app", "v1", "a.zip", "hosted", true)
	app.want("200", "PUT", "v1", `{"files":[{"name":"a.zip","sha256":"`+sumOf("changed")+`"}]}`)
	got := s.get(t, "GET", "/files/app/v1/a.zip")
	if got.StatusCode != 404 || !strings.Contains(got.body, "file_changed") || o.requests.Load() != 0 {
		t.Errorf("got status %d, %.200q and %d requests upstream, want 404, file_changed and none", got.StatusCode, got.body, o.requests.Load())
	}
}

// TestFetchUnverified fetches a file without a checksum from the host of an upstream.
func TestFetchUnverified(t *testing.T) {
	s := newFileService(t, true)
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "from "+r.URL.Path) })
	s.newProduct(t, "app", `{"upstreams":["relcheck:`+o.URL+`/p/app"],"download":"`+o.URL+`/d/{tag}/app_{os}_{arch}"}`).publish("v1")
	if got, _, _ := s.links(t, "app"); got != "http://relcheck.example.com/files/app/v1/app_linux_amd64" {
		t.Errorf("got download %q, want one here", got)
	}
	for range 2 {
		if got := s.get(t, "GET", "/files/app/v1/app_linux_amd64"); got.StatusCode != 200 || got.body != "from /d/v1/app_linux_amd64" {
			t.Errorf("got status %d and %q, want the file", got.StatusCode, got.body)
		}
	}
	if got := o.requests.Load(); got != 2 {
		t.Errorf("got %d requests upstream, want 2: for a checksum, and for the file", got)
	}
	if got := s.get(t, "GET", "/files/app/v1/app_none_amd64", "Accept", "text/html"); got.StatusCode != 404 || !strings.Contains(got.body, "<html") {
		t.Errorf("file for no platform: got status %d and %s, want 404 and a page", got.StatusCode, got.body)
	}
	for f := range s.store.HostedFiles(t.Context()) {
		if f.Verified {
			t.Error("got a verified file, want an unverified one")
		}
	}
}

// TestFetchAbandoned checks that a fetch continues after its client has disconnected.
func TestFetchAbandoned(t *testing.T) {
	s := newFileService(t, true)
	begun, begin := make(chan struct{}), make(chan struct{})
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		<-begin
		fmt.Fprint(w, "a")
	})
	s.newProduct(t, "app", o.settings()).want("201", "PUT", "v1", fmt.Sprintf(`{"files":[{"name":"a.zip","url":"%s/a.zip","sha256":"%s"}]}`, o.URL, sumOf("a")))
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-begun; cancel() }()
	r, _ := http.NewRequestWithContext(ctx, "GET", s.URL+"/files/app/v1/a.zip", nil)
	if res, err := http.DefaultClient.Do(r); err == nil {
		t.Errorf("got status %d, want an error", res.StatusCode)
	}
	close(begin)
	if got := s.get(t, "GET", "/files/app/v1/a.zip"); got.body != "a" || o.requests.Load() != 1 {
		t.Errorf("got %q after %d requests upstream, want the file after 1", got.body, o.requests.Load())
	}
}
