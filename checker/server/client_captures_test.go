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
	{"go-github-assets", "", 200, "", `[{"id":`},
	{"go-github-enterprise", "", 200, "github-release-full.json", ""},
	{"go-github-latest", "", 200, "github-release-minimal-go-github.json", ""},
	{"go-github-list", "", 200, "github-releases-minimal-self-update-go.json", ""},
	{"go-github-list-2", "", 200, "", `"tag_name":"v1.1.0"`},
	{"go-github-tag", "", 200, "github-release-full.json", ""},
	{"go-github-tag-plus", "/p/k3s", 200, "github-release-full.json", `"tag_name":"v1.3.0+k3s1"`},
	{"go-github-tag-slash", "/p/cli", 200, "github-release-full.json", `"tag_name":"cli/v1.3.0"`},
	{"go-github-tags", "", 200, "", `[{"name":"v1.3.0",`},
	{"go-selfupdate-list", "", 200, "github-releases-minimal-self-update-go.json", ""},
	{"go-selfupdate-list-2", "", 302, "", "/dl/v1.3.0/myapp_linux_amd64.tar.gz"},
	{"longhorn-upgrade-responder", "/p/longhorn", 200, "upgrade-responder-both-spellings.json", `"name":"v1.9.0"`},
	{"longhorn-upgrade-responder-null", "/p/longhorn", 200, "upgrade-responder-minimal.json", `"name":"v1.9.0"`},
	{"octokit-download", "", 302, "", "/dl/v1.3.0/myapp_linux_amd64.tar.gz"},
	{"octokit-etag", "", 200, "github-release-full.json", ""},
	{"octokit-latest", "", 200, "github-release-full.json", ""},
	{"octokit-list", "", 200, "github-releases-minimal-self-update-go.json", ""},
	{"octokit-list-2", "", 200, "", `"tag_name":"v1.1.0"`},
	{"rhysd-selfupdate-list", "", 200, "github-releases-minimal-self-update-go.json", ""},
	{"rhysd-selfupdate-list-2", "", 302, "", "/dl/v1.3.0/myapp_linux_amd64.tar.gz"},
	{"terraform-version", "", 200, "checkpoint-check-full.json", `"current_version":"1.9.9"`},
	{"traefik-releases", "", 200, "traefik-releases-minimal.json", `"tag_name":"v3.3.0"`},
}

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
			{catalog.Product{Name: "myapp", Repo: "me/myapp", Dialects: "checkpoint", Aliases: "Old/myapp"}, []catalog.Release{withdrawn, {Tag: "v1.3.0", Date: date, Files: []catalog.File{file("v1.3.0", "latest-linux.yml"), file("v1.3.0", "myapp_linux_amd64.tar.gz")}},
				{Tag: "v1.2.1", Date: date, Files: []catalog.File{file("v1.2.1", "myapp_linux_amd64.tar.gz")}}, {Tag: "v1.1.0"}}},
			{catalog.Product{Name: "k3s", Suffix: "k3s[0-9]+"}, []catalog.Release{{Tag: "v1.3.0+k3s1", Files: []catalog.File{file("v1.3.0+k3s1", "k3s")}}}},
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
		text := strings.NewReplacer("/assets/11 ", "/assets/"+ids[2][2]+" ", "/assets/5 ", "/assets/"+ids[1][2]+" ", "/releases/1/", "/releases/"+ids[0][2]+"/").Replace(string(raw))
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
	if got.StatusCode != 200 && c.like == "" {
		return
	}
	kind, shape := "application/json", shape
	if strings.HasSuffix(c.like, ".atom") {
		kind, shape = "application/atom+xml; charset=utf-8", xmlShape
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
