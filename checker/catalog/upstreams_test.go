package catalog_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	"relcheck/checker"
	"relcheck/checker/catalog"
)

func TestUpstreams(t *testing.T) {
	many := ""
	for range 25 {
		many += " github:me/app"
	}
	for list, want := range map[string]string{
		"":                                    "",
		"github:me/app \n go:example.com/app": "github:me/app go:example.com/app",
		"github:https://api.github.com/repos/me/app github:me/app": "github:me/app",
		many: "github:me/app",
	} {
		p, err := catalog.ProductPatch{"upstreams": list}.Apply(catalog.Product{Name: "app"})
		if err != nil || p.Upstreams != want || p.Field("upstreams") != want {
			t.Errorf("%q: got %q (error %v), want %q", list, p.Upstreams, err, want)
		}
	}
	for _, c := range []struct {
		product catalog.Product
		want    []string
	}{
		{catalog.Product{}, nil},
		{catalog.Product{Module: "example.com/a example.com/b"}, []string{"go:example.com/a", "go:example.com/b"}},
		{catalog.Product{Module: "example.com/a", Upstreams: "file:/srv/a github:me/app"}, []string{"file:/srv/a", "github:me/app"}},
	} {
		if got := c.product.UpstreamList(); !slices.Equal(got, c.want) {
			t.Errorf("%+v: got upstreams %q, want %q", c.product, got, c.want)
		}
	}
}

func TestProductEqual(t *testing.T) {
	a := catalog.Product{Name: "app", Syncs: []catalog.Sync{{Upstream: "go:a"}}}
	if b := (catalog.Product{Name: "app"}); !a.Equal(b) || !b.Equal(a) {
		t.Error("products with different syncs are not equal, want them to be")
	}
	if b := (catalog.Product{Name: "app", NotesHere: true}); a.Equal(b) {
		t.Error("products with different settings are equal")
	}
}

// TestNamedFiles names the files of releases and finds their hosted files. Each line of want
// is a file: its name, the name of its URL, the URL from which its content was fetched, and
// its state.
func TestNamedFiles(t *testing.T) {
	a, b, long := strings.Repeat("a", 64), strings.Repeat("b", 64), strings.Repeat("a", 128)
	none, linux, mac := checker.Platform{}, checker.Platform{OS: "linux", Arch: "amd64"}, checker.Platform{OS: "darwin", Arch: "arm64"}
	file := func(name, url string, p checker.Platform) catalog.File {
		return catalog.File{Name: name, URL: "https://e.com/" + url, Platform: p}
	}
	with := func(f catalog.File, size int64, sha256, sha512 string) catalog.File {
		f.Size, f.SHA256, f.SHA512 = size, sha256, sha512
		return f
	}
	hosted := func(name, url string) catalog.HostedFile {
		if url != "" {
			url = "https://e.com/" + url
		}
		return catalog.HostedFile{Name: name, URL: url, SHA256: a, SHA512: long, Size: 3}
	}
	damaged := hosted("damaged", "")
	damaged.Damaged = time.Unix(1e9, 0)
	const byPath = "https://e.com/{tag}/{linux:l}{darwin:d}/{amd64:x}{arm64:a}/app"
	for _, c := range []struct {
		what     string
		template string
		files    []catalog.File
		hosted   []catalog.HostedFile
		want     string
	}{
		{"states", "", []catalog.File{
			with(file("changed", "changed", none), 0, b, ""), with(file("damaged", "damaged", none), 0, a, ""), with(file("listed", "listed", none), 3, a, long),
			file("no sum", "no", none), file("only listed", "only", none), with(file("size", "size", none), 4, "", ""), with(file("sum", "sum", none), 0, "", strings.Repeat("b", 128)),
		}, []catalog.HostedFile{hosted("added", ""), hosted("changed", ""), damaged, hosted("listed", "listed"), hosted("no sum", ""), hosted("size", ""), hosted("sum", "")},
			"changed changed - changed; damaged damaged - damaged; listed listed listed hosted; no sum no - hosted; only listed only; size size - changed; sum sum - changed; added - - hosted"},
		{"one name for two platforms", "", []catalog.File{file("", "l/app", linux), file("", "m/app", mac)}, []catalog.HostedFile{hosted("darwin-arm64/app", "m/app")},
			"linux-amd64/app l/app; darwin-arm64/app m/app m/app hosted"},
		{"stored before the other platform was listed", "", []catalog.File{file("", "l/app", linux), file("", "m/app", mac)}, []catalog.HostedFile{hosted("app", "l/app")},
			"linux-amd64/app l/app l/app hosted; darwin-arm64/app m/app"},
		{"stored by hand", "", []catalog.File{file("", "l/app", linux), file("", "m/app", mac)}, []catalog.HostedFile{hosted("app", ""), hosted("linux-amd64/app", "")},
			"linux-amd64/app l/app - hosted; darwin-arm64/app m/app; app - - hosted"},
		{"names exchanged", "", []catalog.File{file("a", "1", none), file("b", "2", none)}, []catalog.HostedFile{hosted("a", "2"), hosted("b", "1")},
			"a 1 1 hosted; b 2 2 hosted"},
		{"name of another file", "", []catalog.File{file("a", "1", none), file("b", "2", none)}, []catalog.HostedFile{hosted("a", "2")},
			"a 1; b 2 2 hosted"},
		{"another URL", "", []catalog.File{file("a", "1", none)}, []catalog.HostedFile{hosted("a", "old")}, "a 1 old hosted"},
		{"one file for two platforms", "", []catalog.File{file("", "app", linux), file("", "app", mac), file("app.zip", "app", none)}, nil, "app.zip app"},
		{"platform without a file", "", []catalog.File{{Platform: linux}}, nil, ""},
		{"two files for a platform", "", []catalog.File{file("", "1/app", linux), file("app", "2/app", linux)}, nil, "linux-amd64/app 1/app"},
		{"template with names", "https://e.com/{tag}/app_{linux:l}{darwin:d}_{amd64:x}{arm64:a}", nil, []catalog.HostedFile{hosted("app_l_x", "v1/app_l_x"), hosted("app_d_a", "")},
			"app_l_x v1/app_l_x v1/app_l_x hosted; app_d_a v1/app_d_a - hosted"},
		{"template with paths", byPath, nil, []catalog.HostedFile{hosted("darwin-arm64/app", ""), hosted("linux-amd64/app", "v1/l/x/app")},
			"darwin-arm64/app v1/d/a/app - hosted; linux-amd64/app v1/l/x/app v1/l/x/app hosted"},
		{"template and list", byPath, []catalog.File{file("app", "v1/l/x/app", linux), file("app", "m/app", mac)}, nil, "darwin-arm64/app m/app; linux-amd64/app v1/l/x/app"},
		{"template for listed names", "https://e.com/{tag}/app_{linux:l}{darwin:d}_{amd64:x}{arm64:a}", []catalog.File{file("app_l_x", "1", none)}, []catalog.HostedFile{hosted("app_l_x", "v1/app_l_x")},
			"app_l_x 1 v1/app_l_x hosted"},
	} {
		slices.SortFunc(c.files, catalog.CompareFiles)
		slices.SortFunc(c.hosted, func(a, b catalog.HostedFile) int { return strings.Compare(a.Name, b.Name) })
		p, r := catalog.Product{Name: "app", Download: c.template}, catalog.Release{Tag: "v1", Files: c.files, Hosted: c.hosted}
		ranked := p.Rank([]catalog.Release{r})[0]
		for _, name := range []string{"app", "a", "b", "linux-amd64/app", "app_d_a", "damaged", "unknown"} {
			got, want := ranked.NamedFile(&p, name), ranked.NamedFiles(&p).Named(name)
			if got != want {
				t.Errorf("%s: got file %v of name %s, want %v", c.what, got, name, want)
			}
		}
		var got []string
		for _, f := range p.NamedFiles(&r) {
			if f.ByTemplate && f.Hosted == nil {
				continue
			}
			line := f.Name + " " + strings.TrimPrefix(f.Listed.URL, "https://e.com/")
			if f.Listed.URL == "" {
				line += "-"
			}
			if f.Hosted != nil {
				line += " " + cmp.Or(strings.TrimPrefix(f.Hosted.URL, "https://e.com/"), "-") + " " + []string{"not hosted", "hosted", "damaged", "changed"}[f.State]
			}
			got = append(got, line)
		}
		slices.Sort(got)
		want := strings.Split(c.want, "; ")
		slices.Sort(want)
		if got := strings.Join(got, "; "); got != strings.Join(want, "; ") {
			t.Errorf("%s: got files\n%s, want\n%s", c.what, got, strings.Join(want, "; "))
		}
	}
}

func TestCheckHostedFile(t *testing.T) {
	a := strings.Repeat("a", 64)
	for _, name := range []string{"app", "linux-amd64/app"} {
		if err := (&catalog.HostedFile{Name: name, URL: "https://e.com/app", SHA256: a, SHA512: a + a}).Check(); err != nil {
			t.Errorf("%s: got error %v", name, err)
		}
	}
	for _, f := range []catalog.HostedFile{{Name: "", SHA256: a}, {Name: "../a", SHA256: a}, {Name: "a/b", SHA256: a}, {Name: "linux-amd64/..", SHA256: a}, {Name: "linux-amd64/a/b", SHA256: a}, {Name: "linux-vax/a", SHA256: a},
		{Name: "a", SHA256: a, URL: "javascript:1"}, {Name: "a", SHA256: a, SHA512: a}, {Name: "a\n", SHA256: a}, {Name: "a", SHA256: "a"}, {Name: "a", SHA256: strings.ToUpper(a)}, {Name: "a", SHA256: a, Size: -1}} {
		if err := f.Check(); err == nil {
			t.Errorf("%+v: got no error", f)
		}
	}
}
