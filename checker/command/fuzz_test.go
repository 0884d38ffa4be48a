package command

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"relcheck/checker"
)

// FuzzTimes reads what people give as times and as how long something is kept.
func FuzzTimes(f *testing.F) {
	for _, s := range []string{"7d", "24h", "90m", "forever", "", "65536d", "-1h", "1e9h", "2562047h47m16.854775807s", "2026-01-31", "2026-01-31T00:00:00+23:59", "0d", "36h0m0s", "٣d"} {
		f.Add(s)
	}
	now := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := parseDuration(s); err == nil && d < 0 {
			t.Errorf("%q is %v", s, d)
		}
		if at, err := parseSince(s, now); err == nil && at.After(now) {
			if _, isTime := parseTime(s); isTime != nil {
				t.Errorf("%q ago is %v, in the future", s, at)
			}
		}
		var r, again retention
		if r.Set(s) != nil {
			return
		}
		if r != 0 && time.Duration(r) < time.Hour {
			t.Errorf("%q keeps for %v", s, time.Duration(r))
		}
		if err := again.Set(r.String()); err != nil || again != r {
			t.Errorf("%q is shown as %s, which is %v, %v", s, r.String(), again.String(), err)
		}
	})
}

// FuzzProduct reads what people say of a product and of a release's files.
func FuzzProduct(f *testing.F) {
	f.Add("myapp", "My App", "me/myapp", "example.com/myapp", "https://example.com/{tag}/{os}", "linux/amd64=https://example.com/a=b", "v1.0.0", "2026-01-31")
	f.Add("..", "\x1b[2J", "../..", "../x", "javascript:{tag}", "linux/amd64=", "=HYPERLINK(1)", "now")
	f.Add("a..", strings.Repeat("ü", 51), "a/b/c", "example.com/\x00", "https://u:p@h/{windows:.exe}", "linux/amd64=http://u:p@h", "1", "2026-02-30")
	f.Fuzz(func(t *testing.T, name, title, repo, module, template, asset, version, date string) {
		p := checker.Product{Name: name, Title: title, Repo: repo, Module: module, Download: template, Notes: template}
		if checkProduct(p) == nil {
			u := url.URL{Path: "/p/" + name + "/v1/version"}
			if u.String() != u.Path || strings.HasPrefix(name, ".") {
				t.Errorf("the name %q cannot stand in a path", name)
			}
			if strings.Count(repo, "/") > 1 || strings.ContainsFunc(title, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Errorf("let in %+v", p)
			}
		}
		r := checker.Release{Version: version}
		if readRelease(&r, date, []string{asset}) != nil {
			return
		}
		for platform, link := range r.Assets {
			if !platform.Known() || checker.CheckLink(link) != nil {
				t.Errorf("let in the file %v: %q", platform, link)
			}
		}
	})
}
