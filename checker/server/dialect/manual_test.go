package dialect

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"relcheck/checker/catalog"
)

// manual returns the dialects of the manual by name.
func manual(t *testing.T) map[string]*Dialect {
	t.Helper()
	text, err := os.ReadFile("../../manual/dialects.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*Dialect{}
	named := regexp.MustCompile("(?s)(?:### [^\n]*: |Save this as `)([a-z-]+)\\.dialect.*?```dialect\n(.*?)```\n")
	for _, m := range named.FindAllStringSubmatch(string(text), -1) {
		d, err := Parse(m[1], []byte(m[2]))
		if err != nil {
			t.Errorf("%s: %v", m[1], err)
			continue
		}
		all[m[1]] = d
	}
	if n := strings.Count(string(text), "```dialect"); n != len(all) {
		t.Errorf("%d of %d examples load", len(all), n)
	}
	return all
}

func TestManual(t *testing.T) {
	examples := manual(t)
	cockroach := fixture(catalog.Product{Name: "cockroach"}, "v25.1.0\nv25.0.0")
	ghost := fixture(catalog.Product{Name: "ghost"}, "v6.1.0\nv5.0.0")
	editor := fixture(catalog.Product{Name: "editor", Title: "A & B"}, "v2.0.0-rc.1 prerelease\nv1.3.0")
	tests := []answer{
		{"editor", "/updates.json?current=1.2.0&arch=arm64", fixture(catalog.Product{}, "v1.3.0"), isJSON, `{"newest": "1.3.0", "link": "https://example.com/n"}`, ""},
		{"cockroach", "/cockroach.json?version=v25.0.0&uuid=x", cockroach, isJSON, `{"details": [{"version": "v25.1.0", "details": "https://example.com/n"}]}`, "cockroach.json"},
		{"cockroach", "/cockroach.json?version=v25.1.0", cockroach, isJSON, `{"details": []}`, ""},
		{"metabase", "/metabase.json?current-version=v0.54.0", fixture(catalog.Product{}, "v0.55.1"), isJSON, `"released": "2026-01-02"`, "metabase-version-info.json"},
		{"authentik", "/version.json", fixture(catalog.Product{}, "version/2026.2.1"), "", "", ""},
		{"authentik", "/version.json", fixture(catalog.Product{Prefixes: "version/"}, "version/2026.2.1"), isJSON, `{"stable": {"version": "2026.2.1", "changelog_url": "https://example.com/n"}}`, ""},
		{"uptime-kuma", "/version", fixture(catalog.Product{}, "2.0.0\n2.1.0-beta.1 prerelease"), isJSON, `{"slow": "2.0.0", "beta": "2.1.0-beta.1"}`, "uptime-kuma.json"},
		{"uptime-kuma", "/version", fixture(catalog.Product{}, "2.0.0\n1.9.0-beta.1 prerelease"), isJSON, `{"slow": "2.0.0"}`, ""},
		{"ghost", "/ghost.json?ghost_version=5.0.0", ghost, isJSON, `"version": "^5"`, "ghost.json"},
		{"ghost", "/ghost.json?ghost_version=6.1.0", ghost, isJSON, `{"next_check": 1767398400, "notifications": []}`, ""},
		{"rustup", "/release-stable.toml", fixture(catalog.Product{}, "1.29.0"), "application/toml", "schema-version = \"1\"\nversion = \"1.29.0\"\n", "rustup-release-stable.toml"},
		{"renovate", "/renovate/editor.json", editor, isJSON, `"isStable": false, "releaseTimestamp": "2026-01-02T00:00:00Z",`, ""},
		{"renovate", "/renovate/editor.json", editor, isJSON, `"tags": {"latest": "1.3.0"}}`, ""},
		{"renovate", "/renovate/editor.json", fixture(catalog.Product{Name: "editor"}, ""), "", "", ""},
		{"appcast", "/appcast.xml", editor, "application/rss+xml", `<rss version="2.0" xmlns:sparkle="http://www.andymatuschak.org/xml-namespaces/sparkle"><channel><title>A &amp; B</title>
<item><title>v1.3.0</title><pubDate>Fri, 02 Jan 2026 00:00:00 +0000</pubDate>
  <link>https://example.com/n</link><sparkle:version>1.3.0</sparkle:version><sparkle:informationalUpdate/></item>
</channel></rss>`, ""},
	}
	for _, test := range tests {
		if d := examples[test.dialect]; d != nil {
			test.check(t, d)
		}
	}
	r, err := http.NewRequest(http.MethodPost, "/ghost.json", strings.NewReader(`{"ghost_version": "5.0.0", "blog_id": "secret"}`))
	if err != nil {
		t.Fatal(err)
	}
	if a, err := ask(t, examples["ghost"], ghost, r); err != nil || !strings.Contains(string(a.Body), "6.1.0") {
		t.Errorf("POST: got %v, %v, want release 6.1.0", a, err)
	}
}
