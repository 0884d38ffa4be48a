package catalog_test

import (
	"strings"
	"testing"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/printable"
)

// downloadURL returns the download link of a product with a template and tag prefixes.
func downloadURL(template, prefixes, tag string, p checker.Platform) string {
	product := catalog.Product{Download: template, Prefixes: prefixes}
	return product.DownloadURL(tag, p)
}

func TestDownloadURL(t *testing.T) {
	const opa = "https://example.com/{tag}/opa_{os}_{arch}{arm64:_static}{windows:.exe}"
	for _, c := range []struct {
		template, prefixes, tag string
		p                       checker.Platform
		want                    string
	}{
		{opa, "", "v0.19.2", checker.Platform{OS: "darwin", Arch: "amd64"}, "https://example.com/v0.19.2/opa_darwin_amd64"},
		{opa, "", "v0.70.0", checker.Platform{OS: "linux", Arch: "arm64"}, "https://example.com/v0.70.0/opa_linux_arm64_static"},
		{opa, "", "v0.70.0", checker.Platform{OS: "windows", Arch: "amd64"}, "https://example.com/v0.70.0/opa_windows_amd64.exe"},
		{opa, "", "v0.70.0", checker.Other, ""},
		{opa, "", "v0.70.0", checker.Platform{}, ""},
		{"https://example.com/{version}", "", "v0.70.0", checker.Other, "https://example.com/0.70.0"},
		{"https://example.com/{tag}", "", "0.70.0+1", checker.Other, "https://example.com/0.70.0+1"},
		{"", "", "v1.0.0", checker.Other, ""},
		{"https://example.com/{tag}/{version}", "cli/v", "cli/v1.2.3", checker.Other, "https://example.com/cli%2Fv1.2.3/1.2.3"},
		{"https://example.com/{version}", "pkg@ pkg-", "pkg@1.2.3", checker.Other, "https://example.com/1.2.3"},
		{"https://example.com/{version}", "bun-v", "bun-v1.2.3", checker.Other, "https://example.com/1.2.3"},
		{"https://example.com/{version}", "release-", "release-1.2", checker.Other, "https://example.com/1.2"},
		{"https://example.com/{version}", "curl-", "curl-8_21_0", checker.Other, "https://example.com/8.21.0"},
		{"https://example.com/{version}", "", "1.2.3-beta_1", checker.Other, "https://example.com/1.2.3-beta_1"},
		{"https://example.com/{version}", "", "my_nightly", checker.Other, "https://example.com/my_nightly"},
		{"https://example.com/{version}", "docker- v", "v28.0.0", checker.Other, "https://example.com/28.0.0"},
		{"https://example.com/{version}", "jdk-", "jdk-v21", checker.Other, "https://example.com/21"},
		{"https://example.com/{version}", "", "cli/v1.2.3", checker.Other, "https://example.com/cli%2Fv1.2.3"},
		{"https://example.com/{version}", "", "vulcan", checker.Other, "https://example.com/vulcan"},
		{"https://example.com/{tag}", "", "1.0#?", checker.Other, "https://example.com/1.0%23%3F"},
		// Links that would be invalid.
		{"https://{version}.example.com/", "", "v1.2.3", checker.Other, "https://1.2.3.example.com/"},
		{"https://{version}.example.com/", "", "cli/v1.2.3", checker.Other, ""},
		{"https://{tag}example.com/", "", "evil.example#", checker.Other, ""},
		{"https://{tag}example.com/", "", "me:secret@", checker.Other, ""},
		{"https://example.com/{tag}{tag}{tag}", "", strings.Repeat("é", 100), checker.Other, "https://example.com/" + strings.Repeat("%C3%A9", 300)},
		{"https://example.com/{tag}{tag}{tag}{tag}", "", strings.Repeat("é", 100), checker.Other, ""},
	} {
		if got := downloadURL(c.template, c.prefixes, c.tag, c.p); got != c.want {
			t.Errorf("%s of %s for %v: got %q, want %q", c.template, c.tag, c.p, got, c.want)
		}
	}
	p := catalog.Product{Notes: "https://example.com/{version}#{tag}"}
	for _, c := range []struct {
		r    catalog.Release
		want string
	}{
		{catalog.Release{Tag: "v1.0.0"}, "https://example.com/1.0.0#v1.0.0"},
		{catalog.Release{Tag: "v1.0.0", Notes: "https://example.com/own"}, "https://example.com/own"},
		{catalog.Release{Tag: "nightly"}, "https://example.com/nightly#nightly"},
	} {
		if got := p.NotesURL(&c.r); got != c.want {
			t.Errorf("notes of %s: got %q, want %q", c.r.Tag, got, c.want)
		}
	}
}

// TestCheckTemplate checks templates of links to files. A template is invalid if its link
// is invalid on one platform or with one version; the error names the platform and the
// link.
func TestCheckTemplate(t *testing.T) {
	for template, want := range map[string]string{
		"https://example.com/{tag}/{os}/{arch}/{version}{windows:.exe}": "",
		"http://example.com/":                                      "",
		"http{windows:s}://example.com/":                           "",
		"{windows:https://example.com/app.exe}":                    "",
		"https://example.com{linux:/a}{darwin:/b}":                 "",
		"https://{version}.example.com/":                           "",
		"https://example.com/{tag}?os={os}":                        "",
		"https://example.com/{platform}":                           "unknown field {platform}",
		"https://example.com/{windowz:.exe}":                       `no operating system or architecture "windowz"`,
		"https://example.com/{os":                                  "no closing brace",
		"https://example.com/{windows:{tag}}.exe":                  "braces cannot be nested",
		"example.com/{tag}":                                        `gives aix/ppc64, for version v1.2.3, "example.com/v1.2.3": not an http or https URL`,
		"javascript:{tag}":                                         "not an http or https URL",
		"ftp://example.com/":                                       "not an http or https URL",
		"{linux:https}{windows:javascript}://example.com/":         "not an http or https URL",
		"https{windows::}{linux:}://example.com/":                  `gives windows/386, for version v1.2.3, "https:://example.com/": not`,
		"{windows:javascript://%0aalert(1)//}https://example.com/": `gives windows/386, for version v1.2.3, "javascript://%0aalert(1)//https://example.com/": not`,
		"https://{windows:user:secret@}example.com/":               `gives windows/386, for version v1.2.3, "https://…@example.com/": URL contains a user name or password`,
		"https://me:secret@example.com/":                           "a user name or password",
		"https://{plan9:@}example.com/":                            "gives plan9/386,",
		"https://{s390x:evil.example\\@}example.com/":              "gives linux/s390x,",
		"https://{darwin::443/}":                                   "not an http or https URL",
		"https://example.com/{darwin:\u202e}":                      "U+202E",
		"https://example.com/{darwin:\x1b[31m}":                    "U+001B",
		"https://example.com/{darwin:\u200b}":                      "U+200B",
		"https://example.com/{darwin:\u2028}":                      "U+2028",
		"https://example.com/{netbsd: }":                           "gives netbsd/386,",
		"https://example.com/{tag}{wasm:#top}":                     "fragment",
		"https://example.com:{version}/":                           "for version v1.2.3,",
		"https://example.com/%{version}":                           "for version v1.2.3,",
		"https://example%2{version}/":                              "not an http or https URL",
		"https://h%e2%80%a{version}/":                              "an escape (%) in its host",
		"https://example.com/" + strings.Repeat("{tag}", 25):       "for version 9.0.0-xxx",
		"":           "gives no platform a URL",
		"{windows:":  "no closing brace",
		"{windows:}": "gives no platform a URL",
	} {
		err := catalog.CheckTemplate(template, printable.CheckDownload)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", template, err, want)
		}
		if err != nil && strings.HasPrefix(err.Error(), "the template") && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error shows the password: %v", template, err)
		}
	}
	if err := catalog.CheckTemplate("https://example.com/CHANGELOG.md#{tag}", printable.CheckLink); err != nil {
		t.Errorf("a link to notes may have a fragment: %v", err)
	}
}

// FuzzTemplate checks that all links of a valid template are valid, for every tag and
// platform, and that there is a link for each version that a client can report.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{
		"https://example.com/{tag}/opa_{os}_{arch}{arm64:_static}{windows:.exe}", "{", "{}", "{version}", "{:}", "}{", "{a:{b}}",
		"{linux:https}{windows:javascript}://example.com/", "https://{windows:user:pw@}example.com/", "https://example.com/{s390x:#}",
		"http{darwin:s}://example.com/", "{windows:https://example.com/a.exe}", "https://{version}.example.com:8{version}/%2{version}",
		"https://h%e2%80%a{version}/", "https://[::1.2.3.{version}]/", "https://[::{version}]/", "https://example.com/%{version}",
		"https://example.com/{plan9:\u202e}", "https://example.com/{aix: }", "{linux:https:}{js://}", "https://{tag}{wasm:\\}@h",
	} {
		f.Add(s, "v1.2.3")
		f.Add(s, "8.1")
		f.Add(s, "1.0.0-rc.1+b-_."+strings.Repeat("z", 70))
	}
	f.Fuzz(func(t *testing.T, template, tag string) {
		downloadURL(template, "", tag, checker.Other)
		if catalog.CheckTag(tag) != nil {
			tag = "v1.2.3"
		}
		for name, check := range map[string]func(string) error{"link": printable.CheckLink, "download": printable.CheckDownload} {
			if catalog.CheckTemplate(template, check) != nil {
				continue
			}
			made := false
			product := catalog.Product{Download: template, Notes: template}
			for _, p := range append(checker.Platforms(), checker.Other, checker.Platform{}) {
				links := []string{product.DownloadURL(tag, p)}
				if name == "link" {
					links = append(links, product.NotesURL(&catalog.Release{Tag: tag}))
				}
				for _, link := range links {
					if err := check(link); link != "" && err != nil {
						t.Errorf("%q passes as a %s and gives %v, for tag %s, %v", template, name, p, tag, err)
					}
				}
				made = made || links[0] != ""
			}
			if !made && name == "download" && checker.ValidVersion(tag) && checker.Canonical(tag) != "" {
				t.Errorf("%q passes as a %s and gives none for tag %s", template, name, tag)
			}
		}
	})
}
