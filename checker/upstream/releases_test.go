package upstream

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

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
    {"id": 1, "name": "opa_linux_amd64", "label": null, "state": "uploaded", "size": 20, "content_type": "application/octet-stream",
     "digest": "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855", "browser_download_url": "https://example.com/v0.19.2/opa_linux_amd64"},
    {"id": 2, "name": "opa_darwin_amd64", "state": "starter", "size": 0, "digest": null, "browser_download_url": "https://example.com/v0.19.2/opa_darwin_amd64"},
    {"id": 3, "name": "opa_linux_amd64.sha256", "state": "uploaded", "digest": null, "browser_download_url": "https://example.com/v0.19.2/opa_linux_amd64.sha256"}
  ],
  "body": "## Fixes\r\n\r\n\u2026"
}`

const emptySum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

var opaWant = catalog.Entry{Tag: "v0.19.2", Upstream: catalog.Layer{
	Title:      new("v0.19.2"),
	Notes:      new("https://example.com/open-policy-agent/opa/releases/tag/v0.19.2"),
	Text:       new("## Fixes\n\n…"),
	Created:    new(time.Date(2020, 4, 27, 22, 48, 51, 0, time.UTC)),
	Published:  new(time.Date(2020, 4, 27, 23, 2, 3, 0, time.UTC)),
	Prerelease: new(false),
	Files: []catalog.File{
		{Name: "opa_linux_amd64", URL: "https://example.com/v0.19.2/opa_linux_amd64", Size: 20, SHA256: emptySum, MediaType: "application/octet-stream"},
		{Name: "opa_linux_amd64.sha256", URL: "https://example.com/v0.19.2/opa_linux_amd64.sha256"},
	},
}}

// least returns the entry of a release of GitHub's API that has only a tag.
func least(tag string, edit ...func(*catalog.Layer)) catalog.Entry {
	l := catalog.Layer{}
	for _, e := range edit {
		e(&l)
	}
	return catalog.Entry{Tag: tag, Upstream: l}
}

func draft(tag string) catalog.Entry { return catalog.Entry{Tag: tag, Draft: true} }

func withFiles(files ...catalog.File) func(*catalog.Layer) {
	return func(l *catalog.Layer) { l.Files = files }
}

func TestReadGitHub(t *testing.T) {
	long := strings.Repeat("ü", catalog.MaxText)
	tests := []struct {
		name, text string
		want       []catalog.Entry
	}{
		{"object", opaRelease, []catalog.Entry{opaWant}},
		{"array", "[" + opaRelease + `, {"tag_name": "0.20.0"}]`, []catalog.Entry{opaWant, least("0.20.0")}},
		{"empty array", " [] \n", nil},
		{"byte order mark", "\ufeff[" + opaRelease + "]", []catalog.Entry{opaWant}},
		{"order of the file", `[{"tag_name":"v2.0.0"},{"tag_name":"v1.0.0"}]`, []catalog.Entry{least("v2.0.0"), least("v1.0.0")}},
		{"pre-release", `{"tag_name":"v1.0.0","prerelease":true}`, []catalog.Entry{least("v1.0.0", func(l *catalog.Layer) { l.Prerelease = new(true) })}},
		{"pre-release by version only", `{"tag_name":"v1.0.0-rc.1","prerelease":false}`, []catalog.Entry{least("v1.0.0-rc.1", func(l *catalog.Layer) { l.Prerelease = new(false) })}},
		{"tags that differ in build metadata", `[{"tag_name":"v1.30.0+k3s2"},{"tag_name":"v1.30.0+k3s1"}]`, []catalog.Entry{least("v1.30.0+k3s2"), least("v1.30.0+k3s1")}},
		{"tags that differ in a v", `[{"tag_name":"v1.0.0"},{"tag_name":"1.0.0"},{"tag_name":"V1.0.0"}]`, []catalog.Entry{least("v1.0.0"), least("1.0.0"), least("V1.0.0")}},
		{"tags of all kinds", `[{"tag_name":"nightly"},{"tag_name":"cli/v1.2.3"},{"tag_name":"pkg@1.2.3"},{"tag_name":"2026-05-01"},{"tag_name":"2026.05.01"},{"tag_name":"1.02.3"},{"tag_name":"1.2.0rc1"},{"tag_name":"4.2.Final"},{"tag_name":"版本-1"}]`,
			[]catalog.Entry{least("nightly"), least("cli/v1.2.3"), least("pkg@1.2.3"), least("2026-05-01"), least("2026.05.01"), least("1.02.3"), least("1.2.0rc1"), least("4.2.Final"), least("版本-1")}},
		{"long tag", `{"tag_name":"` + strings.Repeat("a", catalog.MaxTag) + `"}`, []catalog.Entry{least(strings.Repeat("a", catalog.MaxTag))}},
		{"drafts", `[{"tag_name":"nightly","draft":true,"html_url":"no"},{"tag_name":"v2.0.0","draft":true},{"tag_name":"v2.0.0","draft":true},{"tag_name":"v1.0.0"}]`,
			[]catalog.Entry{least("v1.0.0"), draft("nightly"), draft("v2.0.0")}},
		{"drafts before and after their release", `[{"tag_name":"v1.0.0","draft":true},{"tag_name":"v1.0.0"},{"tag_name":"v1.0.0","draft":true}]`, []catalog.Entry{least("v1.0.0")}},
		{"drafts without a valid tag", `[{"draft":true},{"tag_name":"","draft":true},{"tag_name":"a b","draft":true}]`, nil},
		{"unknown dates", `{"tag_name":"1.0.0","created_at":"1970-01-01T00:00:00Z","published_at":"1970-01-01T00:00:00Z"}`, []catalog.Entry{least("1.0.0")}},
		{"created only", `{"tag_name":"1.0.0","created_at":"2021-02-03T04:05:06.7Z","published_at":null}`,
			[]catalog.Entry{least("1.0.0", func(l *catalog.Layer) { l.Created = new(time.Date(2021, 2, 3, 4, 5, 6, 0, time.UTC)) })}},
		{"nulls", `{"tag_name":"1.0.0","html_url":null,"assets":null,"draft":null,"prerelease":null,"body":null,"name":null}`,
			[]catalog.Entry{least("1.0.0", func(l *catalog.Layer) { l.Title, l.Notes, l.Text = new(""), new(""), new("") })}},
		{"unknown keys", `{"tag_name":"1.0.0","x":{"tag_name":5},"y":[[[1e999]]],"TAG_NAME":7,"releases":[]}`, []catalog.Entry{least("1.0.0")}},
		{"lone surrogates in fields that are not read", `[{"tag_name":"1.0.0","author":{"login":"\ud83d"},"\udc00":1,"mentions_count":0}]`, []catalog.Entry{least("1.0.0")}},
		{"lone surrogates in texts", `{"tag_name":"1.0.0","name":"a\ud83d","body":"b\udc00c"}`,
			[]catalog.Entry{least("1.0.0", func(l *catalog.Layer) { l.Title, l.Text = new("a"), new("b\ufffdc") })}},
		{"title", `{"tag_name":"1.0.0","name":" \u001b[31mThe\u202e red\u00a0one \n"}`, []catalog.Entry{least("1.0.0", func(l *catalog.Layer) { l.Title = new("[31mThe red one") })}},
		{"long title", `{"tag_name":"1.0.0","name":"` + long + `"}`, []catalog.Entry{least("1.0.0", func(l *catalog.Layer) { l.Title = new(strings.Repeat("ü", 247) + "...") })}},
		{"text", `{"tag_name":"1.0.0","body":"- a\r\n\t- b\u001b[2J\u202e\u0000\u0085\u200b \ud83d\udc68\u200d\ud83d\udcbb\n\n"}`,
			[]catalog.Entry{least("1.0.0", func(l *catalog.Layer) { l.Text = new("- a\n\t- b[2J 👨\u200d💻\n\n") })}},
		{"long text", `{"tag_name":"1.0.0","body":"a` + long + `"}`,
			[]catalog.Entry{least("1.0.0", func(l *catalog.Layer) { l.Text = new("a" + long[:catalog.MaxText-2]) })}},
		{"files of Gitea", `{"tag_name":"v1","assets":[{"id":1,"name":"b c","size":7,"download_count":3,"uuid":"x","browser_download_url":"https://example.com/b%20c"},{"name":"a","browser_download_url":"https://example.com/a"}]}`,
			[]catalog.Entry{least("v1", withFiles(catalog.File{Name: "a", URL: "https://example.com/a"}, catalog.File{Name: "b c", URL: "https://example.com/b%20c", Size: 7}))}},
		{"files that are not uploaded", `{"tag_name":"v1","assets":[{"name":"a","state":"starter","browser_download_url":"https://example.com/a"},{"name":"b","state":"open","browser_download_url":""},{"name":"c","state":"new","browser_download_url":"https://example.com/c"}]}`,
			[]catalog.Entry{least("v1", func(l *catalog.Layer) { l.Files = []catalog.File{} })}},
		{"digests", `{"tag_name":"v1","assets":[
			{"name":"a","browser_download_url":"https://example.com/a","digest":"sha512:` + strings.Repeat("0a", 64) + `"},
			{"name":"b","browser_download_url":"https://example.com/b","digest":"sha256:123"},
			{"name":"c","browser_download_url":"https://example.com/c","digest":"sha256:` + strings.Repeat("xy", 32) + `"},
			{"name":"d","browser_download_url":"https://example.com/d","digest":"md5:` + strings.Repeat("0", 32) + `"},
			{"name":"e","browser_download_url":"https://example.com/e","digest":"` + emptySum + `","size":-1,"content_type":"a\u001b"}]}`,
			[]catalog.Entry{least("v1", withFiles(catalog.File{Name: "a", URL: "https://example.com/a", SHA512: strings.Repeat("0a", 64)},
				catalog.File{Name: "b", URL: "https://example.com/b"}, catalog.File{Name: "c", URL: "https://example.com/c"},
				catalog.File{Name: "d", URL: "https://example.com/d"}, catalog.File{Name: "e", URL: "https://example.com/e"}))}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := ReadReleases(strings.NewReader(test.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(catalog.List{Name: "file", Entries: test.want}, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			for _, e := range got.Entries {
				if d := e.Upstream.Published; d != nil && d.Location() != time.UTC {
					t.Errorf("date of %s is in %v, want UTC", e.Tag, d.Location())
				}
			}
		})
	}
}

// TestSkipped reads lists with a valid entry, v9, and invalid entries or files.
func TestSkipped(t *testing.T) {
	asset := func(text string) string { return `{"tag_name":"v1.0.0","assets":[` + text + `]}` }
	tests := []struct {
		name, entries string
		want          string   // in the description
		taken         []string // tags, before v9
	}{
		{"hostile tag", `{"tag_name":"v1.2.3\u0000\u001b[31m"}`, `entry 1 (tag "v1.2.3\x00\x1b[31m"): version: "v1.2.3\x00\x1b[31m" cannot be a tag`, nil},
		{"invisible tag", `{"tag_name":"v1.2.3\u200b"}`, `entry 1 (tag "v1.2.3\u200b"): version: `, nil},
		{"turned tag", `{"tag_name":"v1\u202e"}`, `(tag "v1\u202e"): version: `, nil},
		{"lone surrogate in a tag", `{"tag_name":"v1\ud83d"}`, "(tag \"v1\ufffd\"): version: ", nil},
		{"space in a tag", `{"tag_name":"v1 2"}`, `entry 1 (tag "v1 2"): version: `, nil},
		{"long tag", `{"tag_name":"` + strings.Repeat("a", catalog.MaxTag+1) + `"}`, "version: the tag has 201 bytes, and may have 200", nil},
		{"huge tag", `{"tag_name":"` + strings.Repeat("a", 1<<20) + `"}`, "bytes, and may have 200", nil},
		{"repeated tag", `{"tag_name":"v1.0.0","name":"first"},{"tag_name":"v1.0.0","name":"second"}`, `entry 2 (tag "v1.0.0"): has the same tag as entry 1`, []string{"v1.0.0"}},
		{"repeated tag after an invalid entry", `{"tag_name":"v1.0.0","draft":5},{"tag_name":"v1.0.0"}`, `entry 1 (tag "v1.0.0"): "/draft" is a number`, []string{"v1.0.0"}},
		{"notes are no URL", `{"tag_name":"v1.0.0","html_url":"javascript:alert(1)"}`, `entry 1 (tag "v1.0.0"): notes: "javascript:alert(1)": not an http`, nil},
		{"lone surrogate in a URL", `{"tag_name":"v1.0.0","html_url":"https://example.com/\ud83d"}`, `entry 1 (tag "v1.0.0"): notes: "https://example.com/?": `, nil},
		{"date", `{"tag_name":"v1.0.0","published_at":"yesterday"}`, `entry 1 (tag "v1.0.0"): "yesterday" is not a date`, nil},
		{"other date", `{"tag_name":"v1.0.0","created_at":"2020-13-01T00:00:00Z"}`, `"2020-13-01T00:00:00Z" is not a date`, nil},
		{"year 10000", `{"tag_name":"v1.0.0","created_at":"9999-12-31T23:59:59-01:00"}`, `"9999-12-31T23:59:59-01:00" is not a date`, nil},
		{"type of the tag", `{"tag_name":1}`, `entry 1: "/tag_name" is a number, not a string`, nil},
		{"type of a flag", `{"draft":"no","tag_name":"v1.0.0"}`, `entry 1 (tag "v1.0.0"): "/draft" is a string, not true or false`, nil},
		{"type of a text", `{"tag_name":"v1.0.0","body":7}`, `"/body" is a number, not a string`, nil},
		{"type of the files", `{"tag_name":"v1.0.0","assets":{}}`, `"/assets" is an object, not an array`, nil},
		{"type of a date", `{"tag_name":"v1.0.0","published_at":1587999999}`, `"/published_at" is a number, not a string`, nil},
		{"null", `null`, "entry 1: is null, not an object", nil},
		{"array", `[{"tag_name":"v1.0.0"}]`, "entry 1: is an array, not an object", nil},
		{"no tag", `{"name":"v1.0.0"}`, "entry 1: no tag_name: expected releases", nil},
		{"error of the API", `{"message":"Not Found"}`, `entry 1: the file contains an error of the API ("Not Found") instead of releases`, nil},

		{"file without a web URL", asset(`{"name":"opa_linux_amd64","browser_download_url":"file:///etc/passwd"}`),
			`entry 1 (tag "v1.0.0"): file "opa_linux_amd64": "file:///etc/passwd": not an http`, []string{"v1.0.0"}},
		{"file with a password", asset(`{"name":"a","browser_download_url":"https://me:secret@example.com/a"}`), `file "a": "https://…@example.com/a": `, []string{"v1.0.0"}},
		{"file without a URL", asset(`{"name":"a"}`), `file "a": "": not an http`, []string{"v1.0.0"}},
		{"file without a name", asset(`{"browser_download_url":"https://example.com/a"}`), `file "": text is blank`, []string{"v1.0.0"}},
		{"file in a folder", asset(`{"name":"../a","browser_download_url":"https://example.com/a"}`), `file "../a": not the name of a file`, []string{"v1.0.0"}},
		{"file with a hostile name", asset(`{"name":"a\u001b[31m","browser_download_url":"https://example.com/a"}`), `file "a\x1b[31m": character 2 (U+001B)`, []string{"v1.0.0"}},
		{"lone surrogate in a file's name", asset(`{"name":"a\ud83d","browser_download_url":"https://example.com/a"}`), "character 2 (U+FFFD)", []string{"v1.0.0"}},
		{"files of one name", asset(`{"name":"a","browser_download_url":"https://example.com/1"},{"name":"a","browser_download_url":"https://example.com/2"}`),
			`file "a": has the name of another file`, []string{"v1.0.0"}},
		{"type of a file", asset(`[]`), `file "": is an array, not an object`, []string{"v1.0.0"}},
		{"null file", asset(`null`), `file "": is null, not an object`, []string{"v1.0.0"}},
		{"type of a size", asset(`{"name":"a","size":"7","browser_download_url":"https://example.com/a"}`), `"/size" is a string, not a whole number`, []string{"v1.0.0"}},
		{"too many files", asset(strings.TrimSuffix(manyAssets(catalog.MaxFiles+1), ",")), "files: there are 1001", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := ReadReleases(strings.NewReader(`[` + test.entries + `,{"tag_name":"v9"}]`))
			if err != nil {
				t.Fatal(err)
			}
			if len(got.Skipped) != 1 || !strings.Contains(got.Skipped[0], test.want) {
				t.Errorf("skipped: got %.1000q, want %q", got.Skipped, test.want)
			}
			if len(got.Skipped) == 1 && (len(got.Skipped[0]) > 1000 || printable.Check(strings.ReplaceAll(got.Skipped[0], "\ufffd", "")) != nil) {
				t.Errorf("got a description of %d bytes or with control characters", len(got.Skipped[0]))
			}
			var tags []string
			for _, e := range got.Entries {
				tags = append(tags, e.Tag)
			}
			if want := append(test.taken, "v9"); !cmp.Equal(want, tags) {
				t.Errorf("got tags %q, want %q", tags, want)
			}
			for _, e := range got.Entries {
				if len(test.taken) > 0 && strings.Contains(test.name, "file") && len(e.Upstream.Files) > 1 {
					t.Errorf("%s has files %v, want at most one", e.Tag, e.Upstream.Files)
				}
			}
		})
	}
}

func manyAssets(n int) string {
	var b strings.Builder
	for i := range n {
		name := strings.Repeat("a", 1+i/26) + string(rune('a'+i%26))
		b.WriteString(`{"name":"` + name + `","browser_download_url":"https://example.com/` + name + `"},`)
	}
	return b.String()
}

// TestUnread checks that a list names the tags of entries that were skipped, and that a
// draft does not replace them.
func TestUnread(t *testing.T) {
	got, err := ReadReleases(strings.NewReader(`[{"tag_name":"v1","draft":true},{"tag_name":"v1","created_at":"?"},{"tag_name":"v2","assets":7},{"tag_name":"a b"},{"tag_name":"v3"},7]`))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"v1", "v2"}; !cmp.Equal(got.Unread, want) || len(got.Entries) != 1 || len(got.Skipped) != 4 {
		t.Errorf("got unread %q, entries %v, skipped %q, want unread %q and one entry", got.Unread, got.Entries, got.Skipped, want)
	}
}

func TestReadAPI(t *testing.T) {
	const page = `{"product": "opa", "next": null, "releases": [
		{"version":"v1.1.0","title":"One","date":"2026-01-31T12:00:00Z","created":"2026-01-30T12:00:00Z","notes":"https://example.com/notes","body":"# Text\n",
		 "prerelease":true,"withdrawn":true,"reason":"broken","latest":false,"unknown":[1],
		 "assets":{"linux/amd64":"https://example.com/ignored"},
		 "files":[{"id":7,"name":"b","url":"https://example.com/b","size":5,"sha256":"` + emptySum + `","media_type":"text/plain","platform":"windows/386"},
		          {"name":"a","url":"https://example.com/a","sha512":"","size":0},{"name":"a","url":"https://example.com/c"},{"name":"d","url":"/d"},{"name":"e","url":"https://example.com/e","platform":"amiga/m68k"}]},
		{"version":"nightly","date":null,"notes":null,"prerelease":false,"withdrawn":false,"retracted":null,"latest":true,
		 "assets":{"windows/amd64":"https://example.com/x.exe?download=1","linux/amd64":"https://example.com/x","amiga/m68k":"https://example.com/m","linux/arm64":"ftp://example.com/x"}},
		{"version":"v1.0.0","retracted":"retracted upstream","withdrawn":false,"assets":{},"files":[]},
		{"version":"v1.0.0"},
		{"version":7}
	]}`
	got, err := ReadReleases(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	with := func(tag string, edit func(*catalog.Layer)) catalog.Entry {
		return least(tag, func(l *catalog.Layer) {
			l.Notes, l.Prerelease, l.Withdrawn, l.Reason, l.Files = new(""), new(false), new(false), new(""), []catalog.File{}
			edit(l)
		})
	}
	want := catalog.List{Name: "file", Unread: []string{"v1.0.0"}, Entries: []catalog.Entry{
		{Tag: "v1.1.0", Upstream: catalog.Layer{Title: new("One"), Notes: new("https://example.com/notes"), Text: new("# Text\n"),
			Created: new(time.Date(2026, 1, 30, 12, 0, 0, 0, time.UTC)), Published: new(time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)),
			Prerelease: new(true), Withdrawn: new(true), Reason: new("broken"), Files: []catalog.File{
				{Name: "a", URL: "https://example.com/a"},
				{Name: "b", URL: "https://example.com/b", Size: 5, SHA256: emptySum, MediaType: "text/plain", Platform: checker.Platform{OS: "windows", Arch: "386"}},
			}}},
		with("nightly", withFiles(
			catalog.File{Name: "x", Platform: checker.Platform{OS: "linux", Arch: "amd64"}, URL: "https://example.com/x"},
			catalog.File{Name: "x.exe", Platform: checker.Platform{OS: "windows", Arch: "amd64"}, URL: "https://example.com/x.exe?download=1"})),
		with("v1.0.0", func(l *catalog.Layer) { l.Withdrawn, l.Reason = new(true), new("retracted upstream") }),
	}}
	skipped := got.Skipped
	got.Skipped = nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	wantSkipped := []string{
		`a file of entry 1 (tag "v1.1.0"): file "a": has the name of another file`,
		`a file of entry 1 (tag "v1.1.0"): file "d": "/d": not an http`,
		`a file of entry 1 (tag "v1.1.0"): file "e": unknown platform "amiga/m68k"`,
		`a file of entry 2 (tag "nightly"): file "m": unknown platform "amiga/m68k"`,
		`a file of entry 2 (tag "nightly"): file "x": "ftp://example.com/x": not an http`,
		`entry 4 (tag "v1.0.0"): has the same tag as entry 3`,
		`entry 5: "/version" is a number, not a string`,
	}
	if len(skipped) != len(wantSkipped) {
		t.Fatalf("skipped: got %q, want %q", skipped, wantSkipped)
	}
	for i, want := range wantSkipped {
		if !strings.HasPrefix(skipped[i], want) {
			t.Errorf("skipped: got %q, want %q", skipped[i], want)
		}
	}
}

func TestReadReleasesErrors(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string // parts of the error
	}{
		{"all bad entries", `[{"tag_name":"a b"},{"tag_name":"c d"}]`, []string{`entry 1 (tag "a b")`, `entry 2 (tag "c d")`}},
		{"many bad entries", `[1` + strings.Repeat(`,1`, 29) + `]`, []string{"entry 1: is a number", "entry 20: is", "more invalid entries: 10"}},
		{"no tag", `{"name":"v1.0.0"}`, []string{"entry 1: no tag_name: expected releases"}},
		{"API error", `{"message":"Not Found","documentation_url":"https://docs.example.com","status":"404"}`,
			[]string{`the file contains an error of the API ("Not Found") instead of releases`}},
		{"empty object", `{}`, []string{"entry 1: no tag_name"}},
		{"releases are no array", `{"releases":{}}`, []string{"the file has no array of releases"}},
		{"bad entries of relcheck's API", `{"product":"opa","releases":[{"tag_name":"v1"}]}`, []string{"entry 1: version: the tag is missing"}},
		{"later format of exports", `{"relcheck_export":2,"releases":[]}`, []string{"version \"2\" of the export format, not 1"}},
		{"export without releases", `{"relcheck_export":1}`, []string{"the file has no array of releases"}},
		{"truncated export", `{"relcheck_export":1,"releases":[{"tag":"v1"},`, []string{"the file is truncated"}},
		{"empty", "", []string{"the file is empty: expected releases"}},
		{"blank", " \n", []string{"the file is empty"}},
		{"null", "null", []string{"the file contains null: expected releases"}},
		{"string", `"v1.0.0"`, []string{"the file contains a string"}},
		{"page", "<!DOCTYPE html>", []string{"it is a web page, for example a sign-in page: expected releases"}},
		{"truncated array", "[" + opaRelease, []string{"the file is truncated"}},
		{"truncated entry", opaRelease[:300], []string{"the file is truncated"}},
		{"truncated start", "[", []string{"the file is truncated"}},
		{"trailing comma", `[{"tag_name":"v1.0.0"},]`, []string{"not valid JSON"}},
		{"no comma", `[{"tag_name":"v1.0.0"}{"tag_name":"v1.0.1"}]`, []string{"not valid JSON"}},
		{"second page", `[{"tag_name":"v1.0.0"}][{"tag_name":"v1.0.1"}]`, []string{"not valid JSON", "jq -s add"}},
		{"garbage after it", `{"tag_name":"v1.0.0"} x`, []string{"not valid JSON"}},
		{"duplicate keys", `{"tag_name":"v1.0.0","tag_name":"v2.0.0"}`, []string{"not valid JSON", "tag_name"}},
		{"invalid UTF-8", "{\"tag_name\":\"v1.0.0\",\"body\":\"\xff\"}", []string{"invalid UTF-8: save it as UTF-8"}},
		{"UTF-16", "\xff\xfe[\x00]\x00", []string{"UTF-16: save it as UTF-8"}},
		{"deep nesting", `[{"tag_name":"v1.0.0","x":` + strings.Repeat("[", 20000), []string{"not valid JSON"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			list, err := ReadReleases(strings.NewReader(test.text))
			if err == nil || list.Entries != nil {
				t.Fatalf("got %v, error %v, want no entries and an error", list, err)
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

func TestReadReleasesBrokenReader(t *testing.T) {
	broken := errors.New("cable pulled")
	for _, text := range []string{"", "[", `{"tag_name":"v1.0.0"`, `{"tag_name":"v1.0.0"}`} {
		r := io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken))
		if _, err := ReadReleases(r); !errors.Is(err, broken) {
			t.Errorf("after %q: error %v, want %v", text, err, broken)
		}
	}
	// This reader continues after an error, which must not count as success.
	if _, err := ReadReleases(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(opaRelease)))); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("error %v, want %v", err, iotest.ErrTimeout)
	}
}

func FuzzReadReleases(f *testing.F) {
	for _, seed := range []string{opaRelease, "[" + opaRelease + "]", `[{"tag_name":"1"},null]`, `{"message":"no"}`, "\ufeff[]", "\xff\xfe", "[[", `{"assets":[{}]}`,
		`{"product":"p","releases":[{"version":"1","assets":{"linux/amd64":"https://example.com/a"}}]}`,
		`{"relcheck_export":1,"product":{},"releases":[{"tag":"1","upstream":{"files":[{"name":"a"}]},"operator":{"reason":"\ud83d"}}]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := ReadReleases(bytes.NewReader(text))
		if err != nil && list.Entries != nil {
			t.Fatalf("got %d entries and error %v, want no entries", len(list.Entries), err)
		}
		seen := make(map[string]bool)
		for _, e := range list.Entries {
			if catalog.CheckTag(e.Tag) != nil || seen[e.Tag] {
				t.Errorf("got invalid or repeated tag %q", e.Tag)
			}
			seen[e.Tag] = true
			checkLayer(t, &e.Upstream)
			if e.Operator != nil {
				checkLayer(t, e.Operator)
			}
		}
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := WriteExport(&b, catalog.Product{Name: "p"}, each(list.Entries)); err != nil {
			t.Fatal(err)
		}
		again, err := ReadReleases(&b)
		if err != nil || again.Skipped != nil {
			t.Fatalf("exported: error %v, skipped %q", err, again.Skipped)
		}
		if diff := cmp.Diff(list.Entries, again.Entries); diff != "" {
			t.Errorf("exported: -want +got:\n%s", diff)
		}
	})
}

// checkLayer reports an error if a layer from an untrusted file has invalid content.
func checkLayer(t *testing.T, l *catalog.Layer) {
	if err := l.Check(); err != nil {
		t.Errorf("got an invalid layer: %v", err)
	}
	if l.Text != nil && (!utf8.ValidString(*l.Text) || strings.ContainsAny(*l.Text, "\x00\x1b\r\u202e")) {
		t.Errorf("got invalid text %q", *l.Text)
	}
	if l.Reason != nil && (printable.Check(*l.Reason) != nil || utf8.RuneCountInString(*l.Reason) > maxReason) {
		t.Errorf("got invalid reason %q", *l.Reason)
	}
	for _, f := range l.Files {
		if printable.Check(f.Name) != nil || printable.Check(f.MediaType) != nil || strings.ContainsAny(f.Name, `/\`) || f.Size < 0 ||
			f.SHA256 != cleanHash(f.SHA256, 32) || f.SHA512 != cleanHash(f.SHA512, 64) {
			t.Errorf("got invalid file %+v", f)
		}
	}
}
