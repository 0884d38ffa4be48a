package upstream

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"relcheck/checker/catalog"
	"relcheck/checker/version"
)

func TestParseTokens(t *testing.T) {
	tokens, err := ParseTokens("# tokens\n\nghp_1\r\nGHE.example.com ghp_2\nrelcheck.example.com:8443 rt_3\n")
	want := Tokens{"api.github.com": "ghp_1", "ghe.example.com": "ghp_2", "relcheck.example.com:8443": "rt_3"}
	if err != nil || !maps.Equal(tokens, want) {
		t.Errorf("got %v (error %v), want %v", tokens, err, want)
	}
	for address, want := range map[string]string{"https://api.github.com/repos/a/b": "ghp_1", "https://GHE.example.com/api/v3": "ghp_2",
		"https://relcheck.example.com:8443/p/x": "rt_3", "https://relcheck.example.com/p/x": "", "https://evil.example.com": "", "https://sub.api.github.com": ""} {
		if got := tokens.of(address); got != want {
			t.Errorf("token for %s: got %q, want %q", address, got, want)
		}
	}
	for _, text := range []string{"a secret-token x", "https://example.com secret-token", "secret\x00token", "host secret-token\nhost secret-token2", "a b c d"} {
		if _, err := ParseTokens(text); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got error %v, want one without the token", text, err)
		}
	}
	if with, err := tokens.With("ghp_9"); err != nil || with["api.github.com"] != "ghp_1" {
		t.Errorf("got %v (error %v), want that the file takes precedence", with, err)
	}
	if with, err := (Tokens)(nil).With(" ghp_9\n"); err != nil || with["api.github.com"] != "ghp_9" {
		t.Errorf("got %v (error %v), want ghp_9", with, err)
	}
	if _, err := (Tokens)(nil).With("two secrets"); err == nil || strings.Contains(err.Error(), "secrets") {
		t.Errorf("got error %v, want one without the token", err)
	}
}

// checksumServer serves a list of releases and their checksum files.
type checksumServer struct {
	*httptest.Server
	mu       sync.Mutex
	list     string
	files    map[string]string
	failing  bool
	requests []string
}

func newChecksumServer(t *testing.T) *checksumServer {
	s := &checksumServer{files: map[string]string{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if strings.HasSuffix(r.URL.Path, "/releases") {
			w.Header().Set("ETag", fmt.Sprintf(`"%d"`, len(s.list)))
			if r.Header.Get("If-None-Match") == w.Header().Get("ETag") {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			fmt.Fprint(w, s.list)
			return
		}
		s.requests = append(s.requests, r.URL.Path)
		text, ok := s.files[strings.TrimPrefix(r.URL.Path, "/")]
		switch {
		case r.Header.Get("Authorization") != "":
			t.Errorf("%s: got a token", r.URL.Path)
		case s.failing:
			w.WriteHeader(http.StatusBadGateway)
		case !ok:
			w.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprint(w, text)
	}))
	t.Cleanup(s.Close)
	return s
}

// release returns a release with files. A name may be followed by a digest.
func (s *checksumServer) release(tag string, names ...string) string {
	var assets []string
	for _, name := range names {
		name, digest, _ := strings.Cut(name, " ")
		assets = append(assets, fmt.Sprintf(`{"name":%q,"browser_download_url":"%s/%s/%[1]s","size":7,"digest":%[4]q}`, name, s.URL, tag, digest))
	}
	return fmt.Sprintf(`{"tag_name":%q,"assets":[%s]}`, tag, strings.Join(assets, ","))
}

// read returns the SHA-256 of files by tag and name.
func (s *checksumServer) read(t *testing.T, r *Reader, from *Source) map[string]string {
	t.Helper()
	s.requests = nil
	list, state, err := r.Read(t.Context(), *from)
	if err != nil {
		t.Fatal(err)
	}
	from.State = state
	known, sums := map[string][]catalog.File{}, map[string]string{}
	for _, e := range list.Entries {
		known[e.Tag] = e.Upstream.Files
		for _, f := range e.Upstream.Files {
			if f.SHA256 != "" {
				sums[e.Tag+" "+f.Name] = f.SHA256
			}
		}
	}
	from.Files = func() (map[string][]catalog.File, error) { return known, nil }
	return sums
}

func TestChecksumFiles(t *testing.T) {
	s := newChecksumServer(t)
	r := &Reader{Tokens: Tokens{strings.TrimPrefix(s.URL, "http://"): "secret"}, pause: time.Millisecond}
	from := &Source{UpstreamName: catalog.UpstreamName{Kind: catalog.GitHubUpstream, API: s.URL, Repo: "me/app"}}
	s.files["v2/checksums.txt"] = terraformSum + "  a.zip\n" + goreleaserSum + " *b.zip\n"
	s.files["v1/a.zip.sha256"] = goreleaserSum
	s.files["v1/b.zip.sha512"] = kubernetesSum + "  b.zip"
	s.list = "[" + strings.Join([]string{
		s.release("v3", "a.zip sha256:"+terraformSum, "checksums.txt"), // has a digest: nothing is requested
		s.release("v2", "a.zip", "b.zip", "checksums.txt", "checksums.txt.sig", "c.zip"),
		s.release("v1", "a.zip", "a.zip.sha256", "b.zip", "b.zip.sha512", "missing.zip", "missing.zip.sha256"),
		s.release("v0", "a.zip", "README.md"),
	}, ",") + "]"
	want := map[string]string{"v3 a.zip": terraformSum, "v2 a.zip": terraformSum, "v2 b.zip": goreleaserSum, "v1 a.zip": goreleaserSum}
	if got := s.read(t, r, from); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	wantRequests := []string{"/v1/a.zip.sha256", "/v1/b.zip.sha512", "/v1/missing.zip.sha256", "/v2/checksums.txt"}
	slices.Sort(s.requests)
	if !slices.Equal(s.requests, wantRequests) {
		t.Errorf("got requests %q, want %q", s.requests, wantRequests)
	}
	if _, _, err := r.Read(t.Context(), *from); !errors.Is(err, ErrUnchanged) {
		t.Errorf("got error %v, want that the list has not changed", err)
	}

	// After a change of the list, known checksums are not requested again.
	s.list = strings.Replace(s.list, `{"tag_name":"v3"`, s.release("v4", "new.zip", "SHA256SUMS")+`,{"tag_name":"v3"`, 1)
	s.files["v4/SHA256SUMS"] = "SHA256 (new.zip) = " + terraformSum
	want["v4 new.zip"] = terraformSum
	if got := s.read(t, r, from); !maps.Equal(got, want) || !slices.Equal(s.requests, []string{"/v4/SHA256SUMS"}) {
		t.Errorf("got %v after requests %q, want %v after one", got, s.requests, want)
	}

	// The next reading retries a server that has failed, although the list has not changed.
	s.list = strings.Replace(s.list, `{"tag_name":"v4"`, s.release("v5", "late.zip", "SHA256SUMS")+`,{"tag_name":"v4"`, 1)
	s.files["v5/SHA256SUMS"] = terraformSum + " late.zip"
	s.failing = true
	if got := s.read(t, r, from); !maps.Equal(got, want) {
		t.Errorf("from a failing server: got %v, want %v", got, want)
	}
	s.failing = false
	want["v5 late.zip"] = terraformSum
	if got := s.read(t, r, from); !maps.Equal(got, want) {
		t.Errorf("after the failure: got %v, want %v", got, want)
	}
	if _, _, err := r.Read(t.Context(), *from); !errors.Is(err, ErrUnchanged) {
		t.Errorf("got error %v, want that the list has not changed", err)
	}
}

// One reading requests the checksum files of a limited number of releases, newest first.
// Later readings request the others.
func TestChecksumFilesAreBounded(t *testing.T) {
	s := newChecksumServer(t)
	var releases []string
	for i := range maxChecksumReleases + 30 {
		tag := fmt.Sprint("v", 1000-i)
		s.files[tag+"/SHA256SUMS"] = terraformSum + " a.zip"
		releases = append(releases, s.release(tag, "a.zip", "SHA256SUMS"))
	}
	s.list = "[" + strings.Join(releases, ",") + "]"
	r, from := &Reader{pause: time.Millisecond}, &Source{UpstreamName: catalog.UpstreamName{Kind: catalog.GitHubUpstream, API: s.URL, Repo: "me/app"}}
	if got := s.read(t, r, from); len(got) != maxChecksumReleases || len(s.requests) != maxChecksumReleases || got["v1000 a.zip"] == "" {
		t.Errorf("got %d checksums after %d requests, want %d of the newest releases", len(got), len(s.requests), maxChecksumReleases)
	}
	if got := s.read(t, r, from); len(got) != maxChecksumReleases+30 || len(s.requests) != 30 {
		t.Errorf("the second time: got %d checksums after %d requests, want %d after 30", len(got), len(s.requests), maxChecksumReleases+30)
	}
	if _, _, err := r.Read(t.Context(), *from); !errors.Is(err, ErrUnchanged) {
		t.Errorf("got error %v, want that the list has not changed", err)
	}
}

// A public API cannot make this machine request checksums from a private network.
func TestChecksumFilesOfOtherServers(t *testing.T) {
	for _, test := range []struct {
		api, url string
		want     bool
	}{
		{"https://api.github.com", "https://127.0.0.1/SHA256SUMS", false},
		{"https://203.0.113.1", "https://10.0.0.1/SHA256SUMS", false},
		{"https://203.0.113.1", "http://203.0.113.2/SHA256SUMS", false},
		{"https://203.0.113.1", "https://203.0.113.2/SHA256SUMS", true},
		{"https://203.0.113.1", "file:///etc/SHA256SUMS", false},
		{"https://10.0.0.1/api/v3", "https://10.0.0.2/SHA256SUMS", true},
		{"http://10.0.0.1/api/v3", "http://10.0.0.1/SHA256SUMS", true},
	} {
		u, err := url.Parse(test.url)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := followFrom(test.api)(t.Context(), u); (err == nil) != test.want {
			t.Errorf("%s of %s: got error %v, want one: %v", test.url, test.api, err, !test.want)
		}
	}
}

func TestReadPath(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("1.json", `[{"tag_name":"v3"},{"tag_name":"v2"}]`)
	write("2.json", `{"tag_name":"v1"}`)
	write("3.json", `[{"tag_name":"v2"},{"tag_name":7}]`+" ")
	write("notes.txt", "not a list")
	write(".hidden.json", "not a list")
	r := &Reader{}
	folder := Source{UpstreamName: catalog.UpstreamName{Kind: catalog.FileUpstream, Path: dir}}
	list, state, err := r.Read(t.Context(), folder)
	var tags []string
	for _, e := range list.Entries {
		tags = append(tags, e.Tag)
	}
	if want := []string{"v3", "v2", "v1"}; err != nil || !slices.Equal(tags, want) || list.Name != "file:"+dir || list.Whole || len(list.Skipped) != 2 {
		t.Errorf("got list %q with %q, skipped %q (error %v), want %q", list.Name, tags, list.Skipped, err, want)
	}
	folder.State = state
	if _, _, err := r.Read(t.Context(), folder); !errors.Is(err, ErrUnchanged) {
		t.Errorf("got error %v, want that the list has not changed", err)
	}
	write("2.json", `{"tag_name":"v1","name":"First"}`)
	if list, _, err := r.Read(t.Context(), folder); err != nil || len(list.Entries) != 3 {
		t.Errorf("after a change: got %d releases (error %v)", len(list.Entries), err)
	}
	write("4.json", `[{"tag_name":"v4"`)
	if _, _, err := r.Read(t.Context(), folder); err == nil || !strings.Contains(err.Error(), "4.json: the file is truncated") {
		t.Errorf("got error %v, want that 4.json is truncated", err)
	}
	for path, want := range map[string]string{filepath.Join(dir, "missing"): "check the path", t.TempDir(): "no releases in the files"} {
		if _, _, err := r.Read(t.Context(), Source{UpstreamName: catalog.UpstreamName{Kind: catalog.FileUpstream, Path: path}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want %q", path, err, want)
		}
	}
	// The operator's layer of an export is merged into upstream's layer.
	var b bytes.Buffer
	WriteExport(&b, catalog.Product{Name: "x"}, each([]catalog.Entry{{Tag: "v9", Upstream: catalog.Layer{Title: new("a"), Notes: new("https://example.com")}, Operator: &catalog.Layer{Title: new("b")}}}))
	write("4.json", b.String())
	list, _, err = r.Read(t.Context(), Source{UpstreamName: catalog.UpstreamName{Kind: catalog.FileUpstream, Path: filepath.Join(dir, "4.json")}})
	if err != nil || list.Entries[0].Operator != nil || *list.Entries[0].Upstream.Title != "b" || *list.Entries[0].Upstream.Notes != "https://example.com" || list.Settings != nil {
		t.Errorf("got %+v (error %v), want the merged layers", list, err)
	}
}

// relcheckServer serves an export as a relcheck does.
func relcheckServer(t *testing.T, text *string, handle func(w http.ResponseWriter, r *http.Request) bool) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if handle != nil && handle(w, r) {
			return
		}
		w.Header().Set("ETag", fmt.Sprintf(`"%d"`, len(*text)))
		if r.Header.Get("If-None-Match") == w.Header().Get("ETag") {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		fmt.Fprint(z, *text)
		z.Close()
	}))
	t.Cleanup(s.Close)
	return s
}

func exportText(t *testing.T, entries ...catalog.Entry) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteExport(&b, catalog.Product{Name: "app", Title: "App", Prefixes: "cli/v"}, each(entries)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestReadRelcheck(t *testing.T) {
	text := exportText(t,
		catalog.Entry{Tag: "cli/v2.0.0-rc1", Upstream: catalog.Layer{Prerelease: new(true), List: "github:me/app"}, Operator: &catalog.Layer{Prerelease: new(false)}},
		catalog.Entry{Tag: "cli/v1.1.0", Upstream: catalog.Layer{Gone: true, Title: new("x"), List: "github:me/app"}},
		catalog.Entry{Tag: "cli/v1.0.0", Operator: &catalog.Layer{Files: []catalog.File{{Name: "a", URL: "https://example.com/a", SHA256: emptySum}}}},
	)
	var got *http.Request
	s := relcheckServer(t, &text, func(_ http.ResponseWriter, r *http.Request) bool { got = r; return false })
	r := &Reader{Tokens: Tokens{strings.TrimPrefix(s.URL, "http://"): "secret"}, pause: time.Millisecond}
	from := Source{UpstreamName: catalog.UpstreamName{Kind: catalog.RelcheckUpstream, URL: s.URL + "/releases/p/app"}}
	list, state, err := r.Read(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	if got.URL.Path != "/releases/api/v1/products/app/export" || got.Header.Get("Authorization") != "Bearer secret" {
		t.Errorf("got request %s with %q", got.URL, got.Header.Get("Authorization"))
	}
	want := []catalog.Entry{
		{Tag: "cli/v2.0.0-rc1", Upstream: catalog.Layer{Prerelease: new(false), Text: new("")}},
		{Tag: "cli/v1.1.0", Upstream: catalog.Layer{Withdrawn: new(true), Reason: new(catalog.GoneReason), Title: new("x"), Text: new("")}},
		{Tag: "cli/v1.0.0", Upstream: catalog.Layer{Text: new(""), Files: []catalog.File{{Name: "a", URL: "https://example.com/a", SHA256: emptySum}}}},
	}
	if diff := cmp.Diff(want, list.Entries); diff != "" || list.Name != "relcheck:"+from.URL || !list.Whole || !list.Exact || list.Settings["tag_prefixes"] != "cli/v" {
		t.Errorf("list %q, settings %v, -want +got:\n%s", list.Name, list.Settings, diff)
	}
	layer := list.Entries[0].Upstream
	layer.List = list.Name
	scheme, _ := version.NewScheme([]string{"cli/v"}, "")
	if r := catalog.NewRelease(scheme.Parse("cli/v2.0.0-rc1"), &layer, nil); r.Prerelease {
		t.Error("a pre-release of the other relcheck's operator: got a pre-release, want a release")
	}
	from.State = state
	if _, _, err := r.Read(t.Context(), from); !errors.Is(err, ErrUnchanged) {
		t.Errorf("got error %v, want that the list has not changed", err)
	}
}

func TestReadRelcheckFailures(t *testing.T) {
	text := exportText(t, catalog.Entry{Tag: "v1"}, catalog.Entry{Tag: "v2"})
	plain := func(status int, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
			return true
		}
	}
	for name, test := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request) bool
		want   string
	}{
		"no token":         {plain(401, `{"error":{"code":"unauthorized"}}`), "--token-file"},
		"no product":       {plain(404, `{"error":{"code":"unknown_product"}}`), "no such product"},
		"not a relcheck":   {plain(404, "<html>"), "must be a relcheck"},
		"down":             {plain(503, ""), "status 503"},
		"a page":           {plain(200, "<html>"), "not valid JSON"},
		"a list":           {plain(200, "[]"), "not an export"},
		"another version":  {plain(200, `{"relcheck_export":2,"releases":[]}`), "upgrade"},
		"half":             {plain(200, text[:len(text)/2]), "truncated"},
		"without the end":  {plain(200, strings.TrimSpace(text)[:len(text)-3]), "truncated"},
		"two of them":      {plain(200, text+text), "text follows"},
		"empty":            {plain(200, ""), "truncated"},
		"no valid release": {plain(200, strings.NewReplacer(`"v1"`, `""`, `"v2"`, `""`).Replace(text)), "entry 1"},
		"aborted": {func(w http.ResponseWriter, _ *http.Request) bool {
			fmt.Fprint(w, text[:len(text)/2])
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, "try again later"},
		"cut gzip": {func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Encoding", "gzip")
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			fmt.Fprint(z, text)
			z.Close()
			w.Write(b.Bytes()[:b.Len()-4])
			return true
		}, "try again later"},
	} {
		t.Run(name, func(t *testing.T) {
			s := relcheckServer(t, &text, test.answer)
			r := &Reader{Tokens: Tokens{strings.TrimPrefix(s.URL, "http://"): "secret"}, pause: time.Millisecond}
			list, state, err := r.Read(t.Context(), Source{UpstreamName: catalog.UpstreamName{Kind: catalog.RelcheckUpstream, URL: s.URL + "/p/app"}})
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret") || len(list.Entries) > 0 || state != nil {
				t.Errorf("got %d releases, error %v, want %q", len(list.Entries), err, test.want)
			}
		})
	}
}
