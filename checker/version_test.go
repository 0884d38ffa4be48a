package checker_test

import (
	"strings"
	"testing"

	"relcheck/checker"
)

func TestVersions(t *testing.T) {
	for v, want := range map[string][2]string{ // canonical, core
		"v1.2.3":              {"v1.2.3", "v1.2.3"},
		"1.2.3":               {"v1.2.3", "v1.2.3"},
		"1.2":                 {"v1.2.0", "v1.2.0"},
		"0.21.0-istio":        {"v0.21.0-istio", "v0.21.0"},
		"1.0.0-rc.1+build.5":  {"v1.0.0-rc.1", "v1.0.0"},
		"v2.0.0+incompatible": {"v2.0.0", "v2.0.0"},
		"01.2.3":              {"", ""},
		"1.2.3.4":             {"", ""},
		"dev":                 {"", ""},
		"":                    {"", ""},
	} {
		if got := [2]string{checker.Canonical(v), checker.Core(v)}; got != want {
			t.Errorf("%q: got %q, want %q", v, got, want)
		}
	}
}

func TestVersionOrder(t *testing.T) {
	order := []string{"dev", "0.9.0", "v0.10.0-rc.1", "0.10.0-rc.2", "v0.10.0", "1.0.0"}
	for i, a := range order {
		for j, b := range order {
			want := 0
			switch {
			case i < j:
				want = -1
			case i > j:
				want = 1
			}
			if got := checker.Compare(a, b); got != want {
				t.Errorf("%s against %s: got %d, want %d", a, b, got, want)
			}
		}
	}
}

func TestExpand(t *testing.T) {
	const opa = "https://example.com/{tag}/opa_{os}_{arch}{arm64:_static}{windows:.exe}"
	for _, c := range []struct {
		template, tag string
		p             checker.Platform
		want          string
	}{
		{opa, "v0.19.2", checker.Platform{OS: "darwin", Arch: "amd64"}, "https://example.com/v0.19.2/opa_darwin_amd64"},
		{opa, "v0.70.0", checker.Platform{OS: "linux", Arch: "arm64"}, "https://example.com/v0.70.0/opa_linux_arm64_static"},
		{opa, "v0.70.0", checker.Platform{OS: "windows", Arch: "amd64"}, "https://example.com/v0.70.0/opa_windows_amd64.exe"},
		{opa, "v0.70.0", checker.Other, ""},
		{opa, "v0.70.0", checker.Platform{}, ""},
		{"https://example.com/{version}", "v0.70.0", checker.Other, "https://example.com/0.70.0"},
		{"https://example.com/{tag}", "0.70.0+1", checker.Other, "https://example.com/0.70.0+1"},
		{"", "v1.0.0", checker.Other, ""},
	} {
		if got := checker.Expand(c.template, c.tag, c.p); got != c.want {
			t.Errorf("%s of %s for %v: got %q, want %q", c.template, c.tag, c.p, got, c.want)
		}
	}
}

// TestCheckTemplate checks templates of links to files. What is wrong on one
// platform, or with one version, is wrong; the error names the platform and the
// URL that it gets.
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
		"https://{windows:user:secret@}example.com/":               `gives windows/386, for version v1.2.3, "https://…@example.com/": the URL has a user name or a password`,
		"https://me:secret@example.com/":                           "a user name or a password",
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
		err := checker.CheckTemplate(template, checker.CheckDownload)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", template, err, want)
		}
		if err != nil && strings.HasPrefix(err.Error(), "the template") && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error shows the password: %v", template, err)
		}
	}
	if err := checker.CheckTemplate("https://example.com/CHANGELOG.md#{tag}", checker.CheckLink); err != nil {
		t.Errorf("a link to notes may have a fragment: %v", err)
	}
}

func TestParseUserAgent(t *testing.T) {
	linux := checker.Platform{OS: "linux", Arch: "amd64"}
	for header, want := range map[string]struct {
		version string
		p       checker.Platform
	}{
		"Open Policy Agent/0.70.0 (linux, amd64)":    {"0.70.0", linux},
		`"Open Policy Agent/v0.12.3 (linux, amd64)"`: {"v0.12.3", linux},
		"A/B (beta)/1.0 (linux, amd64)":              {"1.0", linux},
		"App/1.0 (amiga, m68k)":                      {"1.0", checker.Other},
		"App/1 0 (linux, amd64)":                     {"", linux},
		"App (linux, amd64)":                         {"", linux},
		"OPA-Version-Checker":                        {},
		"Mozilla/5.0 (X11; Linux x86_64)":            {},
		"App/1.0 (linux, amd64) extra":               {},
		"":                                           {},
	} {
		if version, p := checker.ParseUserAgent(header); version != want.version || p != want.p {
			t.Errorf("%s: got %q, %v", header, version, p)
		}
	}
}
