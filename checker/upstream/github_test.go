package upstream

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// gitHubServer is a server with GitHub's releases API: pages with links, ETags and a rate
// limit. Each request is answered by the next of its answers, if there are any left.
type gitHubServer struct {
	*httptest.Server
	mu       sync.Mutex
	pages    [][]string // tags
	withETag bool
	noLinks  bool
	requests []string // query and status
	answers  []http.HandlerFunc
}

func newGitHubServer(t *testing.T, pages ...[]string) *gitHubServer {
	s := &gitHubServer{pages: pages, withETag: true}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *gitHubServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := http.StatusOK
	defer func() { s.requests = append(s.requests, fmt.Sprintf("%s %d", r.URL.Query().Get("page"), status)) }()
	if len(s.answers) > 0 {
		answer := s.answers[0]
		s.answers = s.answers[1:]
		if answer != nil {
			status = 0
			answer(w, r)
			return
		}
	}
	number := 1
	fmt.Sscan(r.URL.Query().Get("page"), &number)
	if r.URL.Path != "/api/v3/repos/me/app/releases" && r.URL.Path != "/api/v3/repositories/7/releases" || r.URL.Query().Get("per_page") != "100" {
		status = http.StatusNotFound
		w.WriteHeader(status)
		return
	}
	body := "[]"
	if number <= len(s.pages) {
		body = gitHubPage(s.pages[number-1])
	}
	if number < len(s.pages) && !s.noLinks {
		next := *r.URL
		q := next.Query()
		q.Set("page", fmt.Sprint(number+1))
		next.RawQuery = q.Encode()
		w.Header().Set("Link", fmt.Sprintf(`<%s%s>; rel="next", <%[1]s/last>; rel="last"`, s.URL, next.String()))
	}
	if s.withETag {
		etag := fmt.Sprintf(`W/"%x"`, sha256.Sum256([]byte(body)))
		w.Header().Set("ETag", etag)
		if r.Header.Get("If-None-Match") == etag {
			status = http.StatusNotModified
			w.Header().Del("Link")
			w.WriteHeader(status)
			return
		}
	}
	fmt.Fprint(w, body)
}

func gitHubPage(tags []string) string {
	var all []string
	for _, tag := range tags {
		all = append(all, fmt.Sprintf(`{"tag_name":%q,"html_url":"https://github.com/me/app/releases/tag/%[1]s","name":"","draft":false,"prerelease":false,"published_at":"2026-01-01T00:00:00Z","assets":[]}`, tag))
	}
	return "[" + strings.Join(all, ",") + "]"
}

// hundred returns as many tags as a page may have.
func hundred(prefix string) (tags []string) {
	for i := range perPage {
		tags = append(tags, fmt.Sprintf("%s.%d", prefix, i))
	}
	return tags
}

func (s *gitHubServer) reader() *GitHub {
	return &GitHub{API: s.URL + "/api/v3", Repo: "me/app", Token: "secret", Client: s.Client(), pause: time.Millisecond,
		now: func() time.Time { return time.Date(2029, 12, 31, 23, 30, 0, 0, time.UTC) }}
}

func answer(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// truncated announces more bytes than it sends.
func truncated(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	fmt.Fprint(w, `[{"tag_name":"v1.0.0"`)
}

func tagsOf(t *testing.T, g *GitHub, last Pages) (tags []string, pages Pages, err error) {
	t.Helper()
	list, pages, err := g.Releases(t.Context(), last)
	for _, e := range list.Entries {
		tags = append(tags, e.Tag)
	}
	if err == nil && (list.Name != "github:me/app" || !list.Whole) {
		t.Errorf("got list %q, whole: %v", list.Name, list.Whole)
	}
	return tags, pages, err
}

func TestGitHub(t *testing.T) {
	three := [][]string{{"v3", "v2"}, {"v1"}, {"v0"}}
	all := []string{"v3", "v2", "v1", "v0"}
	for name, test := range map[string]struct {
		pages    [][]string
		answers  []http.HandlerFunc
		want     []string
		err      string
		requests int
	}{
		"a page":                   {[][]string{{"v1", "v0"}}, nil, []string{"v1", "v0"}, "", 1},
		"no releases":              {[][]string{{}}, nil, nil, "", 1},
		"three pages":              {three, nil, all, "", 6},
		"a failure that passes":    {three, []http.HandlerFunc{answer(502, ""), nil, answer(500, "")}, all, "", 8},
		"a truncated page":         {three, []http.HandlerFunc{nil, truncated}, all, "", 7},
		"truncated for good":       {three, []http.HandlerFunc{truncated, truncated, truncated}, nil, "unexpected EOF", 3},
		"truncated JSON":           {three, []http.HandlerFunc{answer(200, `[{"tag_name"`)}, nil, "truncated", 1},
		"down":                     {three, []http.HandlerFunc{answer(503, ""), answer(503, ""), answer(503, "")}, nil, "status 503", 3},
		"rate limit":               {three, []http.HandlerFunc{answer(403, "{}", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "1893456000")}, nil, "until 2030-01-01 00:00:00 UTC", 1},
		"rate limit, 429":          {three, []http.HandlerFunc{nil, answer(429, "{}", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "1893456000")}, nil, "until 2030-01-01 00:00:00 UTC", 2},
		"abuse":                    {three, []http.HandlerFunc{answer(403, `{"message":"You have exceeded a secondary rate limit"}`, "Retry-After", "60")}, nil, "rate limit is reached", 1},
		"a reset in the past":      {three, []http.HandlerFunc{answer(403, "{}", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "1000000000")}, nil, "until 2029-12-31 23:31:00 UTC", 1},
		"abuse, no time":           {three, []http.HandlerFunc{answer(403, `{"message":"You have triggered an abuse detection mechanism."}`, "X-RateLimit-Remaining", "12")}, nil, "until 2029-12-31 23:31:00 UTC", 1},
		"forbidden":                {three, []http.HandlerFunc{answer(403, `{"message":"Resource not accessible"}`, "X-RateLimit-Remaining", "12")}, nil, "Resource not accessible", 1},
		"a wrong token":            {three, []http.HandlerFunc{answer(401, "{}")}, nil, "the token is not valid", 1},
		"no repository":            {three, []http.HandlerFunc{answer(404, "{}")}, nil, "private repository needs a token", 1},
		"a page on another server": {three, []http.HandlerFunc{answer(200, "[]", "Link", `<https://evil.example.com/?page=2>; rel="next"`)}, nil, "another server", 1},
		"not a list":               {three, []http.HandlerFunc{answer(200, `{"message":"hello"}`)}, nil, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newGitHubServer(t, test.pages...)
			s.answers = test.answers
			tags, _, err := tagsOf(t, s.reader(), nil)
			if name == "not a list" {
				if err == nil {
					t.Error("got no error")
				}
				return
			}
			if (err != nil) != (test.err != "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("got error %v, want %q", err, test.err)
			}
			if !slices.Equal(tags, test.want) || len(s.requests) != test.requests {
				t.Errorf("got releases %v after requests %q, want %v after %d", tags, s.requests, test.want, test.requests)
			}
		})
	}
}

// A list that has not changed is not read again, whether the server supports ETags or not.
func TestGitHubUnchanged(t *testing.T) {
	for _, withETag := range []bool{true, false} {
		s := newGitHubServer(t, []string{"v2"}, hundred("v1"))
		s.withETag = withETag
		_, pages, err := tagsOf(t, s.reader(), nil)
		if err != nil || len(pages) != 3 { // the last one is empty
			t.Fatalf("got %d pages (error %v), want 3", len(pages), err)
		}
		s.requests = nil
		if _, again, err := tagsOf(t, s.reader(), pages); !errors.Is(err, ErrUnchanged) || !slices.Equal(again, pages) {
			t.Errorf("ETag %v: got error %v, want that the list has not changed", withETag, err)
		}
		if want := map[bool][]string{true: {" 304", "2 304", "3 304"}, false: {" 200", "2 200", "3 200"}}[withETag]; !slices.Equal(s.requests, want) {
			t.Errorf("ETag %v: got requests %q, want %q", withETag, s.requests, want)
		}
		for _, change := range []func(){
			func() { s.pages[1][0] = "v1.1" },
			func() { s.pages = append(s.pages, []string{"v0"}) },
			func() { s.pages = s.pages[:1] },
			func() { s.pages = [][]string{{"v3"}, {"v1.1", "v0"}} },
		} {
			change()
			_, changed, err := tagsOf(t, s.reader(), pages)
			if err != nil {
				t.Errorf("ETag %v: a changed list: %v", withETag, err)
			}
			pages = changed
		}
	}
}

// A proxy that removes the Link header does not end the list.
func TestGitHubWithoutLinks(t *testing.T) {
	all := slices.Concat(hundred("v2"), hundred("v1"), []string{"v0"})
	s := newGitHubServer(t, all[:100], all[100:200], all[200:])
	s.noLinks = true
	tags, pages, err := tagsOf(t, s.reader(), nil)
	if !slices.Equal(tags, all) || err != nil {
		t.Errorf("got %d releases (error %v), want %d", len(tags), err, len(all))
	}
	if _, _, err := tagsOf(t, s.reader(), pages); !errors.Is(err, ErrUnchanged) {
		t.Errorf("the second time: got error %v, want that the list has not changed", err)
	}
	s.pages[2] = []string{"v0", "v-1"}
	if tags, _, err := tagsOf(t, s.reader(), pages); len(tags) != 202 || err != nil {
		t.Errorf("after a change: got %d releases (error %v), want 202", len(tags), err)
	}
	// A server that does not know pages.
	one := answer(200, gitHubPage(all))
	s.answers = slices.Repeat([]http.HandlerFunc{one}, 5)
	if tags, pages, err := tagsOf(t, s.reader(), nil); len(tags) != len(all) || len(pages) != 1 || err != nil {
		t.Errorf("one page: got %d releases on %d pages (error %v), want %d on 1", len(tags), len(pages), err, len(all))
	}
}

// A release that is deleted while the list is read moves another one to a page that was
// already read.
func TestGitHubChangesMeanwhile(t *testing.T) {
	s := newGitHubServer(t, []string{"v3", "v2"}, []string{"v1", "v0"})
	remove := func(w http.ResponseWriter, r *http.Request) { // between the first and the second page
		s.pages = [][]string{{"v3", "v1"}, {"v0"}}
		fmt.Fprint(w, gitHubPage(s.pages[1]))
	}
	s.answers = []http.HandlerFunc{nil, remove}
	tags, _, err := tagsOf(t, s.reader(), nil)
	if want := []string{"v3", "v1", "v0"}; !slices.Equal(tags, want) || err != nil {
		t.Errorf("got %v (error %v), want %v", tags, err, want)
	}
	n := 0
	always := func(w http.ResponseWriter, r *http.Request) {
		n++
		w.Header().Set("Link", fmt.Sprintf(`<%s/api/v3/repos/me/app/releases?per_page=100&page=2>; rel="next"`, s.URL))
		fmt.Fprint(w, gitHubPage([]string{fmt.Sprint("v", n)}))
	}
	s.answers = slices.Repeat([]http.HandlerFunc{always, nil}, 10)
	if _, _, err := tagsOf(t, s.reader(), nil); err == nil || !strings.Contains(err.Error(), "change while they are read") {
		t.Errorf("a list that changes all the time: got error %v", err)
	}
}

func TestGitHubRenamed(t *testing.T) {
	s := newGitHubServer(t, []string{"v2"}, []string{"v1"})
	moved := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/api/v3/repositories/7/releases?"+r.URL.RawQuery, http.StatusMovedPermanently)
	}
	s.answers = []http.HandlerFunc{moved, nil, nil, moved}
	g := s.reader()
	list, _, err := g.Releases(t.Context(), nil)
	if err != nil || len(list.Entries) != 2 || list.Hint != "" { // the same name: only the case may differ
		t.Errorf("got %d releases, hint %q (error %v)", len(list.Entries), list.Hint, err)
	}
	g.Repo = "me/App2"
	s.answers = []http.HandlerFunc{moved, nil, nil, moved}
	list, _, err = g.Releases(t.Context(), nil)
	if err != nil || !strings.Contains(list.Hint, "me/App2 was renamed to \"me/app\"") {
		t.Errorf("got hint %q (error %v), want the new name", list.Hint, err)
	}
}

// The token is sent only to the API. It is not sent after a redirect to another host, port
// or subdomain.
func TestGitHubToken(t *testing.T) {
	var got []string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, "other "+r.Header.Get("Authorization"))
		fmt.Fprint(w, "[]")
	}))
	defer other.Close()
	for _, target := range []string{strings.Replace(other.URL, "127.0.0.1", "localhost", 1), other.URL, strings.Replace(other.URL, "127.0.0.1", "sub.localhost", 1)} {
		s := newGitHubServer(t)
		s.answers = []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
			got = append(got, "api "+r.Header.Get("Authorization"))
			http.Redirect(w, r, target+"/", http.StatusFound)
		}}
		g := s.reader()
		g.API = strings.Replace(g.API, "127.0.0.1", "localhost", 1)
		transport := s.Client().Transport.(*http.Transport).Clone()
		transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			_, port, _ := net.SplitHostPort(addr)
			return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+port)
		}
		g.Client = &http.Client{Transport: transport}
		got = nil
		if _, _, err := tagsOf(t, g, nil); err != nil {
			t.Fatal(err)
		}
		if want := []string{"api Bearer secret", "other "}; !slices.Equal(got, want) {
			t.Errorf("redirected to %s: got %q, want %q", target, got, want)
		}
	}
}
