package server_test

import (
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"gopkg.in/yaml.v3"

	"relcheck/checker/catalog"
	"relcheck/checker/server"
	"relcheck/db"
)

// capture is a captured request of a client, and the answer that it needs.
type capture struct {
	name   string
	prefix string // added to the path
	status int
	like   string // a file in testdata/answers whose fields the answer must have
	want   string // a part of the answer, or the end of a redirect
}

var clientCaptures = []capture{
	{"curl-head-channel", "/p/k3s", 302, "", k3sPage},
	{"electron-generic", "/p/desktop", 200, "electron-latest-linux-minimal.yml", `{"version": "1.3.0",`},
	{"electron-generic-2", "/p/desktop", 404, "", ""}, // links of answers are absolute
	{"electron-generic-channel", "/p/desktop", 200, "electron-latest-linux-minimal.yml", `{"version": "1.4.0-rc.1",`},
	{"electron-github", "", 200, "electron-releases-minimal.atom", `/me/myapp/releases/tag/v1.3.0"`},
	{"electron-github-2", "", 200, "github-release-full.json", `"tag_name":"v1.3.0"`},
	{"electron-github-3", "", 302, "", "/dl/v1.3.0/latest-linux.yml"},
	{"electron-github-pre", "", 200, "electron-releases-minimal.atom", `/me/myapp/releases/tag/v1.3.0"`},
	{"electron-github-pre-2", "", 302, "", "/dl/v1.3.0/latest-linux.yml"},
	{"electron-github-private", "", 200, "github-release-full.json", `"tag_name":"v1.3.0"`},
	{"electron-github-private-2", "", 302, "", "/dl/v1.3.0/latest-linux.yml"},
	{"gh-api-latest", "", 200, "github-release-minimal-gh.json", `"url":"https://releases.example.com/api/v3/repos/me/myapp/releases/`},
	{"gh-release-download", "", 200, "github-release-full.json", ""},
	{"gh-release-download-2", "", 302, "", "/dl/v1.3.0/myapp_linux_amd64.tar.gz"},
	{"gh-release-list", "", 200, "", `"type":"NOT_IMPLEMENTED"`},
	{"gh-release-view", "", 200, "github-release-full.json", ""},
	{"gh-release-view-tag", "", 200, "github-release-full.json", ""},
	{"gh263-release-download-tag", "", 200, "github-graphql-no-draft.json", ""},
	{"gh263-release-download-tag-2", "", 200, "github-release-full.json", ""},
	{"gh263-release-download-tag-3", "", 302, "", "/dl/v1.3.0/myapp_linux_amd64.tar.gz"},
	{"gh263-release-list", "", 200, "", `"type":"NOT_IMPLEMENTED"`},
	{"gh263-release-view", "", 200, "github-release-full.json", ""},
	{"gh263-release-view-tag", "", 200, "github-graphql-no-draft.json", ""},
	{"gh263-release-view-tag-2", "", 200, "github-release-full.json", ""},
	{"go-checkpoint-check", "", 200, "checkpoint-check-minimal.json", `"current_version":"1.3.0"`},
	{"go-checkpoint-check-signature", "", 200, "checkpoint-check-full.json", `"outdated":true,"alerts":[{"id":`},
	{"go-checkpoint-report", "", 201, "", ""},
	{"go-checkpoint-versions", "", 200, "", "{}"},
	{"go-github-asset", "", 200, "", `"name":"myapp_linux_amd64.tar.gz"`},
	{"go-github-asset-download", "", 302, "", "/dl/v1.3.0/myapp_linux_amd64.tar.gz"},
	{"go-github-asset-download-follow", "", 302, "", "/dl/v1.3.0/myapp_linux_amd64.tar.gz"},
	{"go-github-asset-download-follow-2", "", 404, "", ""}, // of another server
	{"go-github-assets", "", 200, "", `[{"id":`},
	{"go-github-enterprise", "", 200, "github-release-full.json", ""},
	{"go-github-latest", "", 200, "github-release-minimal-go-github.json", ""},
	{"go-github-list", "", 200, "github-releases-minimal-self-update-go.json", ""},
	{"go-github-list-2", "", 200, "", `"tag_name":"v1.1.0"`},
	{"go-github-tag", "", 200, "github-release-full.json", ""},
	{"go-github-tag-plus", "/p/k3s", 200, "github-release-full.json", `"tag_name":"v1.3.0+k3s1"`},
	{"go-github-tag-slash", "/p/cli", 200, "github-release-full.json", `"tag_name":"cli/v1.3.0"`},
	{"go-github-tags", "", 200, "", `[{"name":"v1.3.0",`},
	{"go-selfupdate-gitea", "", 404, "", ""},
	{"go-selfupdate-gitea-2", "", 404, "", ""},
	{"go-selfupdate-gitlab", "", 404, "", ""},
	{"go-selfupdate-http", "/p/desktop", 200, "go-selfupdate-manifest-minimal.yaml", `"tag_name": "v1.4.0-rc.1"`},
	{"go-selfupdate-list", "", 200, "github-releases-minimal-self-update-go.json", ""},
	{"go-selfupdate-list-2", "", 302, "", "/dl/v1.3.0/myapp_linux_amd64.tar.gz"},
	{"hc-install-index", "", 404, "", ""}, // it would verify HashiCorp's signature
	{"k3s-install-curl", "/p/k3s", 302, "", k3sPage},
	{"k3s-install-curl-2", "", 401, "", ""}, // the script reads only the address
	{"k3s-install-wget", "/p/k3s", 302, "", k3sPage},
	{"k3s-install-wget-2", "", 401, "", ""},
	{"kubeadm-stable", "", 200, "kubeadm-stable-1.txt", "v1.31.2"},
	{"kubeadm-stable-newer", "", 200, "kubeadm-stable-1.txt", "v1.31.2"},
	{"kubeadm-stable-newer-2", "", 200, "kubeadm-stable-1.txt", "v1.30.7"},
	{"linkerd-version-check", "/p/linkerd", 200, "linkerd-version.json", `{"stable": "stable-2.14.10", "edge": "edge-26.8.3"}`},
	{"longhorn-upgrade-responder", "/p/longhorn", 200, "upgrade-responder-both-spellings.json", `"name":"v1.9.0"`},
	{"longhorn-upgrade-responder-null", "/p/longhorn", 200, "upgrade-responder-minimal.json", `"name":"v1.9.0"`},
	{"mongosh-update", "/p/mongosh", 200, "mongosh-minimal.json", `{"version": "2.1.0"}`},
	{"mongosh-update-etag", "/p/mongosh", 200, "mongosh-minimal.json", `{"version": "2.0.0", "cta"`},
	{"npm-latest-version", "/p/myapp", 200, "npm-packument-minimal.json", `"latest": "1.3.0"`},
	{"npm-package-json", "/p/myapp", 200, "npm-packument-minimal.json", `"latest": "1.3.0"`},
	{"npm-update-check", "/p/myapp", 200, "npm-packument-minimal.json", `"latest": "1.3.0"`},
	{"npm-update-check-scoped", "/p/myapp", 200, "npm-packument-minimal.json", `"name": "@me/myapp"`},
	{"npm-update-notifier", "/p/myapp", 200, "npm-packument-minimal.json", `"latest": "1.3.0"`},
	{"npm-update-notifier-next", "/p/myapp", 200, "npm-packument-minimal.json", `"latest": "1.3.0"`},
	{"npm-update-notifier-scoped", "/p/myapp", 200, "npm-packument-minimal.json", `"name": "@me/myapp"`},
	{"npm-view", "/p/myapp", 404, "", ""}, // about npm itself, which is another product
	{"npm-view-2", "/p/myapp", 200, "npm-packument-minimal.json", `"latest": "1.3.0"`},
	{"npm-view-dist-tags", "/p/myapp", 200, "npm-packument-minimal.json", `"latest": "1.3.0"`},
	{"octokit-download", "", 302, "", "/dl/v1.3.0/myapp_linux_amd64.tar.gz"},
	{"octokit-download-2", "", 404, "", ""}, // of another server
	{"octokit-etag", "", 200, "github-release-full.json", ""},
	{"octokit-latest", "", 200, "github-release-full.json", ""},
	{"octokit-list", "", 200, "github-releases-minimal-self-update-go.json", ""},
	{"octokit-list-2", "", 200, "", `"tag_name":"v1.1.0"`},
	{"rhysd-selfupdate-list", "", 200, "github-releases-minimal-self-update-go.json", ""},
	{"rhysd-selfupdate-list-2", "", 302, "", "/dl/v1.3.0/myapp_linux_amd64.tar.gz"},
	{"suc-resolve-channel", "/p/k3s", 302, "", k3sPage},
	{"suc-resolve-channel-first", "/p/k3s", 302, "", k3sPage},
	{"syncthing-lib", "/p/syncthing", 200, "syncthing-meta-minimal.json", `"tag_name": "v1.31.0"`},
	{"syncthing-usage-report", "/p/syncthing", 404, "", ""}, // nothing is to be recorded
	{"temporal-version", "", 200, "temporal-minimal.json", `"product": "temporal-server"`},
	{"terraform-version", "", 200, "checkpoint-check-full.json", `"current_version":"1.9.9"`},
	{"traefik-releases", "", 200, "traefik-releases-minimal.json", `"tag_name":"v3.3.0"`},
}

const k3sPage = "https://releases.example.com/products/k3s/releases/v1.3.0+k3s1"

// newClientService returns a service with the products of the captured requests.
func newClientService(t *testing.T, wrap func(testStore) server.Store) *service {
	date := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	file := func(tag, name string) catalog.File {
		return catalog.File{Name: name, URL: "https://releases.example.com/dl/" + tag + "/" + name, Size: 5, SHA256: strings.Repeat("0", 64)}
	}
	withdrawn := catalog.Release{Tag: "v1.2.0", Date: date, Withdrawn: true, Reason: "CVE-2026-0001"}
	return newServiceWith(t, serviceOptions{Options: server.Options{Base: "https://releases.example.com"}, wrap: wrap, fill: func(s *db.Store) {
		for _, p := range []struct {
			catalog.Product
			releases []catalog.Release
		}{
			{catalog.Product{Name: "myapp", Repo: "me/myapp", Dialects: "checkpoint npm", Aliases: "Old/myapp @me/myapp"}, []catalog.Release{withdrawn, {Tag: "v1.3.0", Date: date, Files: []catalog.File{file("v1.3.0", "latest-linux.yml"), file("v1.3.0", "myapp_linux_amd64.tar.gz")}},
				{Tag: "v1.2.1", Date: date, Files: []catalog.File{file("v1.2.1", "myapp_linux_amd64.tar.gz")}}, {Tag: "v1.1.0"}}},
			{catalog.Product{Name: "desktop", Dialects: "electron go-selfupdate", Channels: "beta * prereleases\n"}, []catalog.Release{{Tag: "v1.3.0", Date: date, Files: []catalog.File{file("v1.3.0", "myapp-1.3.0.AppImage")}},
				{Tag: "v1.4.0-rc.1", Prerelease: true, Date: date, Files: []catalog.File{file("v1.4.0-rc.1", "myapp-1.4.0-rc.1.AppImage")}}}},
			{catalog.Product{Name: "kubernetes", Dialects: "kubeadm"}, []catalog.Release{{Tag: "v1.31.2"}, {Tag: "v1.30.7"}}},
			{catalog.Product{Name: "linkerd", Prefixes: "stable- edge-", Dialects: "linkerd"}, []catalog.Release{{Tag: "stable-2.14.10"}, {Tag: "edge-26.8.3"}}},
			{catalog.Product{Name: "mongosh", Dialects: "mongosh"}, []catalog.Release{{Tag: "v2.1.0"}, {Tag: "v2.0.0", Withdrawn: true}}},
			{catalog.Product{Name: "syncthing", Dialects: "syncthing"}, []catalog.Release{{Tag: "v1.31.0", Files: []catalog.File{file("v1.31.0", "syncthing-linux-amd64-v1.31.0.tar.gz")}}}},
			{catalog.Product{Name: "temporal", Dialects: "temporal", Aliases: "temporal-server"}, []catalog.Release{{Tag: "v1.25.0", Date: date}, {Tag: "v1.24.0"}}},
			{catalog.Product{Name: "k3s", Suffix: "k3s[0-9]+", Dialects: "channels"}, []catalog.Release{{Tag: "v1.3.0+k3s1", Files: []catalog.File{file("v1.3.0+k3s1", "k3s")}}}},
			{catalog.Product{Name: "cli", Prefixes: "cli/v"}, []catalog.Release{{Tag: "cli/v1.3.0", Files: []catalog.File{file("cli/v1.3.0", "cli")}}}},
			{catalog.Product{Name: "terraform", Dialects: "checkpoint", Aliases: "Old/terraform"}, []catalog.Release{{Tag: "v1.9.9", Date: date}, {Tag: "v1.5.7", Withdrawn: true}}},
			{catalog.Product{Name: "longhorn", Dialects: "upgrade-responder"}, []catalog.Release{{Tag: "v1.9.0", Date: date}}},
			{catalog.Product{Name: "traefik", Repo: "traefik/traefik", Hosts: "update.traefik.io"}, []catalog.Release{{Tag: "v3.3.0"}, {Tag: "v3.2.0"}}},
		} {
			p.Title = p.Name
			err := s.AddProduct(t.Context(), p.Product)
			if err == nil {
				_, err = s.ImportReleases(t.Context(), p.Name, catalog.ListOf("test", p.releases...), true)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}})
}

// TestClientCaptures sends captured requests of clients, and checks that the answers have
// the fields that the clients need, with their types and in their order.
func TestClientCaptures(t *testing.T) {
	s := newClientService(t, nil)
	list := s.get(t, "GET", "/repos/me/myapp/releases").body
	ids := regexp.MustCompile(`releases/(assets/)?(\d+)"`).FindAllStringSubmatch(list, 3) // the release, the feed and the archive
	var tested []string
	for _, c := range clientCaptures {
		path := "testdata/captures/clients/" + c.name + ".http"
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		tested = append(tested, path)
		text := strings.NewReplacer("/updates/", "/", "/update-manifest", "/mongosh.json", "/releases/tag/v1.30.4+k3s1", "/products/k3s/releases/v1.3.0+k3s1", "/assets/11 ", "/assets/"+ids[2][2]+" ", "/assets/5 ", "/assets/"+ids[1][2]+" ", "/releases/1/", "/releases/"+ids[0][2]+"/").Replace(string(raw))
		method, rest, _ := strings.Cut(text, " ")
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(method + " " + c.prefix + rest)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Del("Accept-Encoding")
		r.Close = false
		client := s.Client()
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		got := s.send(t, r)
		c.check(t, got)
	}
	for path, c := range map[string]capture{
		"/repos/me/myapp/releases/latest":      {"axoupdater", "", 200, "github-release-minimal-rust-axoupdater.json", ""},
		"/repos/me/myapp/releases?page=1":      {"self_update", "", 200, "github-release-minimal-rust-self-update.json", ""},
		"/repos/me/none/releases/latest":       {"unknown repository", "", 404, "github-error-404.json", ""},
		"/repos/me/myapp/releases/tags/v1.2.0": {"withdrawn release", "", 404, "github-error-404.json", ""},
	} {
		got := s.get(t, "GET", path)
		got.body = strings.TrimSuffix(strings.TrimPrefix(got.body, "["), "]\n") // of a list, the first release
		got.body, _, _ = strings.Cut(got.body, "\n,")
		c.check(t, got)
	}
	all, err := filepath.Glob("testdata/captures/clients/*.http")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		if !slices.Contains(tested, path) {
			t.Errorf("%s is not tested", path)
		}
	}
}

func (c *capture) check(t *testing.T, got reply) {
	t.Helper()
	if got.StatusCode != c.status || !strings.Contains(got.body+got.Header.Get("Location"), c.want) {
		t.Errorf("%s: got status %d, Location %s and body %s, want %d and %s", c.name, got.StatusCode, got.Header.Get("Location"), got.body, c.status, c.want)
		return
	}
	for name, values := range got.Header { // k3s's script takes all headers with this word for Location
		if line := strings.ToLower(name + strings.Join(values, "")); name != "Location" && strings.Contains(line, "location") {
			t.Errorf("%s: got header %s: %s", c.name, name, values)
		}
	}
	if got.StatusCode != 200 && c.like == "" {
		return
	}
	kind, shape := "application/json", shape
	switch filepath.Ext(c.like) {
	case ".atom":
		kind, shape = "application/atom+xml; charset=utf-8", xmlShape
	case ".yml":
		kind, shape = "text/yaml; charset=utf-8", yamlShape
	case ".yaml":
		kind, shape = "application/yaml", yamlShape
	case ".txt":
		kind, shape = "text/plain; charset=utf-8", yamlShape
	}
	if got.Header.Get("Content-Type") != kind {
		t.Errorf("%s: got Content-Type %s, want exactly %s", c.name, got.Header.Get("Content-Type"), kind)
	}
	fields := shape(t, got.body)
	if strings.Contains(got.body, `"node_id"`) && slices.ContainsFunc(fields, func(f string) bool { return strings.HasSuffix(f, " null") }) {
		t.Errorf("%s: got %s, want no null", c.name, got.body)
	}
	if c.like == "" {
		return
	}
	text, err := os.ReadFile("testdata/answers/" + c.like)
	if err != nil {
		t.Fatal(err)
	}
	rest := fields
	for _, field := range shape(t, string(text)) {
		i := slices.Index(rest, field)
		if i < 0 {
			t.Errorf("%s: got no field %q in this order in\n%s, want the fields of %s", c.name, field, strings.Join(fields, "\n"), c.like)
			return
		}
		if !strings.Contains(c.like, "minimal") { // which are in another order
			rest = rest[i+1:]
		}
	}
}

// xmlShape returns the elements of an XML text, with their attributes.
func xmlShape(t *testing.T, text string) (fields []string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return fields
		}
		if err != nil {
			t.Fatalf("got %s, want XML: %v", text, err)
		}
		if start, ok := token.(xml.StartElement); ok {
			field := start.Name.Space + " " + start.Name.Local
			for _, a := range start.Attr {
				field += " " + a.Name.Local
			}
			fields = append(fields, field)
		}
	}
}

// yamlShape returns the paths of all values in a YAML text, with their types.
func yamlShape(t *testing.T, text string) (fields []string) {
	t.Helper()
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(text), &root); err != nil {
		t.Fatalf("got %s, want YAML: %v", text, err)
	}
	var add func(at string, n *yaml.Node)
	add = func(at string, n *yaml.Node) {
		fields = append(fields, at+" "+n.ShortTag())
		for i, inner := range n.Content {
			switch n.Kind {
			case yaml.DocumentNode:
				add(at, inner)
			case yaml.SequenceNode:
				add(fmt.Sprint(at, "/", i), inner)
			case yaml.MappingNode:
				if i%2 == 1 {
					add(at+"/"+n.Content[i-1].Value, inner)
				}
			}
		}
	}
	add("", &root)
	return fields
}

// shape returns the paths of all values in a JSON text, with their types.
func shape(t *testing.T, text string) (fields []string) {
	t.Helper()
	d := jsontext.NewDecoder(strings.NewReader(text))
	for {
		token, err := d.ReadToken()
		if errors.Is(err, io.EOF) {
			return fields
		}
		if err != nil {
			t.Fatalf("got %s, want JSON: %v", text, err)
		}
		if kind, n := d.StackIndex(d.StackDepth()); kind == '{' && n%2 == 1 { // a name
			continue
		}
		var kind string
		switch token.Kind() {
		case '"':
			kind = "string"
		case '0':
			if kind = "whole number"; strings.ContainsAny(token.String(), ".eE") {
				kind = "number"
			}
		case 't', 'f':
			kind = "bool"
		case 'n':
			kind = "null"
		case '{', '[':
			kind = string(token.Kind())
		default:
			continue
		}
		fields = append(fields, fmt.Sprint(d.StackPointer(), " ", kind))
	}
}
