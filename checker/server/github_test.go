package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/server"
)

func TestGitHubFormat(t *testing.T) {
	date := time.Date(2026, 11, 5, 23, 7, 41, 0, time.UTC)
	s := newService(t, catalog.Release{Tag: "v1.22.2", Date: date, Files: []catalog.File{
		{Platform: checker.Platform{OS: "linux", Arch: "amd64"}, URL: "https://example.com/d/opa_linux_amd64"},
		{Platform: checker.Platform{OS: "darwin", Arch: "amd64"}, URL: "https://example.com/d/opa_darwin_all"},
		{Platform: checker.Platform{OS: "darwin", Arch: "arm64"}, URL: "https://example.com/d/opa_darwin_all"},
	}})
	const api = "BASE/repos/open-policy-agent/opa/"
	asset := func(id int, name string) string {
		return fmt.Sprintf(`{"id":%d,"node_id":"RA_%[1]d","url":"`+api+`releases/assets/%[1]d","name":%[2]q,"label":"","state":"uploaded","content_type":"application/octet-stream","size":0,`+
			`"download_count":0,"created_at":"2026-11-05T23:07:41Z","updated_at":"2026-11-05T23:07:41Z","browser_download_url":"https://example.com/d/%[2]s"}`, id, name)
	}
	want := `{"id":1,"node_id":"RE_1","url":"` + api + `releases/1","html_url":"https://github.com/open-policy-agent/opa/releases/tag/v1.22.2","assets_url":"` + api + `releases/1/assets",` +
		`"upload_url":"` + api + `releases/1/assets{?name,label}","tag_name":"v1.22.2","target_commitish":"","name":"v1.22.2","body":"",` +
		`"draft":false,"prerelease":false,"created_at":"2026-11-05T23:07:41Z","published_at":"2026-11-05T23:07:41Z","author":{"id":0,"login":"open-policy-agent"},` +
		`"tarball_url":"` + api + `tarball/v1.22.2","zipball_url":"` + api + `zipball/v1.22.2","assets":[` + asset(1, "opa_darwin_all") + "," + asset(3, "opa_linux_amd64") + `]}` + "\n"
	for path, status := range map[string]int{
		"/repos/open-policy-agent/opa/releases/latest":        200,
		"/repos/Open-Policy-Agent/OPA/releases/latest":        200,
		"/p/opa/repos/open-policy-agent/opa/releases/latest":  200,
		"/p/opa/repos/some/fork/releases/latest":              200,
		"/p/opa/api/v3/repos/some/fork/releases/latest":       200,
		"/repos/some/fork/releases/latest":                    404,
		"/p/none/repos/open-policy-agent/opa/releases/latest": 404,
		"/p/relcheck/repos/any/name/releases/latest":          404, // no release
	} {
		got := s.send(t, httptest.NewRequest("GET", path, nil))
		base, _, _ := strings.Cut(path, "/repos/")
		if want := strings.ReplaceAll(want, "BASE", "http://relcheck.example.com"+base); got.StatusCode != status || status == 200 && got.body != want {
			t.Errorf("%s: got status %d and body %s, want %d and, if 200, %s", path, got.StatusCode, got.body, status, want)
		}
		if status == 404 && !(strings.Contains(got.body, `"message":"Not Found"`) && strings.Contains(got.body, `"status":"404","error":{"code":"`)) {
			t.Errorf("%s: got body %s, want an error in the formats of GitHub and of relcheck", path, got.body)
		}
	}
}

// githubTags returns the tags in a list of releases.
func githubTags(t *testing.T, body string) (tags string) {
	t.Helper()
	var list []struct {
		Tag        string `json:"tag_name"`
		Prerelease bool
	}
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatalf("got %s, want a list of releases: %v", body, err)
	}
	for _, r := range list {
		if tags += " " + r.Tag; r.Prerelease {
			tags += "*"
		}
	}
	return tags
}

func TestGitHubList(t *testing.T) {
	s := newService(t)
	p := s.newProduct(t, "app", `{"repo":"me/app","channels":[{"name":"lts","match":"<2"}]}`)
	p.publish(`v1.0.0 v2.1.0-rc.1 v2.0.0 v1.9.0{"withdrawn":true} v1.1.0 nightly v3.0.0{"date":"2999-01-01T00:00:00Z"}`)
	const path = "/repos/me/app/releases"
	link := func(pages string) string { // such as "next 2"
		var links []string
		for fields := strings.Fields(pages); len(fields) > 0; fields = fields[2:] {
			links = append(links, fmt.Sprintf(`<http://relcheck.example.com%s?per_page=2&page=%s>; rel="%s"`, path, fields[1], fields[0]))
		}
		return strings.Join(links, ", ")
	}
	for target, want := range map[string]struct{ tags, link string }{
		path:                                    {" v2.1.0-rc.1* v2.0.0 v1.1.0 v1.0.0", ""},
		path + "?per_page=2":                    {" v2.1.0-rc.1* v2.0.0", link("next 2 last 2")},
		path + "?page=2&per_page=2":             {" v1.1.0 v1.0.0", link("prev 1 first 1")},
		path + "?page=3&per_page=2":             {"", ""},
		path + "?page=9999999999999&per_page=0": {" v2.1.0-rc.1* v2.0.0 v1.1.0 v1.0.0", ""},
		path + "?page=-1&per_page=x":            {" v2.1.0-rc.1* v2.0.0 v1.1.0 v1.0.0", ""},
		path + "?page=2147483647&per_page=101":  {"", ""},
		"/p/app@lts" + path:                     {" v1.1.0 v1.0.0", ""},
	} {
		got := s.send(t, httptest.NewRequest("GET", target, nil))
		if tags := githubTags(t, got.body); got.StatusCode != 200 || tags != want.tags || got.Header.Get("Link") != want.link {
			t.Errorf("%s: got status %d, tags%s and Link %s, want 200,%s and %s", target, got.StatusCode, tags, got.Header.Get("Link"), want.tags, want.link)
		}
	}
	for target, want := range map[string]string{
		"/p/app/api/v3/repos/x/y/releases?per_page=1": `<http://relcheck.example.com/p/app/api/v3/repos/me/app/releases?per_page=1&page=2>; rel="next"`,
		"/repos/me/app/tags?per_page=3":               `<http://relcheck.example.com/repos/me/app/tags?per_page=3&page=2>; rel="next"`,
	} {
		if got := s.send(t, httptest.NewRequest("GET", target, nil)).Header.Get("Link"); !strings.HasPrefix(got, want) {
			t.Errorf("%s: got Link %s, want %s first", target, got, want)
		}
	}
	for target, want := range map[string]int{
		path + "/tags/v2.0.0":                      200,
		path + "/tags/2.0.0":                       200,
		path + "/tags/v2.1.0-rc.1":                 200,
		path + "/tags/v1.9.0":                      404,
		path + "/tags/1.9.0":                       404,
		path + "/tags/nightly":                     404,
		path + "/tags/v3.0.0":                      404,
		path + "/tags/v4.0.0":                      404,
		path + "/tags":                             404,
		path + "/0":                                404,
		path + "/x":                                404,
		path + "/1/x":                              404,
		path + "/99999999999999999999":             404,
		path + "/assets/1":                         404,
		path + "/assets/x":                         404,
		path + "/99/assets":                        404,
		"/p/app@lts" + path + "/tags/v2.0.0":       404,
		"/me/app/releases/download/v2.0.0/none":    404,
		"/me/app/releases/download/latest":         404,
		"/p/relcheck/repos/any/name/releases":      404, // an empty list
		"/p/relcheck/repos/any/name/tags":          404,
		"/p/relcheck/any/name/releases.atom":       404,
		path + "/tags/%0d%0aX:%20y":                404,
		path + "/tags/a%00":                        404,
		path + "/tags/%2e%2e":                      404,
		path + "/tags/$(TAG)":                      404,
		path + "/tags/" + strings.Repeat("1", 300): 404,
		path + "/assets/-1":                        404,
		"/me/app/releases/download/%22/%3c":        404,
		"/me/app/releases.atom":                    200,
		"/me/other/releases.atom":                  404,
		"/repos/me/other/releases":                 404,
		"/me/other/releases/download/v2.0.0/a.zip": 404,
	} {
		if got := s.send(t, httptest.NewRequest("GET", target, nil)); got.StatusCode != want {
			t.Errorf("%s: got status %d and body %s, want %d", target, got.StatusCode, got.body, want)
		}
	}
	got := s.send(t, httptest.NewRequest("POST", path, strings.NewReader("{}")))
	if got.StatusCode != 405 || got.Header.Get("Allow") != "GET, HEAD, OPTIONS" || !strings.Contains(got.body, `"message":"use one of the methods: GET, HEAD, OPTIONS"`) {
		t.Errorf("POST: got status %d, Allow %q and body %s, want 405 in GitHub's format", got.StatusCode, got.Header.Get("Allow"), got.body)
	}
	feed := s.send(t, httptest.NewRequest("GET", "/me/app/releases.atom", nil)).body
	if n := strings.Count(feed, "<entry>"); n != 4 || strings.Count(feed, "/me/app/releases/tag/v2.0.0\"") != 1 {
		t.Errorf("got feed %s, want 4 entries", feed)
	}
}

// TestGitHubCache checks conditional requests and compression.
func TestGitHubCache(t *testing.T) {
	s := newService(t)
	p := s.newProduct(t, "app", `{"repo":"me/app"}`)
	p.publish(`v1.0.0{"body":"` + strings.Repeat("notes-", 200) + `"}`)
	const path = "/repos/me/app/releases"
	plain, zipped := s.get(t, "GET", path), s.get(t, "GET", path, "Accept-Encoding", "gzip")
	etag, zippedTag := plain.Header.Get("ETag"), zipped.Header.Get("ETag")
	if len(etag) != 18 || len(zippedTag) != 18 || zippedTag == etag || zipped.Header.Get("Content-Encoding") != "gzip" || zipped.Header.Get("Vary") != "Accept-Encoding" || len(zipped.body) > len(plain.body)/2 {
		t.Errorf("got ETags %s and %s, and headers %v, want another ETag of the compressed body", etag, zippedTag, zipped.Header)
	}
	for known, want := range map[string]int{etag: 304, `"x", W/` + etag: 304, "*": 304, zippedTag: 200, `"x"`: 200, "": 200} {
		got := s.get(t, "GET", path, "If-None-Match", known)
		if got.StatusCode != want || got.Header.Get("ETag") != etag || got.Header.Get("Vary") != "Accept-Encoding" || got.Header.Get("Access-Control-Expose-Headers") != "ETag, Link" || want == 304 && got.body != "" {
			t.Errorf("If-None-Match %s: got status %d and headers %v, want %d", known, got.StatusCode, got.Header, want)
		}
	}
	p.publish("v1.1.0")
	s.load(t)
	if got := s.get(t, "GET", path, "If-None-Match", etag); got.StatusCode != 200 || got.Header.Get("ETag") == etag {
		t.Errorf("after a change: got status %d and ETag %s, want 200 and another ETag", got.StatusCode, got.Header.Get("ETag"))
	}
}

// failingTexts is a store that cannot read release notes while the error is set.
type failingTexts struct {
	testStore
	err *error
}

func (f failingTexts) Texts(ctx context.Context, product string, tags []string) (map[string]string, error) {
	if *f.err != nil {
		return nil, *f.err
	}
	return f.testStore.Texts(ctx, product, tags)
}

// TestGitHubNotes checks that answers contain the notes, and that only the latest release is
// answered without them if the store is unavailable.
func TestGitHubNotes(t *testing.T) {
	err := errors.New("unavailable")
	s := newServiceOn(t, func(h testStore) server.Store { return failingTexts{h, &err} })
	p := s.newProduct(t, "app", `{"repo":"me/app"}`)
	p.publish(`v1.0.0{"body":"old"} v1.1.0{"body":"the-notes"}`)
	const path = "/repos/me/app/releases"
	for _, c := range []struct {
		err          error
		latest, list string
	}{
		{err, `200 "body":""`, `503 "message":"the notes of the releases could not be read`},
		{nil, `200 "body":"the-notes"`, `200 "body":"the-notes"`},
		{err, `200 "body":"the-notes"`, `200 "body":"the-notes"`}, // kept
	} {
		err = c.err
		for target, want := range map[string]string{path + "/latest": c.latest, path: c.list, path + "/tags/v1.1.0": c.list} {
			got := s.send(t, httptest.NewRequest("GET", target, nil))
			if status, text, _ := strings.Cut(want, " "); fmt.Sprint(got.StatusCode) != status || !strings.Contains(got.body, text) {
				t.Errorf("%s with error %v: got status %d and body %s, want %s", target, c.err, got.StatusCode, got.body, want)
			}
		}
	}
}

// TestGitHubAssets downloads files by ID and by name.
func TestGitHubAssets(t *testing.T) {
	s := newFileService(t, false)
	p := s.newProduct(t, "app", `{"repo":"me/app"}`)
	p.publish(`v1.0.0{"files":[{"name":"app_linux_amd64.zip","url":"https://e.com/dl/app_linux_amd64.zip"},{"name":"app_windows_amd64.zip","url":"https://e.com/dl/7?sig=1","size":9,"sha256":"` + strings.Repeat("ab", 32) + `"}]}`)
	s.host(t, "app", "v1.0.0", "latest-linux.yml", "version: 1.0.0", true)
	s.host(t, "app", "v1.0.0", "app_linux_amd64.zip", "content", true)
	p.publish(`v0.9.0{"withdrawn":true,"files":[{"name":"app.zip","url":"https://e.com/old/app.zip"}]}`)
	s.load(t)
	var release struct {
		ID     int64
		Assets []struct {
			ID                int64
			URL, Name, Digest string
			Size              int64
			Type              string `json:"content_type"`
			Download          string `json:"browser_download_url"`
		}
	}
	if err := json.Unmarshal([]byte(s.get(t, "GET", "/repos/me/app/releases/latest").body), &release); err != nil || len(release.Assets) != 3 {
		t.Fatalf("got %+v (error %v), want 3 assets", release, err)
	}
	const base = "http://relcheck.example.com"
	for i, want := range []string{
		`app_linux_amd64.zip application/zip 7 sha256:` + sumOf("content") + ` BASE/files/app/v1.0.0/app_linux_amd64.zip: 200 content; 200 content`,
		`app_windows_amd64.zip application/zip 9 sha256:` + strings.Repeat("ab", 32) + ` BASE/p/app/o/r/releases/download/v1.0.0/app_windows_amd64.zip: 302 https://e.com/dl/7?sig=1; 302 https://e.com/dl/7?sig=1`,
		`latest-linux.yml application/octet-stream 14 sha256:` + sumOf("version: 1.0.0") + ` BASE/files/app/v1.0.0/latest-linux.yml: 200 version: 1.0.0; 200 version: 1.0.0`,
	} {
		a := release.Assets[i]
		got := fmt.Sprintf("%s %s %d %s %s:", a.Name, a.Type, a.Size, a.Digest, strings.Replace(a.Download, base, "BASE", 1))
		for _, path := range []string{strings.TrimPrefix(a.URL, base), "/me/app/releases/download/1.0.0/" + a.Name} {
			res := s.direct(t, path, "Accept", "application/octet-stream")
			got += fmt.Sprintf(" %d %s;", res.StatusCode, res.body+res.Header.Get("Location"))
			if strings.Contains(path, "assets") && res.Header.Get("Vary") != "Accept, Accept-Encoding" {
				t.Errorf("%s: got headers %v, want Vary with Accept", path, res.Header)
			}
		}
		if got != want+";" {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if described := s.get(t, "GET", strings.TrimPrefix(a.URL, base)); described.StatusCode != 200 || !strings.Contains(described.body, fmt.Sprintf(`{"id":%d,"node_id"`, a.ID)) {
			t.Errorf("%s: got status %d and body %s, want the asset", a.URL, described.StatusCode, described.body)
		}
	}
	path := fmt.Sprintf("/repos/me/app/releases/%d/assets?per_page=2", release.ID)
	if got := s.get(t, "GET", path); got.StatusCode != 200 || strings.Count(got.body, `"node_id"`) != 2 || !strings.Contains(got.Header.Get("Link"), `&page=2>; rel="next"`) {
		t.Errorf("%s: got status %d, headers %v and body %s, want 2 assets", path, got.StatusCode, got.Header, got.body)
	}
	for _, path := range []string{"/repos/me/app/releases/assets/3", "/me/app/releases/download/v0.9.0/app.zip", "/me/app/releases/download/v1.0.0/latest-mac.yml"} {
		if got := s.get(t, "GET", path, "Accept", "application/octet-stream"); got.StatusCode != 404 {
			t.Errorf("%s: got status %d and body %s, want 404: the release is withdrawn, or has no such file", path, got.StatusCode, got.body)
		}
	}
}

// direct requests a path without following redirects.
func (s *service) direct(t *testing.T, path string, headers ...string) reply {
	t.Helper()
	client := s.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	defer func() { client.CheckRedirect = nil }()
	return s.get(t, "GET", path, headers...)
}

// checkCounter is a store that sends what it is asked to count to a channel.
type checkCounter struct {
	testStore
	counted chan string
}

func (c checkCounter) Count(product, version string, from checker.Platform) {
	c.counted <- product + " " + version + " " + from.String()
}

func TestGitHubRequestsAreCounted(t *testing.T) {
	counted := make(chan string, 1)
	s := newServiceOn(t, func(h testStore) server.Store { return checkCounter{h, counted} }, catalog.Release{Tag: "v1.22.2"})
	for agent, want := range map[string]string{
		"Open Policy Agent/1.10.1 (linux, amd64)":  "opa 1.10.1 linux/amd64",
		"Open Policy Agent/1.10.1 (amiga, m68k)":   "opa 1.10.1 other/other",
		"Open Policy Agent/1.10.1 (Linux, x86_64)": "opa 1.10.1 linux/amd64",
		"OPA-Version-Checker":                      "",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)": "",
		"AppleWebKit/605.1.15 (KHTML, like Gecko)":                                                 "",
		"Googlebot/2.1 (+http://www.google.com/bot.html)":                                          "",
		"curl/8.7.1":             "",
		"python-requests/2.32.3": "",
		"Go-http-client/1.1":     "",
		"octokit-rest.js/22.0.1 octokit-core.js/7.0.8 Node.js/20.20.2 (linux; x64)": "",
		"Open Policy Agent/1.10\xff (linux, amd64)":                                 "",
	} {
		r := httptest.NewRequest("GET", "/repos/open-policy-agent/opa/releases/latest", nil)
		r.Header.Set("User-Agent", agent)
		s.send(t, r)
		got := ""
		select {
		case got = <-counted:
		default:
		}
		if got != want {
			t.Errorf("%s: got count of %q, want %q", agent, got, want)
		}
	}
}
