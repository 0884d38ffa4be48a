package version

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/semver"
)

func scheme(t testing.TB, prefixes, releaseSuffix string) Scheme {
	t.Helper()
	s, err := NewScheme(strings.Fields(prefixes), releaseSuffix)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestOrder lists versions from lowest to highest.
func TestOrder(t *testing.T) {
	for _, c := range []struct {
		name          string
		releaseSuffix string
		tags          string
	}{
		{"semantic versions", "", "v1.0.0-alpha v1.0.0-alpha.1 v1.0.0-alpha.beta v1.0.0-beta v1.0.0-beta.2 v1.0.0-beta.11 v1.0.0-rc.1 v1.0.0 v1.0.1 v1.2.0 v2.0.0"},
		{"runs of digits", "", "1.0.0-rc1 1.0.0-rc2 1.0.0-rc9 1.0.0-rc10 1.0.0-rc10a 1.0.0-rc100"},
		{"builds", "", "v1.30.0 v1.30.0+k3s1 v1.30.0+k3s2 v1.30.0+k3s10"},
		{"calendar", "", "2025.12.31 2026.01.02 2026.05.01 2026.05.01.1 2026.5.2"},
		{"dates", "", "2026-05-01 2026-05-01T00-00-01Z 2026-05-02"},
		{"numbers", "", "0.9 1 1.0.0.1 1.2 1.2.3 1.2.3.4 1.2.3.4.5 1.02.4 1.2.10 25.1 2026 18446744073709551617 18446744073709551618"},
		{"glued", "", "1.2.0a1 1.2.0b1 1.2.0b2 1.2.0.dev1 1.2.0rc1 1.2.0rc10 1.2.0 1.2.0a 1.2.0b 1.2.0w 1.2.1"},
		{"java", "", "4.2.0.Alpha1 4.2.0.Beta1 4.2.0.CR1 4.2.0.Final 4.2.1.Final"},
		{"after a glued suffix", "", "1.0.2a-beta 1.0.2a 1.0.2b"},
		{"release suffixes", "[0-9]+|ce", "2021.01.24-rc1 2021.01.24 2021.01.24-1 2021.01.24-2 2021.01.24-10 2021.02.01"},
		{"underscores", "", "7_42_0-pre2 7_42_0 7.42.1 7_43_0"},
	} {
		s := scheme(t, "", c.releaseSuffix)
		tags := strings.Fields(c.tags)
		for i, a := range tags {
			for j, b := range tags {
				want := min(1, max(-1, i-j))
				if got := s.Parse(a).CompareTag(s.Parse(b)); got != want {
					t.Errorf("%s: %s and %s compare as %d, want %d", c.name, a, b, got, want)
				}
			}
		}
	}
}

func TestUnordered(t *testing.T) {
	for _, tag := range []string{"", "v", "nightly", "latest", "1.2.x", "1.x", "v2.x", "1.4x", "1.0.0-", "1.0.0+", "1.", "1..2", "1.0-rc..1", "1.0.0.-rc1", "1.0.0+a+b", "1.0~rc1", "1.0 ", "1.0\u2028", "1.0\x1b[31m",
		"ünder-1.0", "V1.0", "-1.0", ".1", "RELEASE.Wed-Jun-17"} {
		if v := (Scheme{}).Parse(tag); v.Ordered() || v.OtherComponent() {
			t.Errorf("%q: ordered %v, foreign %v; want neither", tag, v.Ordered(), v.OtherComponent())
		}
	}
	for _, c := range []struct {
		prefixes, tag string
		foreign       bool
	}{
		{"", "cli/v1.2.3", true}, {"", "pkg@1.2.3", true}, {"", "@scope/pkg@1.0.0", true}, {"", "1.2.3@4", false}, {"", "v1/2", false},
		{"cli/v", "cli/v1.2.3", false}, {"cli/", "cli/v1.2.3", false}, {"cli/v", "v1.2.3", true}, {"cli/v", "climate/v1", true},
		{"release- r", "release-1.2", false}, {"release- r", "r1.2", false}, {"bun-v", "bun-v1.2.3", false}, {"pkg@", "pkg@1.2.3", false},
		{"go go-tools-", "go-tools-1.2", false},
		{"docker- v", "docker-v29.0.0", false}, {"docker- v", "v28.0.0", false}, {"docker- v", "28.0.0", false}, {"docker- v", "vendor-1.0", true}, {"docker- v", "cli/v1", true},
	} {
		s := scheme(t, c.prefixes, "")
		v := s.Parse(c.tag)
		if v.OtherComponent() != c.foreign {
			t.Errorf("prefixes %q, tag %q: foreign %v, want %v", c.prefixes, c.tag, v.OtherComponent(), c.foreign)
		}
		if c.prefixes != "" && !c.foreign && !v.Ordered() {
			t.Errorf("prefixes %q, tag %q: not ordered", c.prefixes, c.tag)
		}
	}
}

func TestStable(t *testing.T) {
	s := scheme(t, "", "rancher[0-9]+|[0-9]+|ce")
	stable := "1 1.2.3 v1.2.3+k3s1 4.2.Final 1.1.1w 9.4.48.v20220622 2.1.12-stable 1.0-final 1.0-GA 1.0-RELEASE 1.0-lts.1 1.0.0-release.20240101 2021.01.24-1 18.03.0-ce v1.0-rancher2 3.7c 2026-05-01"
	unstable := "1.2.0rc1 1.2.0.dev1 1.2.0a1 1.2.0b2 1.2.0m1 1.2.0.M1 1.2.0pr1 4.2.0.CR1 4.0.0.Alpha1 1.0-SNAPSHOT 1.0-rc.1 1.0-stable-rc1 1.0-final.beta2 1.0-istio 1.0-0.20260101120000-abcdefabcdef nightly 1.0.Preview2 1.0-14-gabcdef"
	for _, tag := range strings.Fields(stable) {
		if !s.Parse(tag).Stable() {
			t.Errorf("%s is not stable, want stable", tag)
		}
	}
	for _, tag := range strings.Fields(unstable) {
		if s.Parse(tag).Stable() {
			t.Errorf("%s is stable, want not", tag)
		}
	}
}

func TestWithoutVendor(t *testing.T) {
	latest := (Scheme{}).Parse("1.2.4")
	for tag, want := range map[string]int{
		"1.2.4": 0, "1.2.4-istio": 0, "1.2.4-fips": 0, "1.2.4-ubi9": 0, "1.2.4-14-gabcdef": 0, "1.2.4-1ubuntu1": 0, "1.2.4-b7f3c1d": 0, "1.2.4+dirty": 0, "1.2.3-istio": -1, "1.2.5-istio": 1,
		"1.2.4-beta.3": -1, "1.2.4-rc.2": -1, "1.2.4-dev": -1, "1.2.4-SNAPSHOT": -1, "1.2.4-nightly.20260101": -1, "1.2.0-rc.1-istio": -1, "1.2.4-rc1-istio": -1, "1.2.4rc1": -1, "1.2.4b7": -1, "1.2.4rc1-istio": -1, "1.2.4.Final-istio": 1,
		"v1.2.4-0.20260201120000-abcdefabcdef+dirty": -1, "v1.2.4-rc.1.0.20260201120000-abcdefabcdef": -1, "v0.0.0-20260201120000-abcdefabcdef": -1, "v1.2.5-0.20260201120000-abcdefabcdef": 1, "1.2.4a": 1,
	} {
		if got := (Scheme{}).Parse(tag).WithoutVendor().Compare(latest); got != want {
			t.Errorf("%s compares to 1.2.4 as %d, want %d", tag, got, want)
		}
	}
}

// TestSemver compares the order to that of golang.org/x/mod/semver, for random semantic
// versions without runs of digits in alphanumeric identifiers.
func TestSemver(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	identifiers := []string{"0", "1", "9", "10", "123", "alpha", "beta", "rc", "rc1", "rc2", "a", "b7", "x-y", "istio", "Z", "-", "dev"}
	random := func() string {
		v := fmt.Sprintf("v%d.%d.%d", r.IntN(3), r.IntN(12), r.IntN(3))
		for i := range r.IntN(4) {
			v += []string{"-", "."}[min(i, 1)] + identifiers[r.IntN(len(identifiers))]
		}
		if r.IntN(4) == 0 {
			v += "+b" + identifiers[r.IntN(5)]
		}
		return v
	}
	for range 200_000 {
		a, b := random(), random()
		if !semver.IsValid(a) || !semver.IsValid(b) {
			t.Fatalf("%s or %s is not a semantic version", a, b)
		}
		if got, want := (Scheme{}).Parse(a).Compare((Scheme{}).Parse(b)), semver.Compare(a, b); got != want {
			t.Fatalf("%s and %s compare as %d, semver %d", a, b, got, want)
		}
	}
}

// listing is a list of a project's tags.
type listing struct {
	options map[string]string // flags that an operator needs for the project
	tags    []string
}

func readListing(t testing.TB, name string) (l listing) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata/tags", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if comment, ok := strings.CutPrefix(lines.Text(), "# "); ok {
			if options, ok := strings.CutPrefix(comment, "options: "); ok {
				flag, value, _ := strings.Cut(options, " ")
				l.options = map[string]string{flag: value}
			}
			continue
		}
		l.tags = append(l.tags, lines.Text())
	}
	return l
}

// realTags returns the tags of all lists as versions, without those that keep refuses.
func realTags(t testing.TB, releaseSuffixes bool, keep func(Scheme, string) bool) (lists [][]Version) {
	t.Helper()
	files, err := os.ReadDir("testdata/tags")
	if err != nil || len(files) != 23 {
		t.Fatalf("got %d lists (error %v), want 23", len(files), err)
	}
	for _, file := range files {
		l := readListing(t, file.Name())
		suffix := ""
		if releaseSuffixes {
			suffix = l.options["--release-suffix"]
		}
		s := scheme(t, l.options["--tag-prefix"], suffix)
		var versions []Version
		for _, tag := range l.tags {
			if keep(s, tag) {
				versions = append(versions, s.Parse(tag))
			}
		}
		lists = append(lists, versions)
	}
	return lists
}

// TestTotalOrder tests that the order of the real tags of each list, and of all lists, is
// antisymmetric and transitive.
func TestTotalOrder(t *testing.T) {
	lists := realTags(t, true, func(Scheme, string) bool { return true })
	r := rand.New(rand.NewPCG(3, 4))
	for _, l := range append(lists, slices.Concat(lists...)) {
		for _, a := range l {
			for range 20 {
				checkOrder(t, a, l[r.IntN(len(l))], l[r.IntN(len(l))])
			}
		}
		slices.SortFunc(l, Version.CompareTag)
		for i := 1; i < len(l); i++ {
			checkOrder(t, l[i-1], l[i], l[r.IntN(len(l))])
			if l[i-1].CompareTag(l[i]) > 0 {
				t.Fatalf("%s and %s are not sorted", l[i-1].tag, l[i].tag)
			}
		}
	}
}

// TestSemverOfRealTags compares the order of real tags that are semantic versions to that
// of golang.org/x/mod/semver, except those with a run of digits in an alphanumeric
// identifier.
func TestSemverOfRealTags(t *testing.T) {
	runs := regexp.MustCompile(`[A-Za-z-][0-9A-Za-z-]*[0-9]{2}|[0-9]{2}[0-9]*[A-Za-z-]`)
	semantic := map[string]string{} // by tag
	lists := realTags(t, false, func(s Scheme, tag string) bool {
		v := "v" + s.Trim(tag)
		if !s.Parse(tag).Ordered() || !semver.IsValid(v) || runs.MatchString(strings.TrimPrefix(semver.Prerelease(v), "-")) {
			return false
		}
		semantic[tag] = v
		return true
	})
	all := slices.Concat(lists...)
	if len(all) < 2400 {
		t.Fatalf("got %d semantic versions, want at least 2400", len(all))
	}
	r := rand.New(rand.NewPCG(5, 6))
	for _, l := range append(lists, all) {
		for i, a := range l {
			for k := range 60 {
				b := l[r.IntN(len(l))]
				if k < 5 {
					b = l[(i+k)%len(l)] // tags that are near each other differ least
				}
				if got, want := a.Compare(b), semver.Compare(semantic[a.tag], semantic[b.tag]); got != want {
					t.Fatalf("%s and %s compare as %d, semver %d", a.tag, b.tag, got, want)
				}
			}
		}
	}
}

func checkOrder(t *testing.T, a, b, c Version) {
	t.Helper()
	for name, compare := range map[string]func(Version, Version) int{"Compare": Version.Compare, "CompareTag": Version.CompareTag} {
		if ab, ba := compare(a, b), compare(b, a); ab != -ba {
			t.Fatalf("%s(%q, %q) = %d, reversed %d", name, a.tag, b.tag, ab, ba)
		}
		if compare(a, b) <= 0 && compare(b, c) <= 0 && compare(a, c) > 0 {
			t.Fatalf("%s: %q <= %q <= %q, but not %q <= %q", name, a.tag, b.tag, c.tag, a.tag, c.tag)
		}
	}
	if a.tag != b.tag && a.kind == ordered && a.CompareTag(b) == 0 {
		t.Fatalf("%q and %q are equal", a.tag, b.tag)
	}
}

// FuzzOrder tests the properties of the order for arbitrary tags.
func FuzzOrder(f *testing.F) {
	f.Add("1.0.0-rc1", "1.0.0-rc01", "1.0.0-rc1a")
	f.Add("1.0", "1.0.0", "1.00")
	f.Add("1.0a-x", "1.0-a.x", "1.0.a+x")
	f.Add("2026-05-01", "2026.5.1", "2026-05-01T00-00-00Z")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		for _, s := range []Scheme{{}, scheme(t, "", "[0-9]+"), scheme(t, "a 1.", "")} {
			checkOrder(t, s.Parse(a), s.Parse(b), s.Parse(c))
			if v := s.Parse(a); v.Stable() && v.Prerelease() {
				t.Errorf("%q is stable and a pre-release", a)
			}
		}
	})
}

func TestNewSchemeErrors(t *testing.T) {
	for _, c := range []struct {
		prefixes []string
		suffix   string
	}{{[]string{"v"}, ""}, {[]string{"a", ""}, ""}, {nil, "["}, {nil, "a)(b"}, {nil, `\Qce`}} {
		if _, err := NewScheme(c.prefixes, c.suffix); err == nil {
			t.Errorf("NewScheme(%q, %q): no error", c.prefixes, c.suffix)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		Scheme{}.Parse("v1.30.0-rc.10+k3s1")
	}
}

func BenchmarkCompare(b *testing.B) {
	v, w := Scheme{}.Parse("v1.30.0-rc.10+k3s1"), Scheme{}.Parse("v1.30.0-rc.9+k3s1")
	for b.Loop() {
		v.CompareTag(w)
	}
}
