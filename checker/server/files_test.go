package server_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/fetch"
	"relcheck/checker/mirror"
	"relcheck/checker/server"
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
	if s.files, err = mirror.Create(s.folder, "store"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.files.Close() })
	o := server.Options{Files: s.files}
	if onDemand {
		o.Fetcher = &mirror.Fetcher{Folder: s.files, Client: fetch.NewClient(), Tries: 1}
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
	c, err := s.files.Add(t.Context(), strings.NewReader(content), catalog.File{})
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
		"/files/app/v1/a.zip/a.zip", "/files/app//a.zip", "/files/app/V1/a.zip", "/files/app/v1/A.zip",
		"/files/app/v1/..%2f..%2fsecret", "/files/app/v1/%2e%2e/%2e%2e/secret", "/files/app/v1/..%5c..%5csecret", `/files/app/v1/..\..\secret`, "/files/app/v1/%00", "/files/app/v1/a.zip%00",
		"/files/app/v1/a.zip%00.sha256", "/files/app/v1%00/a.zip", "/files/app/v1%2fa.zip", "/files/app%2fv1/a.zip", "/files/app%2f..%2fapp/v1/a.zip", "/files/%2e%2e/v1/a.zip", "/files/app/v1/%252e%252e",
		"/files/app/v1/a.zip::$DATA", "/files/app/v1/a.zip%20", "/files/app/v1/a.zip.", "/files/app/v1/" + sum, "/files/sha256/" + sum[:2] + "/" + sum,
		"/files/app/v1/" + strings.Repeat("a", 5000), "/files/app/v1/.sha256", "/files/app/v1/%ff%fe", "/files/later/v1/a.zip", "/files/later/v1/a.zip.sha256",
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
