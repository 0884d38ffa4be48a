package server_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/mirror"
	"relcheck/checker/server"
	"relcheck/checker/server/inbound"
)

// fileService is a service with a folder of files.
type fileService struct {
	*service
	folder string
	files  *mirror.Folder
}

func newFileService(t *testing.T, onDemand bool) *fileService {
	t.Helper()
	s := &fileService{folder: filepath.Join(t.TempDir(), "files")}
	var err error
	if s.files, err = mirror.Open(s.folder); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.files.Close() })
	o := server.Options{Files: s.files}
	if onDemand {
		o.Fetcher = &mirror.Fetcher{Folder: s.files, Client: http.DefaultClient, Tries: 1}
	}
	s.service = newServiceWith(t, serviceOptions{Options: o})
	return s
}

func sumOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// pathOf returns the path of content in the folder.
func (s *fileService) pathOf(content string) string {
	sum := sumOf(content)
	return filepath.Join(s.folder, "sha256", sum[:2], sum)
}

// host adds a file of a release to the folder and to the store.
func (s *fileService) host(t testing.TB, product, tag, name, content string, verified bool) {
	t.Helper()
	c, err := s.files.Add(t.Context(), strings.NewReader(content), mirror.Digests{})
	if err == nil {
		err = s.store.HostFile(t.Context(), product, tag, catalog.HostedFile{Name: name, SHA256: c.SHA256, Size: c.Size, Verified: verified, Fetched: time.Unix(1_800_000_000, 0)})
	}
	if err != nil {
		t.Fatal(err)
	}
	s.load(t)
}

// load makes the server notice all changes of the catalog, and of the folder.
func (s *service) load(t testing.TB) {
	t.Helper()
	for range 2 {
		if err := s.handler.SetClock(t.Context(), time.Now); err != nil {
			t.Fatal(err)
		}
	}
}

// get requests a path, with header fields.
func (s *service) get(t testing.TB, method, path string, headers ...string) reply {
	t.Helper()
	r, err := http.NewRequest(method, "http://"+s.Listener.Addr().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "identity")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return s.send(t, r)
}

// TestServeFile requests files as download tools do.
func TestServeFile(t *testing.T) {
	s := newFileService(t, false)
	content := strings.Repeat("0123456789", 20_000) // more than is sent at a time
	app := s.newProduct(t, "app", "")
	app.publish("v1.0.0")
	app.publish("cli/v2")
	s.host(t, "app", "v1.0.0", "app linux.tar.gz", content, true)
	s.host(t, "app", "cli/v2", "app.exe", "second", true)
	path, etag := "/files/app/v1.0.0/app%20linux.tar.gz", `"`+sumOf(content)+`"`
	for _, c := range []struct {
		name, method, path string
		headers            []string
		status             int
		body               string
		want               []string // headers
	}{
		{"all", "GET", path, nil, 200, content, []string{"Content-Length", "200000", "Etag", etag, "Content-Type", "application/gzip", "Accept-Ranges", "bytes",
			"Content-Disposition", `attachment; filename="app linux.tar.gz"`, "Cache-Control", "public, max-age=31536000, immutable", "Last-Modified", "Fri, 15 Jan 2027 08:00:00 GMT",
			"X-Content-Type-Options", "nosniff", "Content-Security-Policy", "default-src 'none'; sandbox"}},
		{"head", "HEAD", path, nil, 200, "", []string{"Content-Length", "200000", "Etag", etag}},
		{"tag with a slash", "GET", "/files/app/cli/v2/app.exe", nil, 200, "second", []string{"Content-Length", "6"}},
		{"tag with an escaped slash", "GET", "/files/app/cli%2Fv2/app.exe", nil, 200, "second", nil},
		{"first part", "GET", path, []string{"Range", "bytes=0-9"}, 206, content[:10], []string{"Content-Range", "bytes 0-9/200000"}},
		{"resumed", "GET", path, []string{"Range", "bytes=70001-", "If-Range", etag}, 206, content[70001:], []string{"Content-Length", "129999"}},
		{"resumed at another version", "GET", path, []string{"Range", "bytes=70001-", "If-Range", `"other"`}, 200, content, nil},
		{"last part", "GET", path, []string{"Range", "bytes=-5"}, 206, content[199_995:], nil},
		{"last byte", "GET", path, []string{"Range", "bytes=199999-"}, 206, "9", nil},
		{"after the end", "GET", path, []string{"Range", "bytes=200000-"}, 416, "", []string{"Content-Range", "bytes */200000"}},
		{"not a range", "GET", path, []string{"Range", "bytes=a-b"}, 416, "", nil},
		{"unchanged", "GET", path, []string{"If-None-Match", etag}, 304, "", []string{"Etag", etag}},
		{"unchanged since", "GET", path, []string{"If-Modified-Since", "Fri, 15 Jan 2027 08:00:00 GMT"}, 304, "", nil},
		{"changed", "GET", path, []string{"If-None-Match", `"other"`}, 200, content, nil},
		{"must match", "GET", path, []string{"If-Match", `"other"`}, 412, "", nil},
		{"checksum", "GET", path + ".sha256", nil, 200, sumOf(content) + "  app linux.tar.gz\n", []string{"Content-Type", "text/plain; charset=utf-8"}},
		{"checksum, head", "HEAD", path + ".sha256", nil, 200, "", []string{"Content-Length", "83"}},
		{"checksum of a checksum", "GET", path + ".sha256.sha256", nil, 404, "", nil},
		{"other method", "POST", path, nil, 405, "", []string{"Allow", "GET, HEAD"}},
	} {
		got := s.get(t, c.method, c.path, c.headers...)
		if got.StatusCode != c.status || (c.status < 300 || c.body != "") && got.body != c.body {
			t.Errorf("%s: got status %d and %d bytes %.60q, want %d and %d bytes", c.name, got.StatusCode, len(got.body), got.body, c.status, len(c.body))
		}
		for i := 0; i < len(c.want); i += 2 {
			if value := got.Header.Get(c.want[i]); value != c.want[i+1] {
				t.Errorf("%s: got %s %q, want %q", c.name, c.want[i], value, c.want[i+1])
			}
		}
	}
	got := s.get(t, "GET", path, "Range", "bytes=0-1,100000-100002")
	_, params, _ := mime.ParseMediaType(got.Header.Get("Content-Type"))
	parts := ""
	for r := multipart.NewReader(strings.NewReader(got.body), params["boundary"]); ; {
		part, err := r.NextPart()
		if err != nil {
			break
		}
		text, _ := io.ReadAll(part)
		parts += part.Header.Get("Content-Range") + "=" + string(text) + ";"
	}
	if want := "bytes 0-1/200000=01;bytes 100000-100002/200000=012;"; parts != want {
		t.Errorf("two ranges: got status %d and parts %q, want %q", got.StatusCode, parts, want)
	}
}

// TestFileTypes checks the media types of files. A browser must run none of them.
func TestFileTypes(t *testing.T) {
	s := newFileService(t, false)
	s.newProduct(t, "app", "").want("201", "PUT", "v1", `{"files":[{"name":"given","url":"https://e.com/given","media_type":"application/x-test"},
		{"name":"page","url":"https://e.com/page","media_type":"text/html"},{"name":"script","url":"https://e.com/script","media_type":"application/javascript; charset=utf-8"},
		{"name":"picture","url":"https://e.com/picture","media_type":"image/svg+xml"}]}`)
	for name, want := range map[string]string{
		"given": "application/x-test", "page": "application/octet-stream", "script": "application/octet-stream", "picture": "application/octet-stream",
		"a.html": "application/octet-stream", "a.svg": "application/octet-stream", "a.js": "application/octet-stream", "a.wasm": "application/octet-stream",
		"a.pdf": "application/octet-stream", "a.tar.gz": "application/gzip", "a.TXT": "text/plain; charset=utf-8", "a": "application/octet-stream", "ü \"x\".zip": "application/zip",
	} {
		s.host(t, "app", "v1", name, "content of "+name, true)
		got := s.get(t, "GET", "/files/app/v1/"+strings.NewReplacer(" ", "%20", `"`, "%22").Replace(name))
		disposition, params, err := mime.ParseMediaType(got.Header.Get("Content-Disposition"))
		if got.StatusCode != 200 || got.Header.Get("Content-Type") != want || disposition != "attachment" || params["filename"] != name || err != nil {
			t.Errorf("%s: got status %d, type %q and %q, want type %q and its name", name, got.StatusCode, got.Header.Get("Content-Type"), got.Header.Get("Content-Disposition"), want)
		}
	}
}

// TestHostilePaths requests paths outside of the files of a release.
func TestHostilePaths(t *testing.T) {
	s := newFileService(t, false)
	s.newProduct(t, "app", "").publish("v1")
	s.host(t, "app", "v1", "a.zip", "inside", true)
	s.newProduct(t, "later", "").want("201", "PUT", "v1", `{"date":"2199-01-01"}`)
	s.host(t, "later", "v1", "a.zip", "not yet", true)
	if err := os.WriteFile(filepath.Join(s.folder, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sumOf("inside")
	for _, path := range []string{
		"/files", "/files/", "/files/app", "/files/app/", "/files/app/v1", "/files/app/v1/", "/files/app/v1/b.zip", "/files/other/v1/a.zip", "/files/app/v2/a.zip",
		"/files/app/v1/a.zip/", "/files/app/v1/a.zip/a.zip", "/files/app//a.zip", "/files/app/V1/a.zip", "/files/app/v1/A.zip",
		"/files/app/v1/..%2f..%2fsecret", "/files/app/v1/%2e%2e/%2e%2e/secret", "/files/app/v1/..%5c..%5csecret", `/files/app/v1/..\..\secret`, "/files/app/v1/%00", "/files/app/v1/a.zip%00",
		"/files/app/v1/a.zip%00.sha256", "/files/app/v1%00/a.zip", "/files/app/v1%2fa.zip", "/files/app%2fv1/a.zip", "/files/app%2f..%2fapp/v1/a.zip", "/files/%2e%2e/v1/a.zip", "/files/app/v1/%252e%252e",
		"/files/app/v1/a.zip::$DATA", "/files/app/v1/a.zip%20", "/files/app/v1/a.zip.", "/files/app/v1/" + sum, "/files/sha256/" + sum[:2] + "/" + sum,
		"/files/app/v1/" + strings.Repeat("a", 5000), "/files/app/v1/.sha256", "/files/app/v1/%ff%fe", "/files/later/v1/a.zip", "/files/later/v1/a.zip.sha256",
		"/downloads/v1/a.zip", "/downloads/..%2fapp/v1/a.zip", "/downloads/",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		if err := setPath(r, path); err != nil {
			t.Fatal(err)
		}
		got := s.send(t, r)
		if got.StatusCode != 404 || !strings.Contains(got.body, `"error"`) {
			t.Errorf("GET %.100s: got status %d and %.100q, want 404 and an error", path, got.StatusCode, got.body)
		}
	}
}

// setPath sets the path of a request as it is.
func setPath(r *http.Request, path string) error {
	r.URL.Opaque = "//" + r.Host + path
	return nil
}

// links returns the links of all answers about the latest release of a product.
func (s *fileService) links(t *testing.T, product string) (download, notes string, all []string) {
	t.Helper()
	got := (&publisher{s.service, t, product, ""}).report("", "v0.0.1", "User-Agent", "App/0.0.1 (linux, amd64)")
	all = append(all, got.Download, got.ReleaseNotes)
	var github struct {
		HTMLURL string `json:"html_url"`
		Assets  []struct {
			URL string `json:"browser_download_url"`
		}
	}
	if err := json.Unmarshal([]byte(s.get(t, "GET", "/p/"+product+"/repos/a/b/releases/latest").body), &github); err != nil {
		t.Fatal(err)
	}
	all = append(all, github.HTMLURL)
	for _, a := range github.Assets {
		all = append(all, a.URL)
	}
	_, token := s.token(t)
	for _, path := range []string{"/releases", "/releases/" + got.LatestRelease} {
		var details struct {
			Releases []releaseDetails
			releaseDetails
		}
		body := s.get(t, "GET", "/api/v1/products/"+product+path, "Authorization", "Bearer "+token).body
		if err := json.Unmarshal([]byte(body), &details); err != nil {
			t.Fatal(err)
		}
		for _, d := range append(details.Releases, details.releaseDetails) {
			for _, link := range d.Assets {
				all = append(all, link)
			}
			for _, f := range d.Files {
				all = append(all, f.URL)
			}
		}
	}
	return got.Download, got.ReleaseNotes, all
}

// outside returns the links to other servers.
func outside(links []string) (found []string) {
	for _, link := range links {
		if link != "" && !strings.HasPrefix(link, "http://relcheck.example.com/") {
			found = append(found, link)
		}
	}
	return found
}

// TestLinksToHostedFiles checks the links of answers while files are hosted, change and are
// damaged.
func TestLinksToHostedFiles(t *testing.T) {
	s := newFileService(t, false)
	app := s.newProduct(t, "app", `{"notes":"https://e.com/notes/{tag}"}`)
	want := func(when, download, notes string, links int) {
		t.Helper()
		gotDownload, gotNotes, all := s.links(t, "app")
		if gotDownload != download || gotNotes != notes || len(outside(all)) != links {
			t.Errorf("%s: got download %q, notes %q and links outside %q; want %q, %q and %d", when, gotDownload, gotNotes, outside(all), download, notes, links)
		}
	}
	here := "http://relcheck.example.com/files/app/v1.0.0/app_linux_amd64.tar.gz"
	app.want("201", "PUT", "v1.0.0", `{"files":[{"name":"app_linux_amd64.tar.gz","url":"https://e.com/l"},{"name":"app_windows_amd64.zip","url":"https://e.com/w"}]}`)
	want("nothing hosted", "https://e.com/l", "https://e.com/notes/v1.0.0", 13)
	s.host(t, "app", "v1.0.0", "app_linux_amd64.tar.gz", "linux", true)
	want("one file hosted", here, "https://e.com/notes/v1.0.0", 7)
	s.host(t, "app", "v1.0.0", "app_windows_amd64.zip", "windows", false)
	want("both hosted", here, "https://e.com/notes/v1.0.0", 2)
	app.want("200", "PUT", "", `{"notes_here":true}`)
	want("notes here", here, "http://relcheck.example.com/products/app/releases/v1.0.0", 0)
	app.want("200", "PUT", "", `{"upstream_links":true}`)
	want("upstream links", "https://e.com/l", "http://relcheck.example.com/products/app/releases/v1.0.0", 11)
	app.want("200", "PUT", "", `{"upstream_links":false}`)
	want("hosted again", here, "http://relcheck.example.com/products/app/releases/v1.0.0", 0)
	app.want("200", "PUT", "v1.0.0", `{"files":[{"name":"app_linux_amd64.tar.gz","sha256":"`+sumOf("another")+`"}]}`)
	want("changed upstream", "https://e.com/l", "http://relcheck.example.com/products/app/releases/v1.0.0", 6)
	if got := s.get(t, "GET", "/files/app/v1.0.0/app_linux_amd64.tar.gz"); got.StatusCode != 404 || !strings.Contains(got.body, "file_changed") {
		t.Errorf("file that upstream has changed: got status %d and %s, want 404 and file_changed", got.StatusCode, got.body)
	}
	app.want("200", "PUT", "v1.0.0", `{"files":[{"name":"app_linux_amd64.tar.gz","sha256":"`+sumOf("linux")+`"}]}`)
	want("changed back", here, "http://relcheck.example.com/products/app/releases/v1.0.0", 0)
	if err := s.store.MarkDamaged(t.Context(), sumOf("linux"), time.Now()); err != nil {
		t.Fatal(err)
	}
	s.load(t)
	want("damaged", "https://e.com/l", "http://relcheck.example.com/products/app/releases/v1.0.0", 6)
	if got := s.get(t, "GET", "/files/app/v1.0.0/app_linux_amd64.tar.gz"); got.StatusCode != 503 || !strings.Contains(got.body, "file_damaged") {
		t.Errorf("damaged file: got status %d and %s, want 503 and file_damaged", got.StatusCode, got.body)
	}
	if err := os.Remove(s.pathOf("windows")); err != nil {
		t.Fatal(err)
	}
	if got := s.get(t, "GET", "/files/app/v1.0.0/app_windows_amd64.zip"); got.StatusCode != 503 || !strings.Contains(got.body, "file_missing") {
		t.Errorf("missing file: got status %d and %s, want 503 and file_missing", got.StatusCode, got.body)
	}
	s.load(t)
	want("missing", "https://e.com/l", "http://relcheck.example.com/products/app/releases/v1.0.0", 11)
	s.host(t, "app", "v1.0.0", "app_windows_amd64.zip", "windows", true)
	s.host(t, "app", "v1.0.0", "app_linux_amd64.tar.gz", "linux", true)
	want("fetched again", here, "http://relcheck.example.com/products/app/releases/v1.0.0", 0)
}

// TestLinksByTemplate hosts files of a product whose releases have no lists of files.
func TestLinksByTemplate(t *testing.T) {
	s := newFileService(t, false)
	app := s.newProduct(t, "app", `{"download":"https://e.com/downloads/{tag}/app_{os}_{arch}{windows:.exe}"}`)
	app.publish("v1.0.0")
	want := func(when, download string) {
		t.Helper()
		if got, _, _ := s.links(t, "app"); got != download {
			t.Errorf("%s: got download %q, want %q", when, got, download)
		}
	}
	want("nothing hosted", "https://e.com/downloads/v1.0.0/app_linux_amd64")
	s.host(t, "app", "v1.0.0", "app_linux_amd64_musl", "musl", true)
	want("another build hosted", "http://relcheck.example.com/files/app/v1.0.0/app_linux_amd64_musl")
	s.host(t, "app", "v1.0.0", "app_linux_amd64", "linux", true)
	want("hosted", "http://relcheck.example.com/files/app/v1.0.0/app_linux_amd64")
	if got := app.report("", "v0.1.0", "User-Agent", "App/0.1.0 (windows, amd64)").Download; got != "https://e.com/downloads/v1.0.0/app_windows_amd64.exe" {
		t.Errorf("platform that is not hosted: got download %q, want that of the template", got)
	}
	app.want("200", "PUT", "", `{"upstream_links":true}`)
	want("upstream links", "https://e.com/downloads/v1.0.0/app_linux_amd64")
	app.want("200", "PUT", "", `{"upstream_links":false,"download":""}`)
	want("no template", "http://relcheck.example.com/files/app/v1.0.0/app_linux_amd64")
}

// TestFileChangesOnDisk changes a served file on disk in several ways. The file must not be
// served until it is stored again.
func TestFileChangesOnDisk(t *testing.T) {
	content := strings.Repeat("content ", 30_000)
	for name, change := range map[string]func(path string) error{
		"a byte": func(path string) error {
			return os.WriteFile(path, []byte("C"+content[1:]), 0o644)
		},
		"a byte, same time": func(path string) error {
			info, err := os.Stat(path)
			if err == nil {
				err = os.WriteFile(path+"x", []byte("C"+content[1:]), 0o644)
			}
			return cmp.Or(err, os.Chtimes(path+"x", info.ModTime(), info.ModTime()), os.Rename(path+"x", path))
		},
		"truncated": func(path string) error { return os.Truncate(path, 1000) },
		"empty":     func(path string) error { return os.Truncate(path, 0) },
		"longer":    func(path string) error { return os.WriteFile(path, []byte(content+"x"), 0o644) },
		"removed":   os.Remove,
		"a folder":  func(path string) error { return cmp.Or(os.Remove(path), os.Mkdir(path, 0o755)) },
		"a link":    func(path string) error { return cmp.Or(os.Remove(path), os.Symlink("/etc/hostname", path)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newFileService(t, false)
			s.newProduct(t, "app", "").want("201", "PUT", "v1", `{"assets":{"linux/amd64":"https://e.com/a.zip"}}`)
			s.host(t, "app", "v1", "a.zip", content, true)
			if got := s.get(t, "GET", "/files/app/v1/a.zip"); got.body != content {
				t.Fatalf("before the change: got %d bytes, want %d", len(got.body), len(content))
			}
			if err := change(s.pathOf(content)); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if got := s.get(t, "GET", "/files/app/v1/a.zip"); got.StatusCode != 503 || strings.Contains(got.body, "content c") {
					t.Errorf("after the change: got status %d and %.60q, want 503", got.StatusCode, got.body)
				}
			}
			s.load(t)
			if got, _, _ := s.links(t, "app"); got != "https://e.com/a.zip" {
				t.Errorf("after the change: got download %q, want upstream's", got)
			}
			if name == "a folder" {
				os.Remove(s.pathOf(content))
			}
			s.host(t, "app", "v1", "a.zip", content, true)
			if got := s.get(t, "GET", "/files/app/v1/a.zip"); got.body != content {
				t.Errorf("stored again: got status %d and %d bytes, want %d", got.StatusCode, len(got.body), len(content))
			}
		})
	}
}

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

// TestFetchOnDemand requests a file that is not hosted with many clients at the same time.
func TestFetchOnDemand(t *testing.T) {
	s := newFileService(t, true)
	content := strings.Repeat("fetched ", 20_000)
	begin := make(chan struct{})
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		<-begin
		fmt.Fprint(w, content)
	})
	app := s.newProduct(t, "app", "")
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
		"missing": {func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, `,"sha256":"` + sumOf("a") + `"`, "status 404"},
		"broken":  {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) }, `,"sha256":"` + sumOf("a") + `"`, "status 500"},
		"other":   {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "b") }, `,"sha256":"` + sumOf("a") + `"`, "not the expected content"},
		"truncated": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "9")
			fmt.Fprint(w, "b")
		}, `,"sha256":"` + sumOf("a") + `"`, "EOF"},
		"other size":  {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "a") }, `,"size":5,"sha256":"` + sumOf("a") + `"`, "want 5"},
		"no checksum": {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "internal") }, "", "without a checksum"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newFileService(t, true)
			o := newOrigin(t, c.respond)
			s.newProduct(t, "app", "").want("201", "PUT", "v1", fmt.Sprintf(`{"files":[{"name":"a.zip","url":"%s/a.zip"%s}]}`, o.URL, c.file))
			for range 3 {
				got := s.get(t, "GET", "/files/app/v1/a.zip")
				if got.StatusCode != 502 || !strings.Contains(got.body, c.want) || strings.Contains(got.body, o.URL) {
					t.Errorf("got status %d and %s, want 502 and %q", got.StatusCode, got.body, c.want)
				}
			}
			if got, want := o.requests.Load(), int64(min(len(c.file), 1)); got != want && name != "truncated" { // a truncated download continues
				t.Errorf("got %d requests upstream, want %d", got, want)
			}
			if n := len(foundFiles(t, s)); n != 0 {
				t.Errorf("got %d files in the store, want none", n)
			}
		})
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
	if got := o.requests.Load(); got != 1 {
		t.Errorf("got %d requests upstream, want 1", got)
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
	s.newProduct(t, "app", "").want("201", "PUT", "v1", fmt.Sprintf(`{"files":[{"name":"a.zip","url":"%s/a.zip","sha256":"%s"}]}`, o.URL, sumOf("a")))
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

// countingListener counts the bytes that the kernel may send from files.
type countingListener struct {
	net.Listener
	bytes atomic.Int64
}

type countingConn struct {
	*net.TCPConn
	bytes *atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return countingConn{c.(*net.TCPConn), &l.bytes}, nil
}

func (c countingConn) ReadFrom(r io.Reader) (int64, error) {
	n, err := c.TCPConn.ReadFrom(r)
	if limited, ok := r.(*io.LimitedReader); ok {
		if _, ok := limited.R.(*os.File); ok {
			c.bytes.Add(n)
		}
	}
	return n, err
}

// TestFilesAreSentByKernel checks that all wrappers of responses and connections pass a
// file on to the TCP connection. Otherwise its content would be copied.
func TestFilesAreSentByKernel(t *testing.T) {
	s := newFileService(t, false)
	content := strings.Repeat("x", 10<<20)
	s.newProduct(t, "app", "").publish("v1")
	s.host(t, "app", "v1", "a.zip", content, true)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &countingListener{Listener: tcp}
	web := &http.Server{Handler: inbound.CloseAmbiguous(s.handler.Handler())}
	go web.Serve(inbound.LimitListener(l, 100, web))
	defer web.Close()
	res, err := http.Get("http://" + tcp.Addr().String() + "/files/app/v1/a.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || string(body) != content {
		t.Errorf("got %d bytes (error %v), want %d", len(body), err, len(content))
	}
	if got := l.bytes.Load(); got < int64(len(content))*9/10 {
		t.Errorf("got %d bytes from a file, want nearly all of %d", got, len(content))
	}
}
