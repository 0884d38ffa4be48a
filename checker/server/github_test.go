package server_test

import (
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
	want := `{"tag_name":"v1.22.2","name":"v1.22.2","html_url":"https://github.com/open-policy-agent/opa/releases/tag/v1.22.2",` +
		`"draft":false,"prerelease":false,"created_at":"2026-11-05T23:07:41Z","published_at":"2026-11-05T23:07:41Z","assets":[` +
		`{"name":"opa_darwin_all","browser_download_url":"https://example.com/d/opa_darwin_all"},` +
		`{"name":"opa_linux_amd64","browser_download_url":"https://example.com/d/opa_linux_amd64"}]}` + "\n"
	for path, status := range map[string]int{
		"/repos/open-policy-agent/opa/releases/latest":        200,
		"/repos/Open-Policy-Agent/OPA/releases/latest":        200,
		"/p/opa/repos/open-policy-agent/opa/releases/latest":  200,
		"/p/opa/repos/some/fork/releases/latest":              200,
		"/repos/some/fork/releases/latest":                    404,
		"/p/none/repos/open-policy-agent/opa/releases/latest": 404,
		"/p/relcheck/repos/any/name/releases/latest":          404, // no release
	} {
		got := s.send(t, httptest.NewRequest("GET", path, nil))
		if got.StatusCode != status || status == 200 && got.body != want {
			t.Errorf("%s: got status %d and body %s, want %d and, if 200, %s", path, got.StatusCode, got.body, status, want)
		}
		if status == 404 && !(strings.Contains(got.body, `"message":"Not Found"`) && strings.Contains(got.body, `"error":{"code":"`)) {
			t.Errorf("%s: got body %s, want an error in the formats of GitHub and of relcheck", path, got.body)
		}
	}
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
