package catalog_test

import (
	"slices"
	"strings"
	"testing"

	"relcheck/checker/catalog"
)

func TestDeclared(t *testing.T) {
	for _, c := range []struct{ field, given, want string }{
		{"aliases", "  @me/App app  @ME/app app temporal-server", "@me/App app @ME/app temporal-server"},
		{"hosts", "Updates.Example.COM. example.com:443 example.com:8443 localhost:80 example.com", "updates.example.com example.com example.com:8443 localhost"},
		{"dialects", "npm checkpoint npm", "npm checkpoint"},
		{"dialects", "", ""},
	} {
		p, err := catalog.ProductPatch{c.field: c.given}.Apply(catalog.Product{Name: "app"})
		if err != nil || p.Field(c.field) != c.want {
			t.Errorf("%s %q: got %q (error %v), want %q", c.field, c.given, p.Field(c.field), err, c.want)
		}
	}
}

// TestExportWithoutHosts checks that neither side of an export moves a host.
func TestExportWithoutHosts(t *testing.T) {
	p := catalog.Product{Name: "app", Title: "app"}
	missing, _ := p.CompareSettings(catalog.ProductPatch{"name": "app", "hosts": "example.com", "aliases": "a", "dialects": "npm"})
	if len(missing) != 2 || missing["aliases"] != "a" || missing["dialects"] != "npm" || slices.Contains(catalog.ExportFields, "hosts") {
		t.Errorf("got missing settings %v and exported fields %v, want no hosts", missing, catalog.ExportFields)
	}
}

func TestPresets(t *testing.T) {
	all := catalog.Presets()
	if !slices.IsSortedFunc(all, func(a, b catalog.Preset) int { return strings.Compare(a.Name, b.Name) }) || len(all) < 27 {
		t.Errorf("got %d presets, want at least 27 in the order of their names", len(all))
	}
	for _, p := range all {
		if got, err := (catalog.ProductPatch{}).Apply(p.Product); err != nil || !got.Equal(p.Product) {
			t.Errorf("preset %s: got %+v (error %v), want it unchanged", p.Name, got, err)
		}
		if p.Repo != "" && p.Upstreams == "" && p.Module == "" || p.Repo == "" && p.Note == "" || p.Title == p.Name && p.Name != "n8n" {
			t.Errorf("preset %+v has no title, upstream or note", p)
		}
		if found := catalog.PresetNamed(p.Name); found == nil || !found.Equal(p.Product) {
			t.Errorf("PresetNamed(%q): got %v, want %v", p.Name, found, p)
		}
	}
	if got := catalog.PresetNamed("nosuch"); got != nil {
		t.Errorf("got preset %v of an unknown name, want nil", got)
	}
}
