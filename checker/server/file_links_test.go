package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

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
	app.want("201", "PUT", "v1.0.0", `{"files":[{"name":"app_linux_amd64.tar.gz","url":"https://e.com/app_linux_amd64.tar.gz"},{"name":"app_windows_amd64.zip","url":"https://e.com/app_windows_amd64.zip"}]}`)
	want("nothing hosted", "https://e.com/app_linux_amd64.tar.gz", "https://e.com/notes/v1.0.0", 13)
	s.host(t, "app", "v1.0.0", "app_linux_amd64.tar.gz", "linux", true)
	want("one file hosted", here, "https://e.com/notes/v1.0.0", 7)
	s.host(t, "app", "v1.0.0", "app_windows_amd64.zip", "windows", false)
	want("both hosted", here, "https://e.com/notes/v1.0.0", 2)
	app.want("200", "PUT", "", `{"notes_here":true}`)
	want("notes here", here, "http://relcheck.example.com/products/app/releases/v1.0.0", 0)
	app.want("200", "PUT", "", `{"links":"upstream"}`)
	want("upstream links", "https://e.com/app_linux_amd64.tar.gz", "http://relcheck.example.com/products/app/releases/v1.0.0", 11)
	app.want("200", "PUT", "", `{"links":"hosted"}`)
	want("hosted again", here, "http://relcheck.example.com/products/app/releases/v1.0.0", 0)
	app.want("200", "PUT", "v1.0.0", `{"files":[{"name":"app_linux_amd64.tar.gz","sha256":"`+sumOf("another")+`"}]}`)
	app.want("200", "PUT", "v1.0.0", `{"files":[{"name":"app_linux_amd64.tar.gz","size":6}]}`)
	want("changed size upstream", "https://e.com/app_linux_amd64.tar.gz", "http://relcheck.example.com/products/app/releases/v1.0.0", 6)
	app.want("200", "PUT", "", `{"links":"hosted-only"}`)
	want("hosted only, one has changed", "", "http://relcheck.example.com/products/app/releases/v1.0.0", 0)
	app.want("200", "PUT", "", `{"links":"hosted"}`)
	app.want("200", "PUT", "v1.0.0", `{"files":[{"name":"app_linux_amd64.tar.gz","size":5,"sha256":"`+sumOf("another")+`"}]}`)
	want("changed upstream", "https://e.com/app_linux_amd64.tar.gz", "http://relcheck.example.com/products/app/releases/v1.0.0", 6)
	if got := s.get(t, "GET", "/files/app/v1.0.0/app_linux_amd64.tar.gz"); got.StatusCode != 404 || !strings.Contains(got.body, "file_changed") {
		t.Errorf("file that upstream has changed: got status %d and %s, want 404 and file_changed", got.StatusCode, got.body)
	}
	app.want("200", "PUT", "v1.0.0", `{"files":[{"name":"app_linux_amd64.tar.gz","sha256":"`+sumOf("linux")+`"}]}`)
	want("changed back", here, "http://relcheck.example.com/products/app/releases/v1.0.0", 0)
	if err := s.store.MarkDamaged(t.Context(), sumOf("linux"), time.Now()); err != nil {
		t.Fatal(err)
	}
	s.load(t)
	want("damaged", "https://e.com/app_linux_amd64.tar.gz", "http://relcheck.example.com/products/app/releases/v1.0.0", 6)
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
	want("missing", "https://e.com/app_linux_amd64.tar.gz", "http://relcheck.example.com/products/app/releases/v1.0.0", 11)
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
	app.want("200", "PUT", "", `{"links":"upstream"}`)
	want("upstream links", "https://e.com/downloads/v1.0.0/app_linux_amd64")
	app.want("200", "PUT", "", `{"links":"hosted","download":""}`)
	want("no template", "http://relcheck.example.com/files/app/v1.0.0/app_linux_amd64")
}

// TestFilesOfOneName requests files whose links differ only in their folders. Each platform
// gets its own file: before it is hosted, after another one was fetched, and after it was.
func TestFilesOfOneName(t *testing.T) {
	for what, settings := range map[string][2]string{
		"template": {`"download":"URL/{tag}/{os}/{arch}/kubectl"`, `{}`},
		"list":     {`"title":"K"`, `{"assets":{"linux/amd64":"URL/v1/linux/amd64/kubectl","darwin/arm64":"URL/v1/darwin/arm64/kubectl","windows/amd64":"URL/v1/windows/amd64/kubectl"}}`},
	} {
		for _, onDemand := range []bool{true, false} {
			t.Run(fmt.Sprint(what, " ", onDemand), func(t *testing.T) {
				s := newFileService(t, onDemand)
				o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "from "+r.URL.Path) })
				k := s.newProduct(t, "k", strings.ReplaceAll(`{"upstreams":["relcheck:URL/p/k"],`+settings[0]+`}`, "URL", o.URL))
				k.want("201", "PUT", "v1", strings.ReplaceAll(settings[1], "URL", o.URL))
				get := func(platform string) (link, body string) {
					os, arch, _ := strings.Cut(platform, "/")
					link = k.report("", "v0.1.0", "User-Agent", "K/0.1.0 ("+os+", "+arch+")").Download
					path, here := strings.CutPrefix(link, "http://relcheck.example.com")
					if !here {
						return link, "upstream"
					}
					return path, s.get(t, "GET", path).body
				}
				for _, hosted := range []string{"", "linux/amd64", "darwin/arm64"} {
					if hosted != "" && !onDemand {
						s.host(t, "k", "v1", strings.ReplaceAll(hosted, "/", "-")+"/kubectl", "from /v1/"+hosted+"/kubectl", true)
					}
					for _, platform := range []string{"linux/amd64", "darwin/arm64", "windows/amd64"} {
						want := "from /v1/" + platform + "/kubectl"
						link, body := get(platform)
						if here := onDemand || body != "upstream"; body != want && (here || link != o.URL+"/v1/"+platform+"/kubectl") {
							t.Errorf("%s hosted: got link %s and %q for %s, want %q", hosted, link, body, platform, want)
						}
						if folder := strings.ReplaceAll(platform, "/", "-"); (onDemand || platform == hosted) && link != "/files/k/v1/"+folder+"/kubectl" {
							t.Errorf("%s hosted: got link %s for %s", hosted, link, platform)
						}
					}
				}
				path := "/files/k/v1/linux-amd64/kubectl.sha256"
				if got, want := s.get(t, "GET", path).body, sumOf("from /v1/linux/amd64/kubectl")+"  kubectl\n"; got != want {
					t.Errorf("GET %s: got %q, want %q", path, got, want)
				}
				if got := s.get(t, "GET", "/files/k/v1/kubectl"); got.StatusCode != 404 {
					t.Errorf("file without a platform: got status %d, want 404", got.StatusCode)
				}
			})
		}
	}
}
