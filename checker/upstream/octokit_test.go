package upstream

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"relcheck/checker/catalog"
)

// recording is a request to GitHub's API and its answer, recorded by the package
// @octokit/fixtures.
type recording struct {
	Method, Path string
	Status       int
	Response     json.RawMessage
	Headers      []string `json:"rawHeaders"` // names and values in turns
}

// recordings returns the recordings of a scenario.
func recordings(t *testing.T, scenario string) (all []recording) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../.cache/octokit/node_modules/@octokit/fixtures/scenarios/api.github.com", scenario, "raw-fixture.json"))
	if err != nil {
		const what = "@octokit/fixtures; make test installs it"
		if os.Getenv("CI") == "true" {
			t.Fatal("missing: " + what)
		}
		t.Skip("missing: " + what)
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// find returns the recording of a GET request with a status and a path that contains a text.
func find(t *testing.T, all []recording, status int, path string) recording {
	t.Helper()
	i := slices.IndexFunc(all, func(r recording) bool {
		return r.Method == "get" && r.Status == status && strings.Contains(r.Path, path)
	})
	if i < 0 {
		t.Fatalf("no recording with status %d and path %s", status, path)
	}
	return all[i]
}

// header returns the recorded headers with some changes. An empty value removes a header.
func (r recording) header(changes ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(r.Headers); i += 2 {
		h.Add(r.Headers[i], r.Headers[i+1])
	}
	for i := 0; i < len(changes); i += 2 {
		if h.Del(changes[i]); changes[i+1] != "" {
			h.Set(changes[i], changes[i+1])
		}
	}
	return h
}

// replay is a server that answers like GitHub, with recorded releases and headers. Only
// URLs, lengths, ETags and the rate limit in the headers are changed.
type replay struct {
	*httptest.Server
	releases, issues, rename []recording
	id                       string // of the repository

	mu       sync.Mutex
	pages    [][]string // tags
	requests []string   // page and status
	next     []func(w http.ResponseWriter, r *http.Request) bool
}

func newReplay(t *testing.T, pages ...[]string) *replay {
	s := &replay{releases: recordings(t, "release-assets"), issues: recordings(t, "paginate-issues"), rename: recordings(t, "rename-repository"), pages: pages}
	_, s.id, _ = strings.Cut(find(t, s.rename, 200, "/repositories/").Path, "/repositories/")
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// release returns the recorded release with its recorded file, and with another tag.
func (s *replay) release(tag string) map[string]any {
	var release, asset map[string]any
	for _, r := range s.releases {
		switch {
		case r.Method == "get" && strings.HasSuffix(r.Path, "/releases/tags/v1.0.0"):
			json.Unmarshal(r.Response, &release)
		case r.Method == "get" && strings.Contains(r.Path, "/releases/assets/"):
			json.Unmarshal(r.Response, &asset)
		}
	}
	asset["browser_download_url"] = strings.Replace(asset["browser_download_url"].(string), "v1.0.0", tag, 1)
	release["tag_name"], release["assets"] = tag, []any{asset}
	release["html_url"] = "https://github.com/octokit-fixture-org/newname/releases/tag/" + tag
	return release
}

func (s *replay) body(page int) []byte {
	all := []any{}
	for _, tag := range s.pages[page-1] {
		all = append(all, s.release(tag))
	}
	text, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return text
}

var recordedLink = regexp.MustCompile(`https://api\.github\.com/repositories/\d+/issues\?per_page=3`)

func (s *replay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := &statusRecorder{w, 200}
	defer func() {
		s.requests = append(s.requests, fmt.Sprintf("%s %d", r.URL.Query().Get("page"), status.status))
	}()
	if len(s.next) > 0 {
		answer := s.next[0]
		s.next = s.next[1:]
		if answer != nil && answer(status, r) {
			return
		}
	}
	page := 1
	fmt.Sscan(r.URL.Query().Get("page"), &page)
	if path := r.URL.Path; path != "/repos/octokit-fixture-org/release-assets/releases" && path != "/repositories/"+s.id+"/releases" || page > len(s.pages) {
		s.send(status, 404, s.releases[0].header(), []byte(`{"message":"Not Found","documentation_url":"https://docs.github.com/rest"}`))
		return
	}
	body := s.body(page)
	recorded := s.releases[0]
	etag := fmt.Sprintf(`"%x"`, sha256.Sum256(body))
	link := ""
	if len(s.pages) > 1 { // the recorded Link header of this page of five
		for _, issues := range s.issues {
			first := page == 1 && strings.HasSuffix(issues.Path, "per_page=3")
			if issues.Method == "get" && (first || strings.HasSuffix(issues.Path, "&page="+strconv.Itoa(page))) {
				recorded = issues
			}
		}
		links := strings.Split(recorded.header().Get("Link"), ", ")
		links = slices.DeleteFunc(links, func(l string) bool {
			return page == len(s.pages) && !strings.Contains(l, "prev") && !strings.Contains(l, "first")
		})
		link = recordedLink.ReplaceAllString(strings.Join(links, ", "), s.URL+"/repositories/"+s.id+"/releases?per_page=100")
	}
	if r.Header.Get("If-None-Match") == etag {
		s.send(status, 304, recorded.header("ETag", etag, "Link", "", "Content-Type", "", "Last-Modified", "", "Location", ""), nil)
		return
	}
	s.send(status, 200, recorded.header("ETag", etag, "Link", link, "Location", ""), body)
}

type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (s *statusRecorder) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

// send sends an answer with the length of its body.
func (s *replay) send(w http.ResponseWriter, status int, h http.Header, body []byte) {
	for name, values := range h {
		w.Header()[name] = values
	}
	w.Header().Del("Content-Length")
	if status != 304 {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	w.Write(body)
}

func (s *replay) github() *GitHub {
	return &GitHub{API: s.URL, Repo: "octokit-fixture-org/release-assets", Token: "0000000000000000000000000000000000000001", pause: time.Millisecond,
		now: func() time.Time { return time.Date(2022, 7, 19, 5, 0, 0, 0, time.UTC) }}
}

func (s *replay) tags(t *testing.T, last Pages) (tags []string, pages Pages, err error) {
	t.Helper()
	list, pages, err := s.github().Releases(t.Context(), last)
	for _, e := range list.Entries {
		tags = append(tags, e.Tag)
	}
	return tags, pages, err
}

func TestRecordedRelease(t *testing.T) {
	s := newReplay(t, []string{"v1.0.0"})
	list, _, err := s.github().Releases(t.Context(), nil)
	if err != nil || len(list.Entries) != 1 || len(list.Skipped) > 0 {
		t.Fatalf("got %d releases, skipped %q (error %v)", len(list.Entries), list.Skipped, err)
	}
	e := list.Entries[0]
	up := e.Upstream
	if e.Tag != "v1.0.0" || *up.Title != "Version 1.0.0" || *up.Text != "Initial release" || *up.Prerelease || up.Published.Year() != 2022 {
		t.Errorf("got release %+v", e)
	}
	if len(up.Files) != 1 || up.Files[0].Name != "test-upload.txt" || up.Files[0].Size != 14 || up.Files[0].MediaType != "text/plain" {
		t.Errorf("got files %+v", up.Files)
	}
}

// Five pages whose links contain the repository's number are read. The next reading gets
// only status 304.
func TestRecordedPages(t *testing.T) {
	pages := [][]string{{"v5"}, {"v4"}, {"v3"}, {"v2"}, {"v1"}}
	s := newReplay(t, pages...)
	tags, read, err := s.tags(t, nil)
	if want := slices.Concat(pages...); !slices.Equal(tags, want) || err != nil {
		t.Fatalf("got %q (error %v), want %q", tags, err, want)
	}
	s.requests = nil
	_, _, err = s.tags(t, read)
	if want := []string{" 304", "2 304", "3 304", "4 304", "5 304"}; !errors.Is(err, ErrUnchanged) || !slices.Equal(s.requests, want) {
		t.Errorf("got requests %q (error %v), want %q", s.requests, err, want)
	}
	s.pages[3] = []string{"v2", "v1.9"}
	if tags, _, err = s.tags(t, read); err != nil || len(tags) != 6 {
		t.Errorf("after a change of page 4: got %q (error %v), want 6 releases", tags, err)
	}
}

// A release that is published while the list is read moves the others to later pages.
func TestRecordedPagesChangeMeanwhile(t *testing.T) {
	s := newReplay(t, []string{"v2"}, []string{"v1"})
	s.next = append(s.next, nil, func(http.ResponseWriter, *http.Request) bool { // before the second page
		s.pages = [][]string{{"v3"}, {"v2"}, {"v1"}}
		return false
	})
	tags, _, err := s.tags(t, nil)
	if want := []string{"v3", "v2", "v1"}; !slices.Equal(tags, want) || err != nil {
		t.Errorf("got %q (error %v), want %q", tags, err, want)
	}
}

func TestRecordedFailures(t *testing.T) {
	invalid := recordings(t, "errors")
	i := slices.IndexFunc(invalid, func(r recording) bool { return r.Status == 422 })
	refused := invalid[i]
	var s *replay
	answer := func(status int, body string, changes ...string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			s.send(w, status, refused.header(changes...), []byte(body))
			return true
		}
	}
	cut := func(length int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			body := s.body(1)
			for name, values := range s.releases[0].header("Location", "", "Content-Length", strconv.Itoa(length)) {
				w.Header()[name] = values
			}
			w.Write(body[:len(body)/2])
			return true
		}
	}
	until := func(text string) string { // as errors show it
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return at.Local().Format("until 2006-01-02 15:04:05 MST")
	}
	html := "<html><body><h1>502 Bad Gateway</h1></body></html>"
	for name, test := range map[string]struct {
		answers []func(http.ResponseWriter, *http.Request) bool
		want    string
	}{
		"rate limit": {[]func(http.ResponseWriter, *http.Request) bool{answer(403, `{"message":"API rate limit exceeded for user ID 1000.","documentation_url":"https://docs.github.com/rest/overview/resources-in-the-rest-api#rate-limiting"}`,
			"X-RateLimit-Remaining", "0", "X-RateLimit-Used", "5000", "X-RateLimit-Reset", "1658208999")}, "rate limit is reached " + until("2022-07-19T05:36:39Z")},
		"abuse": {[]func(http.ResponseWriter, *http.Request) bool{answer(403, `{"message":"You have exceeded a secondary rate limit and have been temporarily blocked from content creation."}`,
			"Retry-After", "90")}, until("2022-07-19T05:01:30Z")},
		"abuse without a time": {[]func(http.ResponseWriter, *http.Request) bool{answer(403, `{"message":"You have triggered an abuse detection mechanism. Please wait a few minutes before you try again."}`)}, until("2022-07-19T05:01:00Z")},
		"5xx twice":            {[]func(http.ResponseWriter, *http.Request) bool{answer(502, html, "Content-Type", "text/html"), answer(500, `{"message":"Server Error"}`)}, ""},
		"5xx for good":         {[]func(http.ResponseWriter, *http.Request) bool{answer(502, html), answer(503, html), answer(504, html)}, "status 504"},
		"an invalid request":   {[]func(http.ResponseWriter, *http.Request) bool{answer(422, string(refused.Response))}, `status 422 Unprocessable Entity: "Validation Failed"`},
		"truncated JSON":       {[]func(http.ResponseWriter, *http.Request) bool{cut(100_000), cut(100_000), cut(100_000)}, "unexpected EOF"},
		"JSON cut by a proxy": {[]func(http.ResponseWriter, *http.Request) bool{func(w http.ResponseWriter, _ *http.Request) bool {
			body := s.body(1)
			s.send(w, 200, s.releases[0].header("Location", ""), body[:len(body)-20])
			return true
		}}, "truncated"},
	} {
		t.Run(name, func(t *testing.T) {
			s = newReplay(t, []string{"v1"})
			s.next = test.answers
			tags, _, err := s.tags(t, nil)
			switch {
			case test.want == "" && (err != nil || len(tags) != 1):
				t.Errorf("got %q (error %v), want a release", tags, err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || len(tags) > 0):
				t.Errorf("got %q, error %v, want %q", tags, err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "0000000001") {
				t.Errorf("error contains the token: %v", err)
			}
		})
	}
}

// GitHub redirects requests for the old name of a repository to its number.
func TestRecordedRename(t *testing.T) {
	s := newReplay(t, []string{"v2"}, []string{"v1"})
	moved := find(t, s.rename, 301, "/repos/")
	redirect := func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/repos/") {
			return false
		}
		to := strings.Replace(moved.header().Get("Location"), "https://api.github.com", s.URL, 1)
		s.send(w, 301, moved.header("Location", to+"/releases?"+r.URL.RawQuery), moved.Response)
		return true
	}
	s.next = slices.Repeat([]func(http.ResponseWriter, *http.Request) bool{redirect}, 20)
	list, pages, err := s.github().Releases(t.Context(), nil)
	if err != nil || len(list.Entries) != 2 || !strings.Contains(list.Hint, `renamed to "octokit-fixture-org/newname"`) {
		t.Errorf("got %d releases, hint %q (error %v), want 2 and the new name", len(list.Entries), list.Hint, err)
	}
	if _, _, err := s.tags(t, pages); !errors.Is(err, ErrUnchanged) {
		t.Errorf("the second time: got error %v, want that the list has not changed", err)
	}
}

// No repository of the API is requested before the rate limit ends.
func TestRecordedRateLimitIsHonoured(t *testing.T) {
	s := newReplay(t, []string{"v1"})
	now := time.Date(2022, 7, 19, 5, 0, 0, 0, time.UTC)
	r := &Reader{Now: func() time.Time { return now }, pause: time.Millisecond}
	read := func(repo string) error {
		_, _, err := r.Read(t.Context(), Source{UpstreamName: catalog.UpstreamName{Kind: catalog.GitHubUpstream, API: s.URL, Repo: repo}})
		return err
	}
	s.next = append(s.next, func(w http.ResponseWriter, _ *http.Request) bool {
		s.send(w, 403, s.releases[0].header("X-RateLimit-Remaining", "0", "Location", ""), []byte(`{"message":"API rate limit exceeded"}`))
		return true
	})
	for _, repo := range []string{"octokit-fixture-org/release-assets", "octokit-fixture-org/other"} {
		limit := new(RateLimitError)
		if err := read(repo); !errors.As(err, &limit) || limit.Until.Unix() != 1658208999 {
			t.Errorf("%s: got error %v, want a rate limit until 1658208999", repo, err)
		}
	}
	if len(s.requests) != 1 {
		t.Errorf("got requests %q, want 1", s.requests)
	}
	now = time.Unix(1658208999, 0)
	if err := read("octokit-fixture-org/release-assets"); err != nil {
		t.Errorf("after the limit: %v", err)
	}
}

// A replayed header contains the recorded fields.
func TestRecordedHeaders(t *testing.T) {
	s := newReplay(t, []string{"v1"})
	resp, err := http.Get(s.URL + "/repos/octokit-fixture-org/release-assets/releases")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	b.ReadFrom(resp.Body)
	if resp.Header.Get("X-Ratelimit-Limit") != "5000" || resp.Header.Get("X-Github-Media-Type") == "" || !bytes.HasPrefix(b.Bytes(), []byte("[{")) {
		t.Errorf("got header %v", resp.Header)
	}
}
