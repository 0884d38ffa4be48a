package catalog_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"relcheck/checker/catalog"
	"relcheck/checker/printable"
)

// FuzzProduct checks that accepted fields of a product and of a release are safe in URLs
// and on pages.
func FuzzProduct(f *testing.F) {
	f.Add("myapp", "My App", "me/myapp", "example.com/myapp", "https://example.com/{tag}/{os}", "linux/amd64=https://example.com/a=b", "v1.0.0", "2026-01-31")
	f.Add("..", "\x1b[2J", "../..", "../x", "javascript:{tag}", "linux/amd64=", "=HYPERLINK(1)", "now")
	f.Add("a..", strings.Repeat("ü", 51), "a/b/c", "example.com/\x00", "https://u:p@h/{windows:.exe}", "linux/amd64=http://u:p@h", "1", "2026-02-30")
	f.Fuzz(func(t *testing.T, name, title, repo, module, template, asset, tag, date string) {
		p := catalog.Product{Name: name, Title: title, Repo: repo, Module: module, Download: template, Notes: template}
		if catalog.CheckProduct(p) == nil {
			u := url.URL{Path: "/p/" + name + "/v1/version"}
			if u.String() != u.Path || strings.HasPrefix(name, ".") {
				t.Errorf("CheckProduct accepts the name %q, which changes in a URL", name)
			}
			if strings.Count(repo, "/") > 1 || printable.Check(title) != nil {
				t.Errorf("CheckProduct accepts %+v", p)
			}
		}
		var e catalog.ReleasePatch
		platform, link, _ := strings.Cut(asset, "=")
		if errors.Join(catalog.CheckTag(tag), e.SetDate(date), e.SetAsset(platform, link)) != nil {
			return
		}
		if printable.Check(tag) != nil || strings.ContainsAny(tag, " \\\n") {
			t.Errorf("CheckTag(%q): got no error", tag)
		}
		l := e.Apply(catalog.Layer{})
		if err := l.Check(); err != nil {
			t.Errorf("SetAsset(%q, %q): the layer is invalid: %v", platform, link, err)
		}
		for _, f := range l.Files {
			if !f.Platform.Known() || printable.CheckDownload(f.URL) != nil {
				t.Errorf("SetAsset(%q, %q): got file %+v", platform, link, f)
			}
		}
	})
}
