package catalog_test

import (
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

// A hosted file is linked unless its content is damaged or differs from upstream's
// checksum.
func TestHostedFile(t *testing.T) {
	a, b := strings.Repeat("a", 64), strings.Repeat("b", 64)
	damaged := catalog.HostedFile{Name: "damaged", SHA256: a, Damaged: time.Unix(1e9, 0)}
	r := catalog.Release{
		Files:  []catalog.File{{Name: "changed", SHA256: b}, {Name: "damaged", SHA256: a}, {Name: "listed", SHA256: a}, {Name: "no sum"}, {Name: "only listed"}, {Name: "two", SHA256: a}, {Name: "two", Platform: checker.Platform{OS: "linux", Arch: "amd64"}, SHA256: b}},
		Hosted: []catalog.HostedFile{{Name: "added", SHA256: a}, {Name: "changed", SHA256: a}, damaged, {Name: "listed", SHA256: a}, {Name: "no sum", SHA256: a}, {Name: "two", SHA256: a}},
	}
	for name, want := range map[string]catalog.HostedState{
		"added": catalog.FileHosted, "changed": catalog.FileChanged, "damaged": catalog.FileDamaged, "listed": catalog.FileHosted,
		"no sum": catalog.FileHosted, "only listed": catalog.NotHosted, "": catalog.NotHosted, "two": catalog.FileChanged,
	} {
		f, got := r.HostedFile(name)
		if got != want || (f == nil) != (want == catalog.NotHosted) || f != nil && f.Name != name {
			t.Errorf("%q: got state %d and %v, want state %d", name, got, f, want)
		}
	}
	for _, f := range []catalog.HostedFile{{Name: "", SHA256: a}, {Name: "../a", SHA256: a}, {Name: "a/b", SHA256: a}, {Name: "a\n", SHA256: a}, {Name: "a", SHA256: "a"}, {Name: "a", SHA256: strings.ToUpper(a)}, {Name: "a", SHA256: a, Size: -1}} {
		if err := f.Check(); err == nil {
			t.Errorf("%+v: got no error", f)
		}
	}
}
