package server_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"relcheck/checker/catalog"
)

// releaseDetails is a release as the API describes it.
type releaseDetails struct {
	ID         int64
	Version    string
	Title      string
	Date       *string
	Notes      *string
	Body       string
	Prerelease bool
	Withdrawn  bool
	Latest     bool
	Assets     map[string]string
	Files      []struct {
		ID             int64
		Name, URL      string
		Platform       *string
		Size           int64
		SHA256, SHA512 *string
		MediaType      *string `json:"media_type"`
	}
	Upstream, Operator *catalog.Layer
}

func (p *publisher) details(tag string) (d releaseDetails) {
	p.t.Helper()
	body := p.want("200", "GET", tag, "")
	if err := json.Unmarshal([]byte(body), &d); err != nil {
		p.t.Fatalf("GET %s: got %s (error %v)", tag, body, err)
	}
	return d
}

// describe describes the files: "name platform url sha256", sorted.
func (d *releaseDetails) describe() string {
	var all []string
	for _, f := range d.Files {
		text := f.Name + " " + strings.TrimPrefix(f.URL, "https://e.com/")
		if f.Platform != nil {
			text += " for " + *f.Platform
		}
		if f.Size > 0 {
			text += fmt.Sprint(" size ", f.Size)
		}
		for _, sum := range []*string{f.SHA256, f.SHA512} {
			if sum != nil {
				text += " " + (*sum)[:2] + fmt.Sprint(len(*sum))
			}
		}
		if f.MediaType != nil {
			text += " " + *f.MediaType
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}

// putNow is put, and does not wait for the server to notice the change.
func (s *service) putNow(t testing.TB, product string, releases ...catalog.Release) {
	t.Helper()
	s.put(t, product, releases...)
	if err := s.handler.SetClock(t.Context(), time.Now); err != nil {
		t.Fatal(err)
	}
}

func hash(digits string, bytes int) string { return strings.Repeat(digits, bytes) }

// TestFilesOfRelease changes the files of a release step by step, and checks its files and
// the downloads that are offered.
func TestFilesOfRelease(t *testing.T) {
	s := newService(t)
	p := s.newProduct(t, "app", "")
	sums := hash("ab", 32) + "  app_linux_amd64.tar.gz\\n" + hash("cd", 64) + " *app_windows_amd64.zip\\n# comment\\n" + hash("ef", 32) + "  unknown.zip\\n"
	for _, step := range []struct{ body, files, linux, windows string }{
		{`{"files":[{"name":"app_linux_amd64.tar.gz","url":"https://e.com/l"},{"name":"app_windows_amd64.zip","url":"https://e.com/w","size":7,"media_type":"application/zip"}]}`,
			"app_linux_amd64.tar.gz l; app_windows_amd64.zip w size 7 application/zip", "l", "w"},
		{`{"files":[{"name":"app_linux_amd64.tar.gz.sha256","url":"https://e.com/s"},{"name":"app_linux_amd64.deb","url":"https://e.com/deb"}]}`,
			"app_linux_amd64.deb deb; app_linux_amd64.tar.gz l; app_linux_amd64.tar.gz.sha256 s; app_windows_amd64.zip w size 7 application/zip", "l", "w"},
		{`{"checksums":"` + sums + `"}`,
			"app_linux_amd64.deb deb; app_linux_amd64.tar.gz l ab64; app_linux_amd64.tar.gz.sha256 s; app_windows_amd64.zip w size 7 cd128 application/zip", "l", "w"},
		{`{"files":[{"name":"app_linux_amd64.tar.gz","size":9,"sha256":"` + strings.ToUpper(hash("12", 32)) + `"}]}`,
			"app_linux_amd64.deb deb; app_linux_amd64.tar.gz l size 9 1264; app_linux_amd64.tar.gz.sha256 s; app_windows_amd64.zip w size 7 cd128 application/zip", "l", "w"},
		{`{"assets":{"linux/amd64":"https://e.com/deb"}}`,
			"app_linux_amd64.deb deb; app_linux_amd64.tar.gz l size 9 1264; app_linux_amd64.tar.gz.sha256 s; app_windows_amd64.zip w size 7 cd128 application/zip; deb deb for linux/amd64", "deb", "w"},
		{`{"assets":{"linux/amd64":null}}`,
			"app_linux_amd64.deb deb; app_linux_amd64.tar.gz l size 9 1264; app_linux_amd64.tar.gz.sha256 s; app_windows_amd64.zip w size 7 cd128 application/zip", "", "w"},
		{`{"assets":{"linux/amd64":"https://e.com/new"},"checksums":"` + hash("34", 32) + `  new\n"}`,
			"app_linux_amd64.deb deb; app_linux_amd64.tar.gz l size 9 1264; app_linux_amd64.tar.gz.sha256 s; app_windows_amd64.zip w size 7 cd128 application/zip; new new for linux/amd64 3464", "new", "w"},
		{`{"assets":{"linux/amd64":"https://e.com/new"}}`, // keeps the checksum
			"app_linux_amd64.deb deb; app_linux_amd64.tar.gz l size 9 1264; app_linux_amd64.tar.gz.sha256 s; app_windows_amd64.zip w size 7 cd128 application/zip; new new for linux/amd64 3464", "new", "w"},
		{`{"assets":{"windows/amd64":"https://e.com/w"}}`, // the same file, with its description
			"app_linux_amd64.deb deb; app_linux_amd64.tar.gz l size 9 1264; app_linux_amd64.tar.gz.sha256 s; app_windows_amd64.zip w size 7 cd128 application/zip; new new for linux/amd64 3464; w w for windows/amd64 size 7 cd128 application/zip", "new", "w"},
	} {
		p.edit(t, p.token, "PUT", p.path("v1.0.0"), step.body)
		d := p.details("v1.0.0")
		if got := d.describe(); got != step.files {
			t.Errorf("PUT %s: got files  %s\nwant %s", step.body, got, step.files)
		}
		for platform, want := range map[string]string{"linux": step.linux, "windows": step.windows} {
			if got := strings.TrimPrefix(p.report("", "0.1.0", "User-Agent", "App/0.1.0 ("+platform+", amd64)").Download, "https://e.com/"); got != want {
				t.Errorf("PUT %s: got download %q for %s, want %q", step.body, got, platform, want)
			}
			if got := strings.TrimPrefix(d.Assets[platform+"/amd64"], "https://e.com/"); got != want {
				t.Errorf("PUT %s: got asset %q for %s, want %q", step.body, got, platform, want)
			}
		}
	}
}

// TestUnknownChecksums checks that an answer names the checksums of files that the release
// does not have.
func TestUnknownChecksums(t *testing.T) {
	p := newService(t).newProduct(t, "app", "")
	p.want("201", "PUT", "v1.0.0", `{"files":[{"name":"a","url":"https://e.com/a"}]}`)
	sums := ""
	for _, name := range []string{"a", "b1", "b2", "b3", "b4", "b5", "b6"} {
		sums += hash("ab", 32) + "  " + name + `\n`
	}
	const want = `"hints":["it has no files with these names, so their checksums and sizes are not shown: b1, b2, b3, b4, b5 and 1 more"]`
	if got := p.want("200", "PUT", "v1.0.0", `{"checksums":"`+sums+`"}`); !strings.Contains(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestFileErrors checks the error about each kind of invalid file, and that it changes
// nothing.
func TestFileErrors(t *testing.T) {
	s := newService(t)
	p := s.newProduct(t, "app", "")
	p.publish(`v1.0.0`)
	before := p.want("200", "GET", "v1.0.0", "")
	many := strings.Repeat(`{"name":"a"},`, 100_000)
	for _, c := range []struct{ body, want string }{
		{`{"files":[{"url":"https://e.com/a"}]}`, "400 invalid_field files"},
		{`{"files":[{"name":"","url":"https://e.com/a"}]}`, "400 invalid_field files"},
		{`{"files":[{"name":"a/b","url":"https://e.com/a"}]}`, "400 invalid_field files"},
		{`{"files":[{"name":"..","url":"https://e.com/a"}]}`, "400 invalid_field files"},
		{`{"files":[{"name":"a\u202eb","url":"https://e.com/a"}]}`, "400 invalid_field files"},
		{`{"files":[{"name":"` + strings.Repeat("a", 256) + `","url":"https://e.com/a"}]}`, "400 invalid_field files"},
		{`{"files":[{"name":"a","url":"javascript:alert(1)"}]}`, "400 invalid_field files"},
		{`{"files":[{"name":"a","url":"https://u:secret@e.com/a"}]}`, "400 invalid_field files"},
		{`{"files":[{"name":"a","url":"https://e.com/a#b"}]}`, "400 invalid_field files"},
		{`{"files":[{"name":"a","size":-1}]}`, "400 invalid_field files"},
		{`{"files":[{"name":"a","size":"7"}]}`, "400 invalid_field files"},
		{`{"files":[{"name":"a","size":1.5}]}`, "400 invalid_field files"},
		{`{"files":[{"name":"a","sha256":"ab"}]}`, "400 invalid_field files"},
		{`{"files":[{"name":"a","sha512":"` + hash("ab", 32) + `"}]}`, "400 invalid_field files"},
		{`{"files":[{"name":"a","media_type":"a\nb"}]}`, "400 invalid_field files"},
		{`{"files":[{"name":"a","platform":"linux/amd64"}]}`, "400 unknown_field files"},
		{`{"files":[{"name":"a"},{"name":"b","name":"c"}]}`, "400 invalid_json files"},
		{`{"files":{"name":"a"}}`, "400 invalid_field files"},
		{`{"files":[null]}`, "400 invalid_field files"},
		{`{"files":["a"]}`, "400 invalid_field files"},
		{`{"files":null}`, "400 invalid_field files"},
		{`{"files":[` + many + `{"name":"b"}]}`, "413 too_large "},
		{`{"checksums":null}`, "400 invalid_field checksums"},
		{`{"checksums":["a"]}`, "400 invalid_field checksums"},
		{`{"checksums":"` + hash("ab", 32) + `  a\n","title":"One"}`, "400 invalid_field checksums"}, // no such file
		{`{"title":"a\nb"}`, "400 invalid_field title"},
		{`{"title":"` + strings.Repeat("a", 251) + `"}`, "400 invalid_field title"},
		{`{"body":7}`, "400 invalid_field body"},
		{`{"title":"One","files":[{"name":"a","size":-1}]}`, "400 invalid_field files"},
		{`{"created":"2026-01-01"}`, "400 unknown_field created"},
		{`{"reason":"broken"}`, "400 unknown_field reason"},
	} {
		response := p.edit(t, p.token, "PUT", p.path("v1.0.0"), c.body)
		if got := failureOf(response); got != c.want || strings.Contains(response, "secret") {
			t.Errorf("PUT %.200s: got %.300s, want %s", c.body, response, c.want)
		}
	}
	if diff := cmp.Diff(before, p.want("200", "GET", "v1.0.0", "")); diff != "" {
		t.Errorf("the release has changed, -before +after:\n%s", diff)
	}
}

// TestUpstreamAndOperator checks that the operator's decisions override what upstream says,
// that the details of a release show both, and that IDs stay.
func TestUpstreamAndOperator(t *testing.T) {
	s := newService(t)
	p := s.newProduct(t, "app", `{"notes":"https://e.com/notes/{tag}"}`)
	upstream := catalog.Release{Tag: "v1.0.0", Title: "App 1.0", Files: []catalog.File{
		{Name: "app_darwin_arm64.zip", URL: "https://e.com/d", SHA256: hash("ab", 32)},
		{Name: "app_linux_amd64.zip", URL: "https://e.com/l", Size: 7, SHA256: hash("cd", 32)},
	}}
	s.putNow(t, "app", upstream)
	first := p.details("v1.0.0")
	if first.Upstream == nil || *first.Upstream.Title != "App 1.0" || len(first.Upstream.Files) != 2 || first.Operator != nil || !first.Latest {
		t.Errorf("got details %+v, want upstream's layer only", first)
	}
	p.want("200", "PUT", "v1.0.0", `{"title":"Mirrored","body":"# Notes\n\nText","date":"2026-01-31","notes":"https://e.com/own",
		"assets":{"linux/amd64":"https://mirror.e.com/l"},"files":[{"name":"app_darwin_arm64.zip","url":"https://mirror.e.com/d"}]}`)
	d := p.details("v1.0.0")
	if d.Title != "Mirrored" || d.Body != "# Notes\n\nText" || *d.Date != "2026-01-31T00:00:00Z" || *d.Notes != "https://e.com/own" {
		t.Errorf("got details %+v, want the operator's", d)
	}
	if got, want := d.describe(), "app_darwin_arm64.zip https://mirror.e.com/d ab64; app_linux_amd64.zip l size 7 cd64; l https://mirror.e.com/l for linux/amd64"; got != want {
		t.Errorf("got files  %s\nwant %s", got, want)
	}
	if d.Assets["linux/amd64"] != "https://mirror.e.com/l" || d.Assets["darwin/arm64"] != "https://mirror.e.com/d" {
		t.Errorf("got assets %v, want the operator's", d.Assets)
	}
	if *d.Upstream.Title != "App 1.0" || d.Upstream.Files[1].URL != "https://e.com/l" || *d.Operator.Title != "Mirrored" || d.Operator.Files[0].URL != "https://mirror.e.com/d" || d.Operator.Prerelease != nil {
		t.Errorf("got layers %+v and %+v, want upstream's and the operator's apart", d.Upstream, d.Operator)
	}
	upstream.Title, upstream.Files[1].Size, upstream.Prerelease = "App 1.0.0", 8, true
	s.putNow(t, "app", upstream)
	p.want("200", "PUT", "v1.0.0", `{"prerelease":false,"assets":{"linux/amd64":null}}`)
	later := p.details("v1.0.0")
	if later.Title != "Mirrored" || later.Prerelease || !*later.Upstream.Prerelease || *later.Upstream.Title != "App 1.0.0" {
		t.Errorf("after another import: got details %+v, want the operator's title and decision", later)
	}
	if got, want := later.describe(), "app_darwin_arm64.zip https://mirror.e.com/d ab64; app_linux_amd64.zip l size 8 cd64"; got != want {
		t.Errorf("after another import: got files  %s\nwant %s", got, want)
	}
	if later.Assets["linux/amd64"] != "" {
		t.Errorf("got asset %s for linux/amd64, want none", later.Assets["linux/amd64"])
	}
	if later.ID != first.ID || later.ID == 0 || later.Files[0].ID != first.Files[0].ID || later.Files[1].ID != first.Files[1].ID {
		t.Errorf("got IDs %+v, want those before: %+v", later, first)
	}
	if r := p.report("", "0.1.0"); r.ReleaseNotes != "https://e.com/own" {
		t.Errorf("got notes %s, want the operator's", r.ReleaseNotes)
	}
	p.want("200", "PUT", "v1.0.0", `{"notes":""}`)
	if r := p.report("", "0.1.0"); r.ReleaseNotes != "https://e.com/notes/v1.0.0" {
		t.Errorf("got notes %s, want the template's", r.ReleaseNotes)
	}
}

// TestLongReleaseNotes checks that notes of the maximum length can be published although
// JSON makes them longer.
func TestLongReleaseNotes(t *testing.T) {
	s := newService(t)
	p := s.newProduct(t, "app", "")
	p.want("201", "PUT", "v1.0.0", `{"body":"`+strings.Repeat(`\n`, catalog.MaxText)+`"}`)
	if got := len(p.details("v1.0.0").Body); got != catalog.MaxText {
		t.Errorf("got notes of %d bytes, want %d", got, catalog.MaxText)
	}
	if got := failureOf(p.edit(t, p.token, "PUT", p.path("v1.0.0"), `{"body":"`+strings.Repeat("a", catalog.MaxText+1)+`"}`)); got != "400 invalid_field body" {
		t.Errorf("longer notes: got %s, want 400 invalid_field body", got)
	}
}

// TestDownloadByPlatform checks that the client's platform, however it is spelled, determines
// the file.
func TestDownloadByPlatform(t *testing.T) {
	s := newService(t)
	p := s.newProduct(t, "app", "")
	var files []string
	for _, name := range []string{"app_Linux_x86_64.tar.gz", "app_Linux_arm64.tar.gz", "app_macOS_arm64.zip", "app_win64.zip", "app_windows_arm64.zip", "app_linux_amd64.deb", "LICENSE-linux-amd64"} {
		files = append(files, `{"name":"`+name+`","url":"https://e.com/`+name+`"}`)
	}
	p.want("201", "PUT", "v1.0.0", `{"files":[`+strings.Join(files, ",")+`]}`)
	for _, c := range []struct{ agent, fields, want string }{
		{"app/1.0 (linux, amd64)", ``, "app_Linux_x86_64.tar.gz"},
		{"app/1.0 (Linux, x86_64)", ``, "app_Linux_x86_64.tar.gz"},
		{"app/1.0 (darwin, aarch64)", ``, "app_macOS_arm64.zip"},
		{"app/1.0 (macOS, arm64)", ``, "app_macOS_arm64.zip"},
		{"app/1.0 (win32, x64)", ``, "app_win64.zip"},
		{"app/1.0 (Windows_NT, AMD64)", ``, "app_win64.zip"},
		{"app/1.0 (Windows, ARM64)", ``, "app_windows_arm64.zip"},
		{"app/1.0 (linux, aarch64)", ``, "app_Linux_arm64.tar.gz"},
		{"app/1.0 (darwin, amd64)", ``, ""},
		{"app/1.0 (amiga, m68k)", ``, ""},
		{"curl/8.7.1", ``, ""},
		{"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/605.1.15 (KHTML, like Gecko)", ``, ""},
		{"curl/8.7.1", `,"os":"linux","arch":"amd64"`, "app_Linux_x86_64.tar.gz"},
		{"Mozilla/5.0 (X11; Linux x86_64)", `,"os":"macOS","arch":"aarch64"`, "app_macOS_arm64.zip"},
		{"app/1.0 (linux, amd64)", `,"os":"win32","arch":"x64"`, "app_win64.zip"},
		{"app/1.0 (linux, amd64)", `,"os":null,"arch":null`, "app_Linux_x86_64.tar.gz"},
		{"app/1.0 (linux, amd64)", `,"os":"amiga","arch":"m68k"`, ""},
	} {
		r := report(strings.TrimSuffix(reportBody("1.0.0"), "}") + c.fields + "}")
		r.URL.Path = "/p/app/v1/version"
		r.Header.Set("User-Agent", c.agent)
		got := s.send(t, r)
		want := `"download":"https://e.com/` + c.want + `"`
		if got.StatusCode != 200 || strings.Contains(got.body, `"download"`) != (c.want != "") || c.want != "" && !strings.Contains(got.body, want) {
			t.Errorf("%s%s: got status %d and body %s, want %s", c.agent, c.fields, got.StatusCode, got.body, want)
		}
	}
	p.want("200", "PUT", "", `{"file":"app_{linux:linux}{windows:windows}_{arch}.{linux:deb}{windows:zip}"}`)
	for agent, want := range map[string]string{"linux, amd64": "app_linux_amd64.deb", "windows, arm64": "app_windows_arm64.zip", "linux, arm64": "", "windows, amd64": ""} {
		if got := strings.TrimPrefix(p.report("", "1.0.0", "User-Agent", "app/1.0 ("+agent+")").Download, "https://e.com/"); got != want {
			t.Errorf("with a file template: got download %q for %s, want %q", got, agent, want)
		}
	}
	got := s.send(t, httptest.NewRequest("GET", "/p/app/repos/me/app/releases/latest", nil))
	for _, name := range []string{"LICENSE-linux-amd64", "app_win64.zip"} { // all files
		if !strings.Contains(got.body, `"name":"`+name+`"`) {
			t.Errorf("GitHub's format: got %s, want file %s", got.body, name)
		}
	}
}

// TestProductFields sets every field of a product and reads it back, and checks that an
// invalid value names its field and changes nothing.
func TestProductFields(t *testing.T) {
	s := newService(t)
	p := s.newProduct(t, "app", "")
	const sent = `{"title":"My App","repo":"me/app","module":"example.com/app","download":"https://e.com/{tag}","notes":"https://e.com/#{tag}","file":"app_{version}_{os}_{arch}.tar.gz",` +
		`"origins":["https://a.example"],"tag_prefixes":["cli/v","x@"],"release_suffix":"[0-9]+","match":"<2000, >1","min_age":"36h","require_files":true,` +
		`"channels":[{"name":"next","match":"","prereleases":true},{"name":"lts","match":">=1, <2","prereleases":false}],"upstreams":["github:https://api.github.com/repos/me/app","go:example.com/app"],"notes_here":true,"links":"upstream","aliases":["@me/App"],"hosts":["Updates.example.com."],"dialects":["npm"],"hidden":true}`
	const want = `{"name":"app","title":"My App","repo":"me/app","module":"example.com/app","download":"https://e.com/{tag}","notes":"https://e.com/#{tag}","file":"app_{version}_{os}_{arch}.tar.gz",` +
		`"origins":["https://a.example"],"tag_prefixes":["cli/v","x@"],"release_suffix":"[0-9]+","match":"<2000, >1","min_age":"36h","require_files":true,` +
		`"channels":[{"name":"lts","match":">=1,<2","prereleases":false},{"name":"next","match":"","prereleases":true}],"upstreams":["github:me/app","go:example.com/app"],"notes_here":true,"links":"upstream","aliases":["@me/App"],"hosts":["updates.example.com"],"dialects":["npm"],"hidden":true}`
	for _, body := range []string{sent, want, `{}`} {
		if got := strings.TrimSpace(p.want("200", "PUT", "", body)); got != want {
			t.Errorf("PUT %s: got  %s\nwant %s", body, got, want)
		}
		if got := strings.TrimSpace(p.want("200", "GET", "", "")); got != want {
			t.Errorf("GET after PUT %s: got  %s\nwant %s", body, got, want)
		}
	}
	for _, c := range []struct{ body, want string }{
		{`{"tag_prefixes":["v"]}`, "400 invalid_field tag_prefixes"},
		{`{"release_suffix":".*"}`, "400 invalid_field release_suffix"},
		{`{"match":">2,<1"}`, "400 invalid_field match"},
		{`{"tag_prefixes":"cli/v"}`, "400 invalid_field tag_prefixes"},
		{`{"tag_prefixes":[null]}`, "400 invalid_field tag_prefixes"},
		{`{"tag_prefixes":[7]}`, "400 invalid_field tag_prefixes"},
		{`{"tag_prefixes":["a\u200b"]}`, "400 invalid_field tag_prefixes"},
		{`{"tag_prefixes":["a b"]}`, "400 invalid_field tag_prefixes"},
		{`{"release_suffix":"["}`, "400 invalid_field release_suffix"},
		{`{"release_suffix":null}`, "400 invalid_field release_suffix"},
		{`{"match":"2"}`, "400 invalid_field match"},
		{`{"match":"<two"}`, "400 invalid_field match"},
		{`{"match":["<2"]}`, "400 invalid_field match"},
		{`{"min_age":"53w"}`, "400 invalid_field min_age"},
		{`{"min_age":24}`, "400 invalid_field min_age"},
		{`{"min_age":"-1h"}`, "400 invalid_field min_age"},
		{`{"min_age":"9000h"}`, "400 invalid_field min_age"},
		{`{"require_files":"true"}`, "400 invalid_field require_files"},
		{`{"require_files":null}`, "400 invalid_field require_files"},
		{`{"notes_here":"true"}`, "400 invalid_field notes_here"},
		{`{"links":null}`, "400 invalid_field links"},
		{`{"aliases":["a'b"]}`, "400 invalid_field aliases"},
		{`{"hosts":"example.com"}`, "400 invalid_field hosts"},
		{`{"hosts":["https://example.com"]}`, "400 invalid_field hosts"},
		{`{"dialects":["report"]}`, "400 invalid_field dialects"},
		{`{"upstreams":"github:me/app"}`, "400 invalid_field upstreams"},
		{`{"upstreams":["me/app"]}`, "400 invalid_field upstreams"},
		{`{"upstreams":["github:me/app go:example.com/app"]}`, "400 invalid_field upstreams"},
		{`{"file":"{os}/{arch}"}`, "400 invalid_field file"},
		{`{"file":"app_{platform}"}`, "400 invalid_field file"},
		{`{"channels":{"lts":"<2"}}`, "400 invalid_field channels"},
		{`{"channels":[null]}`, "400 invalid_field channels"},
		{`{"channels":[{"match":"<2"}]}`, "400 invalid_field channels"},
		{`{"channels":[{"name":"","match":"<2"}]}`, "400 invalid_field channels"},
		{`{"channels":[{"name":"LTS","match":"<2"}]}`, "400 invalid_field channels"},
		{`{"channels":[{"name":"a b","match":"<2"}]}`, "400 invalid_field channels"},
		{`{"channels":[{"name":"a\nb","match":"<2"}]}`, "400 invalid_field channels"},
		{`{"channels":[{"name":"lts","match":"2"}]}`, "400 invalid_field channels"},
		{`{"channels":[{"name":"lts","match":"<2 prereleases"}]}`, "400 invalid_field channels"},
		{`{"channels":[{"name":"lts","match":"<2\nx <3"}]}`, "400 invalid_field channels"},
		{`{"channels":[{"name":"lts"},{"name":"lts"}]}`, "400 invalid_field channels"},
		{`{"channels":[{"name":"lts","range":"<2"}]}`, "400 unknown_field channels"},
		{`{"channels":[{"name":"lts","prereleases":"yes"}]}`, "400 invalid_field channels"},
		{`{"module":"example.com/app /x"}`, "400 invalid_field module"},
		{`{"prefixes":["cli/v"]}`, "400 unknown_field prefixes"},
	} {
		if got := failureOf(p.edit(t, p.token, "PUT", p.path(""), c.body)); got != c.want {
			t.Errorf("PUT %s: got %s, want %s", c.body, got, c.want)
		}
	}
	if got := strings.TrimSpace(p.want("200", "PUT", "", `{}`)); got != want {
		t.Errorf("after errors: got  %s\nwant %s", got, want)
	}
	if got := p.want("200", "PUT", "", `{"tag_prefixes":[],"release_suffix":"","match":"","min_age":"","require_files":false,"file":"","channels":[],"origins":[],"upstreams":[],"notes_here":false,"links":"hosted","aliases":[],"hosts":[],"dialects":[],"hidden":false}`); !strings.Contains(got,
		`"file":"","origins":[],"tag_prefixes":[],"release_suffix":"","match":"","min_age":"0s","require_files":false,"channels":[],"upstreams":[],"notes_here":false,"links":"hosted","aliases":[],"hosts":[],"dialects":[],"hidden":false}`) {
		t.Errorf("reset: got %s, want no values", got)
	}
}
