package dialect

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"relcheck/checker/catalog"
)

// answer is a request and its answer.
type answer struct {
	dialect  string
	request  string // a target, or the name of a captured request
	model    *Model
	contents string // type of the content; empty for 404
	want     string // the body, or a location
	like     string // a file in ../testdata/answers whose fields the answer must have
}

const (
	isJSON = "application/json"
	isText = "text/plain; charset=utf-8"
)

var (
	zeros256 = strings.Repeat("0", 64)
	zeros512 = strings.Repeat("A", 85) + "A=="
)

func answers() []answer {
	clock := fixture(catalog.Product{Name: "grafana-clock-panel"}, "v2.1.8")
	none := fixture(catalog.Product{Name: "none"}, "")
	mastodon := fixture(catalog.Product{Name: "mastodon"}, "v4.3.9\nv4.3.8\nv4.2.1\nv4.4.0-beta.1 prerelease\nv4.3.1 withdrawn")
	n8n := fixture(catalog.Product{Name: "n8n", Prefixes: "n8n@"}, "n8n@1.90.0\nn8n@1.91.0 prerelease\nn8n@1.80.0 withdrawn\nn8n@1.70.0")
	nextcloud := fixture(catalog.Product{Name: "nextcloud"}, "v32.0.1\nv31.0.3 nextcloud-31.0.3-linux.zip\nv31.0.2\nv30.0.1")
	pgadmin := fixture(catalog.Product{Name: "pgadmin", Prefixes: "REL-"}, "REL-9_17\nREL-9_16")
	mongosh := fixture(catalog.Product{Name: "mongosh"}, "v2.1.0\nv2.0.0 withdrawn\nv2.2.0 withdrawn")
	temporal := fixture(catalog.Product{Name: "temporal"}, "v1.25.0\nv1.24.0 withdrawn")
	trivy := fixture(catalog.Product{Name: "trivy"}, "v0.74.0\nv0.70.0 withdrawn")
	kubernetes := fixture(catalog.Product{Name: "kubernetes"}, "v1.31.2\nv1.30.8-rc.1 prerelease\nv1.30.7\nv1.30.6\nv1.32.0-rc.0 prerelease\nchannel latest")
	k3s := fixture(catalog.Product{Name: "k3s"}, "v1.30.4+k3s1\nv1.29.8+k3s1")
	syncthing := fixture(catalog.Product{Name: "syncthing"}, "v2.0.0-rc.1 prerelease\nv1.31.0 syncthing-linux-amd64-v1.31.0.tar.gz\nv1.30.0")
	app := fixture(catalog.Product{Name: "myapp"}, "v1.4.0-rc.1 prerelease myapp-1.4.0-rc.1.AppImage\nv1.3.0 myapp-1.3.0.AppImage myapp_1.3.0_arm64.deb myapp-1.3.0.tgz\nchannel next\nchannel beta")
	opa := fixture(catalog.Product{Name: "opa"}, "v1.7.0 opa_linux_amd64\nv1.6.0 withdrawn opa_linux_amd64")
	return []answer{
		{"gitea", "/gitea.json", fixture(catalog.Product{}, "v1.22.0"), isJSON, `{"latest": {"version": "1.22.0"}}`, "gitea.json"},
		{"gitea", "/gitea.json", none, "", "", ""},
		{"grafana", "/api/grafana/versions/stable", fixture(catalog.Product{}, "v12.0.1"), isJSON, `{"version": "12.0.1"}`, "grafana-stable.json"},
		{"grafana-plugins", "/plugins/versioncheck?grafanaVersion=11.0.0&slugIn=unknown,grafana-clock-panel,none", fixture(catalog.Product{Name: "x"}, "v1", clock, none),
			isJSON, `[{"slug": "grafana-clock-panel", "version": "2.1.8"}]`, "grafana-plugins-versioncheck.json"},
		{"grafana-plugins", "/plugins/versioncheck", clock, isJSON, `[]`, ""},
		{"openpolicyagent", "/downloads/latest/opa_linux_amd64", opa, "", "https://releases.example.com/files/v1.7.0/opa_linux_amd64", ""},
		{"openpolicyagent", "/downloads/v1.6.0/opa_linux_amd64", opa, "", "", ""},
		{"openpolicyagent", "/downloads/v1.7.0/opa_linux_arm64", opa, "", "", ""},
		{"linkerd", "linkerd-version-check", fixture(catalog.Product{Prefixes: "stable- edge-"}, "stable-2.14.10\nstable-2.14.9\nedge-26.8.3-2\nedge-26.8.3\nedge-26.1.1"),
			isJSON, `{"stable": "stable-2.14.10", "edge": "edge-26.8.3"}`, "linkerd-version.json"},
		{"linkerd", "/version.json", clock, "", "", ""},
		{"mastodon", "/update-check?version=4.3.1", mastodon, isJSON, `{"updatesAvailable": [{"version": "4.3.9", "urgent": true, "type": "patch", "releaseNotes": "https://example.com/n"}]}`, "mastodon.json"},
		{"mastodon", "/update-check?version=4.2.0", mastodon, isJSON, `{"updatesAvailable": [{"version": "4.3.9", "urgent": false, "type": "minor", "releaseNotes": "https://example.com/n"}, {"version": "4.2.1", "urgent": false, "type": "patch", "releaseNotes": "https://example.com/n"}]}`, "mastodon.json"},
		{"mastodon", "/update-check?version=4.3.9", mastodon, isJSON, `{"updatesAvailable": []}`, ""},
		{"mastodon", "/update-check", mastodon, "", "", ""},
		{"n8n", "/api/versions/1.80.0", n8n, isJSON, `[` + n8nVersion("1.90.0", false) + `, ` + n8nVersion("1.80.0", true) + `]`, "n8n-versions.json"},
		{"n8n", "/api/versions/1.90.0", n8n, isJSON, `[` + n8nVersion("1.90.0", false) + `]`, "n8n-versions.json"},
		{"n8n", "/api/versions/dev", n8n, isJSON, `[]`, ""},
		{"nextcloud", "/updater_server?version=30x0x1x2x1700000000x1700000000xstablexx2024-01-01x8.2", nextcloud, "application/xml", `<?xml version="1.0" encoding="UTF-8"?>
<nextcloud><version>31.0.3.0</version><versionstring>Nextcloud 31.0.3</versionstring><url>https://example.com/n</url><web>https://example.com/n</web><changes></changes><autoupdater>0</autoupdater><eol>0</eol></nextcloud>`, "nextcloud.xml"},
		{"nextcloud", "/updater_server?version=32x0x1x2x", nextcloud, "application/xml", ``, ""},
		{"pgadmin", "/versions.json?version=9.16", pgadmin, isJSON, `{"pgadmin4": {"version": "9.17", "version_int": 91700, "download_url": "https://example.com/n", "auto_update_url": {"macos": "", "windows": ""}}}`, "pgadmin.json"},
		{"pgadmin", "/versions.json?version=9.16", none, isJSON, `{"pgadmin4": {"version": "", "version_int": 0, "download_url": "", "auto_update_url": {"macos": "", "windows": ""}}}`, "pgadmin.json"},
		{"mongosh", "/mongosh.json", mongosh, isJSON, `{"versions": [{"version": "2.1.0"}, {"version": "2.0.0", "cta": {"chunks": [{"text": "mongosh 2.0.0 was withdrawn: it loses data"}]}}]}`, "mongosh-minimal.json"},
		{"temporal", "temporal-version", temporal, isJSON, `{"products": [{"product": "temporal-server", "current": {"version": "1.24.0"}, "recommended": {"version": "1.25.0", "release_time": 1767312000000000000, "notes": "https://example.com/n"}, "instructions": "", "alerts": [{"message": "version 1.24.0 was withdrawn", "severity": 1}]}]}`, "temporal-minimal.json"},
		{"trivy", "/updates", trivy, isJSON, `{"trivy": {"latest_version": "0.74.0", "latest_date": "2026-01-02T00:00:00Z"}, "announcements": [], "warnings": []}`, "trivy.json"},
		{"trivy", "agent trivy/0.70.0 /updates", trivy, isJSON, `{"trivy": {"latest_version": "0.74.0", "latest_date": "2026-01-02T00:00:00Z"}, "announcements": [], "warnings": ["Trivy 0.70.0 was withdrawn"]}`, ""},
		{"kubeadm", "kubeadm-stable", kubernetes, isText, "v1.31.2\n", ""},
		{"kubeadm", "kubeadm-stable-newer-2", kubernetes, isText, "v1.30.7\n", "kubeadm-stable-1.txt"},
		{"kubeadm", "/release/latest.txt", kubernetes, isText, "v1.32.0-rc.0\n", ""},
		{"kubeadm", "/release/latest-1.30.txt", kubernetes, isText, "v1.30.8-rc.1\n", ""},
		{"kubeadm", "/release/stable-2.txt", kubernetes, "", "", ""},
		{"kubeadm", "/release/unknown.txt", kubernetes, "", "", ""},
		{"version-text", "/latest.txt", k3s, isText, "v1.30.4+k3s1\n", ""},
		{"version-text", "/1.29.txt", k3s, isText, "v1.29.8+k3s1\n", ""},
		{"version-text", "/lates.txt", k3s, "", "", ""},
		{"channels", "k3s-install-curl", k3s, "", "https://releases.example.com/products/p/releases/v1.30.4+k3s1", ""},
		{"channels", "curl-head-channel", k3s, "", "https://releases.example.com/products/p/releases/v1.30.4+k3s1", ""},
		{"channels", "suc-resolve-channel", k3s, "", "https://releases.example.com/products/p/releases/v1.30.4+k3s1", ""},
		{"channels", "/v1-release/channels/v1.29", k3s, "", "https://releases.example.com/products/p/releases/v1.29.8+k3s1", ""},
		{"channels", "/v1-release/channels/v1.28", k3s, "", "", ""},
		{"channels", "/v1-release/channels/stable", none, "", "", ""},
		{"syncthing", "syncthing-lib", syncthing, isJSON, `[{"tag_name": "v1.31.0", "prerelease": false, "html_url": "https://example.com/n", "assets": [{"name": "syncthing-linux-amd64-v1.31.0.tar.gz", "url": "https://releases.example.com/dl/syncthing-linux-amd64-v1.31.0.tar.gz", "browser_download_url": "https://releases.example.com/dl/syncthing-linux-amd64-v1.31.0.tar.gz"}]}, {"tag_name": "v2.0.0-rc.1", "prerelease": true, "html_url": "https://example.com/n", "assets": []}, {"tag_name": "v1.30.0", "prerelease": false, "html_url": "https://example.com/n", "assets": []}]`, "syncthing-meta-minimal.json"},
		{"npm", "npm-latest-version", app, isJSON, `{"name": "myapp", "dist-tags": {"latest": "1.3.0", "beta": "1.4.0-rc.1", "next": "1.4.0-rc.1"}, "versions": {"1.4.0-rc.1": {"name": "myapp", "version": "1.4.0-rc.1"}, "1.3.0": {"name": "myapp", "version": "1.3.0", "dist": {"tarball": "https://releases.example.com/dl/myapp-1.3.0.tgz", "integrity": "sha512-` + zeros512 + `"}}}}`, "npm-packument-minimal.json"},
		{"npm", "npm-update-notifier-scoped", app, isJSON, `"name": "@me/myapp"`, "npm-packument-minimal.json"},
		{"npm-dist-tags", "/-/package/myapp/dist-tags", app, isJSON, `{"latest": "1.3.0", "beta": "1.4.0-rc.1", "next": "1.4.0-rc.1"}`, "npm-dist-tags.json"},
		{"electron", "electron /latest-linux.yml?noCache=1", app, "text/yaml; charset=utf-8", `{"version": "1.3.0", "releaseDate": "2026-01-02T00:00:00.000Z", "releaseName": "v1.3.0", "files": [{"url": "https://releases.example.com/dl/myapp-1.3.0.AppImage", "sha2": "` + zeros256 + `", "size": 13}]}`, "electron-latest-linux-minimal.yml"},
		{"electron", "/beta-linux.yml", app, "text/yaml; charset=utf-8", `"version": "1.4.0-rc.1"`, "electron-latest-linux-minimal.yml"},
		{"electron", "/latest-linux-arm64.yml", app, "text/yaml; charset=utf-8", `{"version": "1.3.0", "releaseDate": "2026-01-02T00:00:00.000Z", "releaseName": "v1.3.0", "files": [{"url": "https://releases.example.com/dl/myapp_1.3.0_arm64.deb", "sha512": "` + zeros512 + `", "size": 13}]}`, ""},
		{"electron", "/latest.yml", app, "", "", ""},
		{"electron", "/unknown-linux.yml", app, "", "", ""},
		{"go-selfupdate", "go-selfupdate-http", fixture(catalog.Product{}, "v1.3.0 myapp_linux_amd64.tar.gz"), "application/yaml", fmt.Sprintf(`{"releases": [{"id": 100, "name": "v1.3.0", "tag_name": "v1.3.0", "url": "https://example.com/n", "draft": false, "prerelease": false, "published_at": "2026-01-02T00:00:00Z", "release_notes": "", "assets": [{"id": %d, "name": "myapp_linux_amd64.tar.gz", "size": 13, "url": "https://releases.example.com/dl/myapp_linux_amd64.tar.gz"}]}]}`, FileID("v1.3.0", &catalog.File{Name: "myapp_linux_amd64.tar.gz"})), "go-selfupdate-manifest-minimal.yaml"},
		{"go-selfupdate", "go-selfupdate-http", none, "", "", ""},
	}
}

func n8nVersion(version string, issue bool) string {
	return fmt.Sprintf(`{"name": %q, "nodes": [], "createdAt": "2026-01-02T00:00:00.000Z", "description": "n8n@%s", "documentationUrl": "https://example.com/n", "hasBreakingChange": false, "hasSecurityFix": false, "hasSecurityIssue": %t, "securityIssueFixVersion": ""}`, version, version, issue)
}

func TestAnswers(t *testing.T) {
	tested := map[string]bool{}
	for _, test := range answers() {
		tested[test.dialect] = true
		test.check(t, BuiltIn()[test.dialect])
	}
	for name := range BuiltIn() {
		if !tested[name] {
			t.Errorf("no answer of %s is tested", name)
		}
	}
}

func (test *answer) check(t *testing.T, d *Dialect) {
	t.Helper()
	a, err := ask(t, d, test.model, test.read(t))
	id := test.dialect + " " + test.request
	switch {
	case test.want == "" && test.contents == "":
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: got %v, %v, want %v", id, a, err, ErrNotFound)
		}
		return
	case err != nil:
		t.Errorf("%s: %v", id, err)
		return
	case test.contents == "":
		if want := [][2]string{{"Location", test.want}}; a.Status != http.StatusFound || !reflect.DeepEqual(a.Header, want) || len(a.Body) > 0 {
			t.Errorf("%s: got %+v, want a redirect to %s", id, a, test.want)
		}
		return
	}
	if want := [][2]string{{"Content-Type", test.contents}}; a.Status != http.StatusOK || !reflect.DeepEqual(a.Header, want) {
		t.Errorf("%s: got status %d, header %q, want 200, %q", id, a.Status, a.Header, want)
	}
	got := strings.TrimSuffix(string(a.Body), "\n")
	if want := strings.TrimSuffix(test.want, "\n"); got != want && (!strings.HasPrefix(want, `"`) || !strings.Contains(got, want)) {
		t.Errorf("%s: answer (-want +got):\n%s", id, cmp.Diff(want, got))
	}
	if test.like != "" {
		example, err := os.ReadFile(filepath.Join("../testdata/answers", test.like))
		if err != nil {
			t.Fatal(err)
		}
		for _, missing := range missing("", decode(t, test.like, example), decode(t, test.like, a.Body)) {
			t.Errorf("%s: %s lacks what %s has: %s", id, a.Body, test.like, missing)
		}
	}
}

// read returns the request: a capture, or a GET of a target, after words for its headers.
func (test *answer) read(t *testing.T) *http.Request {
	if target := test.request[strings.LastIndex(test.request, " ")+1:]; target[0] == '/' {
		r, err := http.NewRequest(http.MethodGet, target, nil)
		if err != nil {
			t.Fatal(err)
		}
		if agent, ok := strings.CutPrefix(test.request, "agent "); ok {
			r.Header.Set("User-Agent", strings.Fields(agent)[0])
		}
		return r
	}
	f, err := os.Open(filepath.Join("../testdata/captures/clients", test.request+".http"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	r, err := http.ReadRequest(bufio.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// decode decodes an answer. The content of XML is checked elsewhere.
func decode(t *testing.T, name string, body []byte) (v any) {
	t.Helper()
	var err error
	switch filepath.Ext(name) {
	case ".json":
		err = json.Unmarshal(body, &v)
	case ".yml", ".yaml":
		err = yaml.Unmarshal(body, &v)
	case ".toml":
		m := map[string]any{}
		_, err = toml.Decode(string(body), &m)
		v = m
	case ".xml":
		m := map[string]any{}
		for _, part := range strings.Split(string(body), "</")[1:] {
			if name, _, ok := strings.Cut(part, ">"); ok {
				m[name] = ""
			}
		}
		v = m
	default:
		v = strings.TrimSpace(string(body))
	}
	if err != nil {
		t.Errorf("%s: %v\n%s", name, err, body)
	}
	return v
}

// missing returns the fields that want has, and got lacks or has with another type. The
// elements of an array must have the fields of its first element.
func missing(at string, want, got any) (all []string) {
	switch want := want.(type) {
	case map[string]any:
		fields, ok := got.(map[string]any)
		if !ok {
			break
		}
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if strings.Trim(name, "0123456789.") == "" { // a version
				continue
			}
			if _, ok := fields[name]; !ok {
				all = append(all, at+"."+name)
				continue
			}
			all = append(all, missing(at+"."+name, want[name], fields[name])...)
		}
		return all
	case []any:
		elements, ok := got.([]any)
		if !ok {
			break
		}
		if len(want) > 0 {
			for _, e := range elements {
				all = append(all, missing(at+"[]", want[0], e)...)
			}
		}
		return all
	}
	if reflect.TypeOf(want) != reflect.TypeOf(got) {
		return []string{fmt.Sprintf("%s is %T, want %T", at, got, want)}
	}
	return nil
}
