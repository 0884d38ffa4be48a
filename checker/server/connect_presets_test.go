package server_test

import (
	"cmp"
	"html"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"relcheck/checker/catalog"
	"relcheck/checker/mirror"
	"relcheck/checker/server"
	"relcheck/checker/server/dialect"
	"relcheck/db"
)

// presetTags are tags of presets that do not spell versions as v1.2.3.
var presetTags = map[string]string{"k3s": "v1.30.4+k3s1", "linkerd": "stable-2.14.10", "n8n": "n8n@1.70.0", "pgadmin": "REL-9_5", "rke2": "v1.30.4+rke2r1", "vault": "v1.17.3+ent"}

// appended are what clients add to an address in a setting, by the address after that of
// the product, or by the dialect if the address is that of the product.
var appended = map[string]string{
	"/v1-release/channels": "/stable", "/api/versions/": "1.0.0", "/update-check": "?version=1.0.0",
	"/as/": "1.22.2/linux-amd64/repos/open-policy-agent/opa/releases/latest", "/as/1.22.2/linux-amd64": "/repos/open-policy-agent/opa/releases/latest",
	"report": "v1/version", "electron": "latest-linux.yml", "go-selfupdate": "me/tool/manifest.yaml", "npm": "npm-tool", "npm-dist-tags": "-/package/npm-tool/dist-tags",
	"grafana-plugins": "plugins/versioncheck?slugIn=x", "upgrade-responder": "repos/o/r/releases/latest", "github": "repos/o/r/releases/latest",
}

var (
	connectSection = regexp.MustCompile(`(?s)<section [^>]*?(?:data-dialect="([^"]*)")?>.*?</section>`)
	connectCode    = regexp.MustCompile(`(?s)<pre[^>]*><code>(.*?)</code></pre>`)
	printedURL     = regexp.MustCompile(`https?://[^\s'"\\<>]+`)
)

// TestConnectPresets checks that the page of each preset explains its dialects and no other,
// and that each address on it is answered.
func TestConnectPresets(t *testing.T) {
	files, err := mirror.Create(filepath.Join(t.TempDir(), "files"), "store")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { files.Close() })
	const base = "https://example.com/releases"
	s := &fileService{files: files}
	s.service = newServiceWith(t, serviceOptions{Options: server.Options{Base: base, Files: files}, fill: func(store *db.Store) {
		for _, p := range catalog.Presets() {
			if err := store.AddProduct(t.Context(), p.Product); err != nil && p.Name != "opa" {
				t.Fatal(err)
			}
		}
	}})
	for _, p := range catalog.Presets() {
		s.put(t, p.Name, catalog.Release{Tag: cmp.Or(presetTags[p.Name], "v1.2.3"), Files: []catalog.File{{Name: p.Name + "-linux-x86_64.AppImage", URL: "https://e.com/a.AppImage", SHA256: sumOf("a")}}})
	}
	s.host(t, "opa", "v1.2.3", "opa_linux_amd64", "opa", true)
	asked := map[string]bool{}
	for _, p := range catalog.Presets() {
		page := s.browse(t, "/products/"+p.Name+"/connect").body
		want := append(strings.Fields(p.Dialects), "github", "report")
		slices.Sort(want)
		if got := shownDialects(page); !slices.Equal(got, want) {
			t.Errorf("preset %s: got dialects %v, want %v", p.Name, got, want)
		}
		hosts := strings.Fields(p.Hosts)
		for _, name := range strings.Fields(p.Dialects) {
			if d := dialect.BuiltIn()[name]; d != nil {
				hosts = append(hosts, d.Hosts...)
			}
		}
		for _, host := range hosts {
			if !strings.Contains(page, "<dt>"+host) {
				t.Errorf("preset %s: the page does not list the host %s", p.Name, host)
			}
		}
		for _, section := range connectSection.FindAllStringSubmatch(page, -1) {
			for _, code := range connectCode.FindAllStringSubmatch(section[0], -1) {
				for _, link := range printedURL.FindAllString(html.UnescapeString(code[1]), -1) {
					if strings.HasSuffix(link, "/1.2.3/linux-amd64") { // of a release that someone publishes
						continue
					}
					s.answers(t, p.Name, base, section[1], link)
					asked[section[1]] = true
				}
			}
		}
	}
	for _, name := range []string{"", "report", "github", "upgrade-responder", "electron", "channels", "openpolicyagent", "npm"} {
		if !asked[name] {
			t.Errorf("no page has an address of dialect %q", name)
		}
	}
}

// answers checks that a printed address, with what clients append, is not answered with 404.
func (s *fileService) answers(t *testing.T, product, base, dialect, link string) {
	t.Helper()
	path, own := strings.CutPrefix(link, base)
	if rest, ok := strings.CutPrefix(path, "/p/"+product); own && (ok || path == "") {
		if strings.Trim(rest, "/") == "" {
			path = strings.TrimSuffix(path, "/") + "/" + appended[dialect]
		} else {
			path += appended[rest]
		}
	}
	if own {
		link = "http://example.com" + path
	}
	r, err := http.NewRequest(http.MethodGet, link, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := s.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if res := s.send(t, r); res.StatusCode == http.StatusNotFound || res.StatusCode >= http.StatusInternalServerError {
		t.Errorf("preset %s, dialect %q: %s (%s): got %s %.80s, want another status than 404", product, dialect, link, r.URL.Path, res.Status, res.body)
	}
}
