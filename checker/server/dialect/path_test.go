package dialect

import (
	"net/url"
	"strings"
	"testing"

	"relcheck/checker"
)

func TestSplitPath(t *testing.T) {
	for _, test := range []struct {
		path, want string
		ok         bool
	}{
		{"", "/", true},
		{"/", "/", true},
		{"//", "/", true},
		{"/v1/version", "/v1/version", true},
		{"//v1///version/", "/v1/version", true},
		{"/@me%2Fapp", "/@me%2Fapp", true},
		{"/a/./b", "", false},
		{"/a/..", "", false},
		{"/a/%2e%2E/b", "", false},
		{"/a/...", "/a/...", true},
		{"/a%00b", "", false},
		{"/a%2", "", false},
		{"/a%zz", "", false},
		{"a/b", "", false},
		{"*", "", false},
	} {
		if got, ok := SplitPath(test.path); got != test.want || ok != test.ok {
			t.Errorf("SplitPath(%q) = %q, %t, want %q, %t", test.path, got, ok, test.want, test.ok)
		}
	}
	if n := testing.AllocsPerRun(100, func() { SplitPath("/v1/version") }); n != 0 {
		t.Errorf("SplitPath of a clean path allocates %v times, want 0", n)
	}
}

func TestCutPrefix(t *testing.T) {
	linux := checker.Platform{OS: "linux", Arch: "amd64"}
	for _, test := range []struct {
		path string
		want Prefix
	}{
		{"/p/opa/v1/version", Prefix{Product: "opa", Text: "/p/opa", Rest: "/v1/version"}},
		{"/p/opa", Prefix{Product: "opa", Text: "/p/opa", Rest: "/"}},
		{"//p//opa//v1//version/", Prefix{Product: "opa", Text: "/p/opa", Rest: "/v1/version"}},
		{"/p/opa@lts/x", Prefix{Product: "opa", Channel: "lts", Named: true, Text: "/p/opa@lts", Rest: "/x"}},
		{"/p/opa@/x", Prefix{Product: "opa", Named: true, Text: "/p/opa@", Rest: "/x"}},
		{"/p/opa/linux-amd64/x", Prefix{Product: "opa", Platform: linux, Text: "/p/opa/linux-amd64", Rest: "/x"}},
		{"/p/opa/linux-amd65/x", Prefix{Product: "opa", Text: "/p/opa", Rest: "/linux-amd65/x"}},
		{"/p/opa/as/1.22.2/linux-amd64/v1/version", Prefix{Product: "opa", As: true, Version: "1.22.2", Platform: linux, Text: "/p/opa/as/1.22.2/linux-amd64", Rest: "/v1/version"}},
		{"/p/opa/as/1.2%2Bk3s1/x", Prefix{Product: "opa", As: true, Version: "1.2+k3s1", Text: "/p/opa/as/1.2%2Bk3s1", Rest: "/x"}},
		{"/p/opa/as/$(IMAGE_TAG)/linux-amd64/x", Prefix{Product: "opa", As: true, Invalid: true, Platform: linux, Text: "/p/opa/linux-amd64", Rest: "/x"}},
		{"/p/opa/as/%24%7BV%7D/x", Prefix{Product: "opa", As: true, Invalid: true, Text: "/p/opa", Rest: "/x"}},
		{"/p/opa/as//linux-amd64/x", Prefix{Product: "opa", As: true, Invalid: true, Platform: linux, Text: "/p/opa/linux-amd64", Rest: "/x"}},
		{"/p/opa/as//x", Prefix{Product: "opa", As: true, Invalid: true, Text: "/p/opa", Rest: "/x"}},
		{"/p/opa/as/linux-amd64/x", Prefix{Product: "opa", As: true, Invalid: true, Platform: linux, Text: "/p/opa/linux-amd64", Rest: "/x"}},
		{"/p/opa/as/linux-amd64/linux-amd64/x", Prefix{Product: "opa", As: true, Invalid: true, Platform: linux, Text: "/p/opa/linux-amd64", Rest: "/linux-amd64/x"}},
		{"/p/opa/as", Prefix{Product: "opa", As: true, Invalid: true, Text: "/p/opa", Rest: "/"}},
	} {
		got, ok := CutPrefix(test.path)
		if !ok || got != test.want {
			t.Errorf("CutPrefix(%q) = %+v, %t, want %+v", test.path, got, ok, test.want)
		}
	}
	for _, path := range []string{"/", "/p", "/p/", "/P/opa", "/products/p/opa", "/v1/version"} {
		if got, ok := CutPrefix(path); ok {
			t.Errorf("CutPrefix(%q) = %+v, want false", path, got)
		}
	}
}

func FuzzSplitPath(f *testing.F) {
	for _, path := range []string{"/", "/v1/version", "//a//b/", "/a/%2e%2e/b", "/@me%2Fapp", "/a%00", "/%"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		clean, ok := SplitPath(path)
		if !ok {
			return
		}
		if again, ok := SplitPath(clean); !ok || again != clean || clean[0] != '/' || strings.Contains(clean, "//") || clean != "/" && strings.HasSuffix(clean, "/") {
			t.Errorf("SplitPath(%q) = %q, which is not normal", path, clean)
		}
		for part := range strings.SplitSeq(clean, "/") {
			if text, err := url.PathUnescape(part); err != nil || text == "." || text == ".." || strings.Contains(text, "\x00") {
				t.Errorf("SplitPath(%q) = %q with the segment %q, %v", path, clean, text, err)
			}
		}
	})
}

func FuzzCutPrefix(f *testing.F) {
	for _, path := range []string{"/p/opa/as/1.2.3/linux-amd64/x", "/p/opa@lts/", "/p/opa/as//x", "/p/a%2Fb/as/%", "//p//x"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if _, ok := SplitPath(path); !ok {
			return
		}
		p, ok := CutPrefix(path)
		if !ok {
			return
		}
		if p.Product == "" && !p.Named || p.Version != "" && !checker.ValidVersion(p.Version) || p.Invalid && p.Version != "" || p.Invalid && !p.As {
			t.Errorf("CutPrefix(%q) = %+v", path, p)
		}
		if clean, ok := SplitPath(p.Rest); !ok || clean != p.Rest {
			t.Errorf("CutPrefix(%q) has the rest %q, which is not normal", path, p.Rest)
		}
		again, ok := CutPrefix(p.Text + p.Rest)
		if again.As, again.Invalid = p.As, p.Invalid; !p.Invalid && (!ok || again != p) {
			t.Errorf("CutPrefix(%q) = %+v, and of its parts %+v", path, p, again)
		}
	})
}
