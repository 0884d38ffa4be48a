package dialect

import (
	"strings"
	"testing"
)

func mustParse(t *testing.T, text string) Pattern {
	t.Helper()
	p, err := ParsePattern(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestMatch(t *testing.T) {
	for _, test := range []struct{ pattern, path, want string }{
		{"/version.json", "/version.json", "yes"},
		{"/version.json", "/versionXjson", ""},
		{"/version.json", "/version.json/x", ""},
		{"/{label}.txt", "/stable-1.txt", "label=stable-1"},
		{"/{label}.txt", "/.txt", ""},
		{"/{label}.txt", "/a.txt.txt", "label=a.txt"},
		{"/{product}", "/@me%2Fapp", "product=@me/app"},
		{"/{product}", "/@me/app", ""},
		{"/{a}-{b}.yml", "/x-y-z.yml", "a=x b=y-z"},
		{"/{a}-{b}.yml", "/-y.yml", ""},
		{"/v{a}-{b}-z", "/v--a--z", "a=- b=a-"},
		{"/check/{product...}", "/check/a/b", "product=a/b"},
		{"/check/{product...}", "/check/a%2Fb/c", "product=a/b/c"},
		{"/check/{product...}", "/check", ""},
		{"/{o}/{r}/x", "/o/r/x", "o=o r=r"},
		{"/{o}/{r}/x", "/o/x", ""},
		{"/{v}", "/a%0Ab", ""},
		{"/{v}", "/a%FF", ""},
		{"/{v}", "/" + strings.Repeat("x", 201), ""},
		{"/{v...}", "/" + strings.Repeat("x", 1000) + "/" + strings.Repeat("y", 999), "v=" + strings.Repeat("x", 1000) + "/" + strings.Repeat("y", 999)},
		{"/{v...}", "/" + strings.Repeat("x", 2001), ""},
		{"/{v}", "/a%22%7B%7B", `v=a"{{`},
	} {
		var v Vars
		got := ""
		if mustParse(t, test.pattern).Match(test.path, &v) {
			var pairs []string
			for _, one := range v.all {
				pairs = append(pairs, one.name+"="+one.value)
			}
			if got = strings.Join(pairs, " "); got == "" {
				got = "yes"
			}
		} else if len(v.all) > 0 {
			t.Errorf("%s leaves %d variables of %s, which it does not match", test.pattern, len(v.all), test.path)
		}
		if got != test.want {
			t.Errorf("%s matches %s with %q, want %q", test.pattern, test.path, got, test.want)
		}
	}
}

func TestOverlaps(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"/a", "/a", true},
		{"/a", "/b", false},
		{"/a", "/a/b", false},
		{"/{x}", "/a", true},
		{"/{x}.txt", "/{y}.yml", false},
		{"/{x}.txt", "/a{y}", true},
		{"/a{x}", "/{y}b", true},
		{"/a{x}b", "/{y}ab{z}", true},
		{"/{x}aa", "/a", false},
		{"/{x}a", "/a", false},
		{"/{x}/b", "/a/{y}", true},
		{"/{x}/b", "/{y}/c", false},
		{"/{x...}", "/a/b/c", true},
		{"/a/{x...}", "/a", false},
		{"/a/{x...}", "/b/{y...}", false},
		{"/a/{x...}", "/{y...}", true},
		{"/{p}", "/{feed}.yml", true},
		{"/%41", "/A", true},
	} {
		a, b := mustParse(t, test.a), mustParse(t, test.b)
		if a.Overlaps(b) != test.want || b.Overlaps(a) != test.want {
			t.Errorf("%s overlaps %s: %t, %t, want %t", a, b, a.Overlaps(b), b.Overlaps(a), test.want)
		}
	}
}

func TestBadPatterns(t *testing.T) {
	for _, text := range []string{
		"", "/", "a", "/a/", "/a//b", "/a/../b", "/{a", "/a}", "/{a}{b}", "/{a}/{a}", "/{}", "/{a.b}", "/{a b}", "/{a...}/b", "/x{a...}", "/%", "/a%00", "/a%0A",
		"/{" + strings.Repeat("x", 31) + "}", strings.Repeat("/{a}", 17),
	} {
		if p, err := ParsePattern(text); err == nil {
			t.Errorf("ParsePattern(%q) = %q, want an error", text, p)
		}
	}
}

// FuzzPattern tests that two patterns overlap if both match a path.
func FuzzPattern(f *testing.F) {
	f.Add("/{a}.txt", "/x{b}", "/xy.txt")
	f.Add("/a/{b...}", "/{c...}", "/a/b/c")
	f.Add("/{a}-{b}-c", "/{d}b-{e}", "/aab-b-c")
	f.Fuzz(func(t *testing.T, a, b, path string) {
		if len(a)+len(b)+len(path) > 300 {
			return
		}
		p, err := ParsePattern(a)
		q, err2 := ParsePattern(b)
		path, ok := SplitPath(path)
		if err != nil || err2 != nil || !ok {
			return
		}
		if p.String() != a || !p.Overlaps(p) {
			t.Errorf("pattern %q is %q, overlaps itself: %t", a, p, p.Overlaps(p))
		}
		overlap := p.Overlaps(q)
		if overlap != q.Overlaps(p) {
			t.Errorf("%q overlaps %q: %t, and the reverse: %t", a, b, overlap, !overlap)
		}
		if p.Match(path, &Vars{}) && q.Match(path, &Vars{}) && !overlap {
			t.Errorf("%q and %q match %q, and do not overlap", a, b, path)
		}
	})
}
