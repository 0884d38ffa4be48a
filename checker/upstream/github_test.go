package upstream

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/printable"
)

// opaRelease is a shortened release from GitHub's API.
const opaRelease = `{
  "url": "https://api.example.com/repos/open-policy-agent/opa/releases/25931442",
  "id": 25931442,
  "author": {"login": "tsandall", "site_admin": false},
  "html_url": "https://example.com/open-policy-agent/opa/releases/tag/v0.19.2",
  "tag_name": "v0.19.2",
  "name": "v0.19.2",
  "draft": false,
  "prerelease": false,
  "created_at": "2020-04-27T22:48:51Z",
  "published_at": "2020-04-28T01:02:03+02:00",
  "assets": [
    {"id": 1, "name": "opa_linux_amd64", "size": 20, "browser_download_url": "https://example.com/v0.19.2/opa_linux_amd64"},
    {"id": 2, "name": "opa_linux_amd64.sha256", "browser_download_url": "https://example.com/v0.19.2/opa_linux_amd64.sha256"},
    {"id": 3, "name": "opa_windows_amd64.exe", "browser_download_url": "https://example.com/v0.19.2/opa_windows_amd64.exe"}
  ],
  "body": "## Fixes\n\n\u2026"
}`

var opaWant = catalog.Release{
	Version: "v0.19.2",
	Notes:   "https://example.com/open-policy-agent/opa/releases/tag/v0.19.2",
	Date:    time.Date(2020, 4, 27, 23, 2, 3, 0, time.UTC),
	Assets: map[checker.Platform]string{
		{OS: "linux", Arch: "amd64"}:   "https://example.com/v0.19.2/opa_linux_amd64",
		{OS: "windows", Arch: "amd64"}: "https://example.com/v0.19.2/opa_windows_amd64.exe",
	},
}

func TestReadGitHub(t *testing.T) {
	least := func(version string, pre bool) catalog.Release {
		return catalog.Release{Version: version, Prerelease: pre, Assets: map[checker.Platform]string{}}
	}
	dated := least("1.0.0", false)
	dated.Date = time.Date(2021, 2, 3, 4, 5, 6, 0, time.UTC)
	tests := []struct {
		name, text string
		want       []catalog.Release
	}{
		{"object", opaRelease, []catalog.Release{opaWant}},
		{"array", "[" + opaRelease + `, {"tag_name": "0.20.0"}]`, []catalog.Release{opaWant, least("0.20.0", false)}},
		{"empty array", " [] \n", nil},
		{"byte order mark", "\ufeff[" + opaRelease + "]", []catalog.Release{opaWant}},
		{"order of the file", `[{"tag_name":"v2.0.0"},{"tag_name":"v1.0.0"}]`, []catalog.Release{least("v2.0.0", false), least("v1.0.0", false)}},
		{"marked as a pre-release", `{"tag_name":"v1.0.0","prerelease":true}`, []catalog.Release{least("v1.0.0", true)}},
		{"pre-release by version", `{"tag_name":"v1.0.0-rc.1","prerelease":false}`, []catalog.Release{least("v1.0.0-rc.1", true)}},
		{"build metadata", `{"tag_name":"1.0.0+build.5"}`, []catalog.Release{least("1.0.0+build.5", false)}},
		{"drafts", `[{"tag_name":"nightly","draft":true,"html_url":"no"},{"tag_name":"v1.0.0","draft":true},{"tag_name":"v1.0.0"}]`,
			[]catalog.Release{least("v1.0.0", false)}},
		{"created only", `{"tag_name":"1.0.0","created_at":"2021-02-03T04:05:06Z","published_at":null}`, []catalog.Release{dated}},
		{"nulls", `{"tag_name":"1.0.0","html_url":null,"assets":null,"draft":null,"body":null}`, []catalog.Release{least("1.0.0", false)}},
		{"unknown keys", `{"tag_name":"1.0.0","x":{"tag_name":5},"y":[[[1e999]]],"TAG_NAME":7}`, []catalog.Release{least("1.0.0", false)}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := ReadGitHub(strings.NewReader(test.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			for _, r := range got {
				if r.Date.Location() != time.UTC {
					t.Errorf("date of %s is in %v, want UTC", r.Version, r.Date.Location())
				}
			}
		})
	}
}

func TestReadGitHubErrors(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string // parts of the error
	}{
		{"not a version", `[` + opaRelease + `,{"tag_name":"nightly"}]`, []string{`entry 2 (tag "nightly"): not a semantic version`}},
		{"prefixed version", `{"tag_name":"release-1.2.3"}`, []string{`entry 1 (tag "release-1.2.3"): not a semantic version`}},
		{"version in a folder", `{"tag_name":"foo/v1.2.3"}`, []string{`entry 1 (tag "foo/v1.2.3")`}},
		{"long version", `{"tag_name":"v1.2.3-` + strings.Repeat("a", 80) + `"}`, []string{"not a semantic version"}},
		{"huge version", `{"tag_name":"v1.2.3-` + strings.Repeat("a", 1<<20) + `"}`, []string{"not a semantic version"}},
		{"hostile version", `{"tag_name":"v1.2.3\u0000\u001b[31m"}`, []string{`(tag "v1.2.3\x00\x1b[31m")`, "not a semantic version"}},
		{"all bad entries", `[{"tag_name":"a"},{"tag_name":"v1.0.0"},{"tag_name":"b"}]`, []string{`entry 1 (tag "a")`, `entry 3 (tag "b")`}},
		{"many bad entries", `[1` + strings.Repeat(`,1`, 29) + `]`, []string{"entry 1: is a number", "entry 20: is", "and 10 more invalid entries"}},
		{"notes are no URL", `{"tag_name":"v1.0.0","html_url":"javascript:alert(1)"}`, []string{`entry 1 (tag "v1.0.0"): html_url: "javascript:alert(1)": not an http`}},
		{"asset is no URL", `{"tag_name":"v1.0.0","assets":[{"name":"opa_linux_amd64","browser_download_url":"file:///etc/passwd"}]}`,
			[]string{`entry 1 (tag "v1.0.0"): assets[0] ("opa_linux_amd64"): browser_download_url: "file:///etc/passwd": not`}},
		{"asset without a URL", `{"tag_name":"v1.0.0","assets":[null]}`, []string{"assets[0]"}},
		{"date", `{"tag_name":"v1.0.0","published_at":"yesterday"}`, []string{`entry 1 (tag "v1.0.0"): published_at: "yesterday" is not a date`}},
		{"other date", `{"tag_name":"v1.0.0","created_at":"2020-13-01T00:00:00Z"}`, []string{`created_at: "2020-13-01T00:00:00Z" is not a date`}},
		{"duplicate", `[{"tag_name":"v1.0.0"},{"tag_name":"v2.0.0"},{"tag_name":"1.0.0+x"}]`,
			[]string{`entry 3 (tag "1.0.0+x"): same version as entry 1 (tag "v1.0.0")`}},
		{"type of the tag", `[{"tag_name":1}]`, []string{"entry 1: /tag_name is a number, not a string"}},
		{"type of a flag", `[{"draft":"no","tag_name":"v1.0.0"}]`, []string{`entry 1 (tag "v1.0.0"): /draft is a string, not true or false`}},
		{"type of the assets", `[{"tag_name":"v1.0.0","assets":{}}]`, []string{"/assets is an object, not an array"}},
		{"type of an asset", `[{"tag_name":"v1.0.0","assets":[[]]}]`, []string{"/assets/0 is an array, not an object"}},
		{"type of a date", `{"tag_name":"v1.0.0","published_at":1587999999}`, []string{"/published_at is a number, not a string"}},
		{"null entry", `[null]`, []string{"entry 1: is null, not a release"}},
		{"pages in an array", `[[{"tag_name":"v1.0.0"}]]`, []string{"entry 1: is an array, not a release"}},
		{"no tag", `{"name":"v1.0.0"}`, []string{"entry 1: no tag_name: expected one release or an array"}},
		{"API error", `{"message":"Not Found","documentation_url":"https://docs.example.com","status":"404"}`,
			[]string{`the file contains an error of the API ("Not Found") instead of releases`}},
		{"empty", "", []string{"the file is empty: expected one release"}},
		{"blank", " \n", []string{"the file is empty"}},
		{"null", "null", []string{"the file contains null: expected one release"}},
		{"string", `"v1.0.0"`, []string{"the file contains a string"}},
		{"page", "<!DOCTYPE html>", []string{"not valid JSON", "expected one release"}},
		{"truncated array", "[" + opaRelease, []string{"the file is truncated"}},
		{"truncated entry", opaRelease[:300], []string{"the file is truncated"}},
		{"truncated start", "[", []string{"the file is truncated"}},
		{"trailing comma", `[{"tag_name":"v1.0.0"},]`, []string{"not valid JSON"}},
		{"no comma", `[{"tag_name":"v1.0.0"}{"tag_name":"v1.0.1"}]`, []string{"not valid JSON", "expected one release"}},
		{"second page", `[{"tag_name":"v1.0.0"}][{"tag_name":"v1.0.1"}]`, []string{"not valid JSON", "jq -s add"}},
		{"garbage after it", `{"tag_name":"v1.0.0"} x`, []string{"not valid JSON"}},
		{"duplicate keys", `{"tag_name":"v1.0.0","tag_name":"v2.0.0"}`, []string{"not valid JSON", "tag_name"}},
		{"invalid UTF-8", "{\"tag_name\":\"v1.0.0\",\"body\":\"\xff\"}", []string{"not valid JSON in UTF-8", "invalid UTF-8"}},
		{"UTF-16", "\xff\xfe[\x00]\x00", []string{"UTF-16: save it as UTF-8"}},
		{"deep nesting", `[{"tag_name":"v1.0.0","x":` + strings.Repeat("[", 20000), []string{"not valid JSON"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			releases, err := ReadGitHub(strings.NewReader(test.text))
			if err == nil || releases != nil {
				t.Fatalf("got %v, error %v, want no releases and an error", releases, err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got error %q, want %q in it", err, want)
				}
			}
			if len(err.Error()) > 5000 {
				t.Errorf("got an error of %d bytes, want up to 5,000", len(err.Error()))
			}
		})
	}
}

func TestReadGitHubBrokenReader(t *testing.T) {
	broken := errors.New("cable pulled")
	for _, text := range []string{"", "[", `{"tag_name":"v1.0.0"`, `{"tag_name":"v1.0.0"}`} {
		r := io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken))
		if _, err := ReadGitHub(r); !errors.Is(err, broken) {
			t.Errorf("after %q: error %v, want %v", text, err, broken)
		}
	}
	// This one goes on after an error, which must not pass for success.
	if _, err := ReadGitHub(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(opaRelease)))); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("error %v, want %v", err, iotest.ErrTimeout)
	}
}

func FuzzReadGitHub(f *testing.F) {
	for _, seed := range []string{opaRelease, "[" + opaRelease + "]", `[{"tag_name":"1"},null]`, `{"message":"no"}`, "\ufeff[]", "\xff\xfe", "[[", `{"assets":[{}]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		releases, err := ReadGitHub(bytes.NewReader(text))
		if err != nil && releases != nil {
			t.Fatalf("got %d releases and error %v, want no releases", len(releases), err)
		}
		seen := make(map[string]bool)
		for _, r := range releases {
			canonical := checker.Canonical(r.Version)
			if canonical == "" || !checker.ValidVersion(r.Version) || seen[canonical] {
				t.Errorf("got invalid or duplicate version %q", r.Version)
			}
			seen[canonical] = true
			if r.Notes != "" && printable.CheckLink(r.Notes) != nil {
				t.Errorf("got invalid notes %q", r.Notes)
			}
			for p, url := range r.Assets {
				if !p.Known() || printable.CheckLink(url) != nil {
					t.Errorf("got invalid asset %q for %v", url, p)
				}
			}
		}
	})
}
