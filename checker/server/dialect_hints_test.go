package server_test

import (
	"strings"
	"testing"

	"relcheck/checker/catalog"
	"relcheck/checker/server"
	"relcheck/db"
)

func TestDialectHints(t *testing.T) {
	all := []catalog.Product{
		{Name: "app", Dialects: "npm electron nosuch"},
		{Name: "grafana", Dialects: "grafana"},
		{Name: "copy", Dialects: "grafana"},
		{Name: "plugin", Dialects: "grafana-plugins"},
		{Name: "piechart", Dialects: "grafana-plugins"},
		{Name: "terraform", Dialects: "checkpoint"},
		{Name: "nomad", Dialects: "checkpoint"},
		{Name: "one", Hosts: "updates.example.com", Dialects: "electron", Repo: "me/one"},
		{Name: "two", Hosts: "updates.example.com", Dialects: "version-text npm-dist-tags", Repo: "me/two"},
		{Name: "three", Hosts: "updates.example.com", Dialects: "go-selfupdate", Repo: "me/three"},
		{Name: "four", Hosts: "updates.example.com", Dialects: "npm", Repo: "me/four"},
	}
	for product, want := range map[string][]string{
		"app":       {"dialect electron is not answered: it has paths of dialect npm, which comes first", "dialect nosuch is not built in: the folder of relcheck serve --dialects must have a valid file nosuch.dialect"},
		"grafana":   {"products grafana and copy both answer dialect grafana on grafana.com: requests go to the product that was added first"},
		"copy":      {"products grafana and copy both answer dialect grafana on grafana.com: requests go to the product that was added first"},
		"plugin":    nil,
		"terraform": nil,
		"nomad":     nil,
		"two":       {"dialect npm of product four has paths of dialect version-text of product two on updates.example.com: requests go to the product that was added first"},
		"three":     nil,
		"nosuch":    nil,
	} {
		if got := server.DialectHints(product, all); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("product %s: got hints\n%s\nwant\n%s", product, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// TestPresetDialects checks that presets list known dialects, and that all products together
// answer them.
func TestPresetDialects(t *testing.T) {
	var all []catalog.Product
	for _, p := range catalog.Presets() {
		all = append(all, p.Product)
	}
	for _, p := range all {
		if got := server.DialectHints(p.Name, all); len(got) > 0 {
			t.Errorf("preset %s: got hints %q, want none", p.Name, got)
		}
	}
}

// TestDialectWarnings checks that dialects that are not answered are logged once, and shown
// to maintainers only.
func TestDialectWarnings(t *testing.T) {
	var log strings.Builder
	s := newServiceWith(t, serviceOptions{
		log: &log,
		fill: func(store *db.Store) {
			if err := store.AddProduct(t.Context(), catalog.Product{Name: "app", Title: "App", Dialects: "nosuch"}); err != nil {
				t.Fatal(err)
			}
		},
	})
	const hint = "ialect nosuch is not built in"
	s.newProduct(t, "other", `{"dialects":["npm"]}`)
	if got := strings.Count(log.String(), hint); got != 1 {
		t.Errorf("got %d warnings, want 1: %s", got, log.String())
	}
	if page := s.browse(t, "/products/app/releases").body; strings.Contains(page, hint) {
		t.Errorf("page without sign-in: got %s, want no hint", page)
	}
	_, token := s.token(t)
	if page := s.page(t, "/products/app/releases", token).body; !strings.Contains(page, hint) {
		t.Errorf("page: got %s, want the hint", page)
	}
}
