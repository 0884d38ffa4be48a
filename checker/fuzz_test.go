package checker_test

import (
	"net/url"
	"strings"
	"testing"

	"relcheck/checker"
	"relcheck/checker/printable"
)

func FuzzUserAgent(f *testing.F) {
	for _, s := range []string{
		"Open Policy Agent/0.70.0 (linux, amd64)", `"Open Policy Agent/v0.12.3 (darwin, amd64)"`,
		"OPA-Version-Checker", "a/b/1.0 (x, y) (linux, arm64)", " (, )", "/ (linux, amd64)", "x/1.0 (linux, amd64", `"`, "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		version, p := checker.ParseUserAgent(header)
		if version != "" && !checker.ValidVersion(version) {
			t.Errorf("%q: version %q", header, version)
		}
		if p != (checker.Platform{}) && p != checker.Other && !p.Known() {
			t.Errorf("%q: platform %v", header, p)
		}
		if version != "" && p == (checker.Platform{}) {
			t.Errorf("%q: version %q without a platform", header, version)
		}
		if strings.ContainsAny(header, `"/ `) || version != "" {
			return
		}
		again, back := checker.ParseUserAgent(checker.UserAgent(header, "1.2.3", checker.Platform{OS: "linux", Arch: "amd64"}))
		if again != "1.2.3" || back.OS != "linux" || back.Arch != "amd64" {
			t.Errorf("title %q: came back as %q, %v", header, again, back)
		}
	})
}

func FuzzVersion(f *testing.F) {
	for _, s := range []string{"0.70.0", "v1.2.3-rc.1+meta", "1", "v", "vv1.2.3", "0.21.0-istio", "01.2.3", "1.2.3-", "２.0.0", ""} {
		f.Add(s, "v1.0.0")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		canonical, core := checker.Canonical(a), checker.Core(a)
		if checker.Canonical(canonical) != canonical || checker.Core(core) != core {
			t.Errorf("%q: canonical %q, core %q are not their own", a, canonical, core)
		}
		if (canonical == "") != (core == "") || !strings.HasPrefix(canonical, core) {
			t.Errorf("%q: canonical %q, core %q", a, canonical, core)
		}
		if checker.Compare(a, b) != -checker.Compare(b, a) || checker.Compare(a, a) != 0 {
			t.Errorf("%q and %q have no order", a, b)
		}
		if canonical != "" && checker.ValidVersion(a) && checker.Compare(a, canonical) != 0 {
			t.Errorf("%q is not equal to %q", a, canonical)
		}
	})
}

// FuzzTemplate holds that a template which passes the check makes only links that
// pass it, for every version and platform.
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
		checker.Expand(template, tag, checker.Other)
		if !checker.ValidVersion(tag) || checker.Canonical(tag) == "" {
			tag = "v1.2.3"
		}
		for name, check := range map[string]func(string) error{"link": checker.CheckLink, "download": checker.CheckDownload} {
			if checker.CheckTemplate(template, check) != nil {
				continue
			}
			made := false
			for _, p := range append(checker.Platforms(), checker.Other, checker.Platform{}) {
				link := checker.Expand(template, tag, p)
				if err := check(link); link != "" && err != nil {
					t.Errorf("%q passes as a %s and gives %v, for version %s, %v", template, name, p, tag, err)
				}
				made = made || link != ""
			}
			if !made {
				t.Errorf("%q passes as a %s and makes none", template, name)
			}
		}
	})
}

// FuzzLink holds that a link which passes the check leads to a web server and no
// browser or terminal takes it for anything else.
func FuzzLink(f *testing.F) {
	for _, s := range []string{
		"https://example.com/a#b", "HTTP://[::1]:80", "javascript://h/%0aalert(1)", "https:h", "https:///h", "//h", "https://h\\@e/", "https://u:p@h/",
		"https://@h", "https://h/\u202e", "https://h/\x1b[31m", "https://h%00/", "https://h/ a", "https://:1/", "ht\ttps://h", " https://h",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		err := checker.CheckLink(s)
		if err != nil {
			if u, bad := url.Parse(s); bad == nil && u.User != nil && u.Host != "" {
				if secret, _ := u.User.Password(); len(secret) > 8 && strings.Contains(err.Error(), secret) && !strings.Contains(u.Host+u.Path+u.RawQuery+u.Fragment, secret) {
					t.Errorf("the error shows the password of %q: %v", s, err)
				}
			}
			if printable.Check(err.Error()) != nil {
				t.Errorf("the error cannot be shown: %q", err)
			}
			return
		}
		u, err := url.Parse(s)
		switch {
		case err != nil || u.Hostname() == "" || u.User != nil || u.Opaque != "" || len(s) > checker.MaxLink || printable.Check(s) != nil:
			t.Errorf("%q passes", s)
		case !strings.HasPrefix(strings.ToLower(s), "http://") && !strings.HasPrefix(strings.ToLower(s), "https://"):
			t.Errorf("%q passes", s)
		case strings.ContainsAny(authority(s), "\\@% "):
			t.Errorf("%q passes, and browsers may see another host in it", s)
		}
		if checker.CheckDownload(s) == nil && u.Fragment != "" {
			t.Errorf("%q passes as a download", s)
		}
	})
}

// authority is what stands between the second slash and the third.
func authority(link string) string { return strings.SplitN(link, "/", 4)[2] }
