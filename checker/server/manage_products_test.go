package server_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"relcheck/checker/access"
	"relcheck/checker/catalog"
	"relcheck/checker/server"
	"relcheck/checker/syncer"
	"relcheck/checker/upstream"
)

// TestManageProducts checks that products can be added, with and without a preset, changed,
// hidden and removed.
func TestManageProducts(t *testing.T) {
	s := newService(t)
	m := s.manager(t, access.Admin)
	page := m.follow(t, "/manage/products", "", "name", "app", "title", "My <App>", "download", "https://example.com/{tag}/{os}-{arch}", "dialects", "npm\r\nelectron\r\n")
	wantText(t, "added", page, "Added product My <App>. Now add a release.", "No releases.")
	p, err := s.store.Product(context.Background(), "app")
	if want := (catalog.Product{Name: "app", Title: "My <App>", Download: "https://example.com/{tag}/{os}-{arch}", Dialects: "npm electron"}); err != nil || !p.Equal(want) {
		t.Errorf("got product %+v and error %v, want %+v", p, err, want)
	}
	if got := s.lastChange(t); got != m.id+" product.added app " {
		t.Errorf("got audit entry %q, want product.added", got)
	}
	preset := catalog.PresetNamed("kubernetes").Product
	page = m.follow(t, "/manage/products?preset=kubernetes", "", "name", "k8s", "title", "K8s")
	wantText(t, "added with a preset", page, "Added product K8s. Sync it now to read its releases.", "github:kubernetes/kubernetes")
	preset.Name, preset.Title = "k8s", "K8s"
	if p, err = s.store.Product(context.Background(), "k8s"); err != nil || !p.Equal(preset) {
		t.Errorf("got product %+v and error %v, want %+v", p, err, preset)
	}

	const settings = "/manage/products/app/settings"
	page = m.follow(t, settings, "", "match", "<2", "hidden", "true", "require_files", "true", "aliases", "a\r\nb")
	wantText(t, "changed", page, "Changed the settings.", `value="<2"`)
	if got := s.lastChange(t); got != m.id+" product.changed app match, require_files, aliases, hidden" {
		t.Errorf("got audit entry %q, want the changed fields", got)
	}
	wantText(t, "overview", m.do(t, "GET", "/", nil), "K8s", "!My <App>")
	wantText(t, "list", m.do(t, "GET", "/manage", nil), "My <App>", "hidden", "K8s")
	wantText(t, "page of a hidden product", m.do(t, "GET", "/products/app", nil), "My <App>")
	wantText(t, "unchanged", m.follow(t, settings, ""), "Nothing to change.")

	for name, c := range map[string]struct {
		path   string
		change []string
		want   string
	}{
		"no name":           {"/manage/products", []string{"title", "Kept"}, "cannot be a product's name"},
		"known name":        {"/manage/products", []string{"name", "app", "title", "Kept"}, "Product app already exists"},
		"known repository":  {"/manage/products", []string{"name", "other", "title", "Kept", "repo", "kubernetes/kubernetes"}, "Repository kubernetes/kubernetes belongs to product k8s"},
		"for any program":   {"/manage/products?preset=npm-tool", []string{"title", "Kept"}, "Preset npm-tool is for any program"},
		"a file":            {"/manage/products", []string{"name", "other", "title", "Kept", "upstreams", "file:/etc"}, "only if it is set on the command line"},
		"odd template":      {settings, []string{"title", "Kept", "download", "ftp://{tag}"}, "aria-invalid"},
		"odd range":         {settings, []string{"title", "Kept", "match", "<<"}, "aria-invalid"},
		"odd age":           {settings, []string{"title", "Kept", "min_age", "soon"}, "is not a duration"},
		"odd links":         {settings, []string{"title", "Kept", "links", "elsewhere"}, "is none of hosted"},
		"odd host":          {settings, []string{"title", "Kept", "hosts", "a b$"}, "is not a host"},
		"another component": {settings, []string{"title", "Kept", "tag_prefixes", "a,b"}, "contains a comma"},
	} {
		before := s.lastChange(t)
		got := m.submit(t, c.path, "", c.change...)
		if got.StatusCode != http.StatusUnprocessableEntity || s.lastChange(t) != before {
			t.Errorf("%s: got status %d and last change %s, want 422 and no change", name, got.StatusCode, s.lastChange(t))
		}
		wantText(t, name, got, c.want, `value="Kept"`)
	}
	wantText(t, "confirmation", m.do(t, "GET", "/manage/products/app/remove", nil), "Removes product app with its releases", "Type app to confirm", "Clients of /p/app will get an error.", `<a href="/manage/products/app/settings" aria-current="page">`)
	for _, typed := range []string{"", "opa"} {
		got := m.submit(t, "/manage/products/app/remove", "", "typed", typed)
		if wantText(t, "not confirmed", got, "This is not app.", "aria-invalid"); got.StatusCode != 422 {
			t.Errorf("typed %q: got status %d, want 422", typed, got.StatusCode)
		}
	}
	wantText(t, "removed", m.follow(t, "/manage/products/app/remove", "", "typed", " app "), "Removed product My <App>.")
	if got := m.do(t, "GET", settings, nil); got.StatusCode != 404 {
		t.Errorf("removed product: got status %d, want 404", got.StatusCode)
	}
}

// TestManageChannels checks that channels can be added, changed and removed.
func TestManageChannels(t *testing.T) {
	s := newService(t, releases("v1.0.0 v2.0.0")...)
	m := s.manager(t, access.Admin)
	wantText(t, "release", m.do(t, "GET", "/products/opa/releases/v1.0.0", nil), `<a href="/products/opa/releases" aria-current="page">Releases`, `<a href="/manage/products/opa/releases">Manage`)
	const path = opaManage + "/channels"
	wantText(t, "added", m.follow(t, path, "", "name", "lts", "match", "<2"), "Saved channel lts.", "v1.0.0")
	page := m.follow(t, path+"?channel=lts", "", "match", "<3", "prereleases", "true")
	wantText(t, "changed", page, "<3")
	p, err := s.store.Product(context.Background(), "opa")
	if err != nil || p.Channels != "lts <3 prereleases\n" {
		t.Errorf("got channels %q and error %v, want lts <3 prereleases", p.Channels, err)
	}
	for name, c := range map[string][]string{
		"A channel's name":        {"name", "L T S", "match", "<7"},
		"There is a channel with": {"name", "lts", "match", "<7"},
		"Range":                   {"name", "new", "match", "<7,>8"},
	} {
		got := m.submit(t, path, "", c...)
		if got.StatusCode != 422 || !strings.Contains(got.body, c[1]) {
			t.Errorf("channel %q: got status %d: %s", c, got.StatusCode, got.body)
		}
		if name != "A channel's name" {
			wantText(t, c[1], got, name)
		}
	}
	wantText(t, "list", m.do(t, "GET", path, nil), `class="bad" href="/manage/products/opa/channels/remove`)
	wantText(t, "confirmation", m.do(t, "GET", path+"/remove?channel=lts", nil), "Clients of /p/opa@lts will get an error.")
	m.follow(t, path+"/remove?channel=lts", "")
	if p, err = s.store.Product(context.Background(), "opa"); err != nil || p.Channels != "" {
		t.Errorf("got channels %q and error %v, want none", p.Channels, err)
	}
	if got := m.do(t, "GET", path+"/remove?channel=lts", nil); got.StatusCode != 404 {
		t.Errorf("removed channel: got status %d, want 404", got.StatusCode)
	}
}

// TestManageUpstreams checks that upstreams can be changed, and that a sync on request
// stores the releases on behalf of the token and shows its result.
func TestManageUpstreams(t *testing.T) {
	file := filepath.Join(t.TempDir(), "releases.json")
	if err := os.WriteFile(file, []byte(`[{"tag_name":"v1.0.0"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	var s *service
	s = newServiceWith(t, serviceOptions{Options: server.Options{Sync: func(ctx context.Context, tokenID, product string) ([]syncer.Result, error) {
		return (&syncer.Syncer{Store: s.store.As(tokenID), Reader: new(upstream.Reader)}).Sync(ctx, product)
	}}})
	m := s.manager(t, access.Admin)
	if _, _, err := s.store.EditProduct(context.Background(), "opa", catalog.ProductPatch{"upstreams": "file:" + file}); err != nil {
		t.Fatal(err)
	}
	const path = opaManage + "/upstreams"
	s.await(t, "/healthz", 200)
	deadline := 0
	for !strings.Contains(m.do(t, "GET", path, nil).body, "Sync now") { // until the server has noticed the upstream
		if deadline++; deadline > 1000 {
			t.Fatal("the page has no button to sync")
		}
	}
	page := m.follow(t, path, "sync")
	wantText(t, "synced", page, "file:"+file+": 1 release", "v1.0.0", "just now", "ok")
	if got := s.lastChange(t); got != m.id+" releases.synced opa "+strings.SplitN(got, " ", 4)[3] {
		t.Errorf("got audit entry %q, want a sync by the token", got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	wantText(t, "failed", m.follow(t, path, "sync"), "failed", "no such file")
	page = m.submit(t, path, "edit", "upstreams", "github:opa\r\ngo:x y")
	if page.StatusCode != 422 {
		t.Errorf("odd upstream: got status %d, want 422", page.StatusCode)
	}
	wantText(t, "odd upstream", page, "is not of the form OWNER/REPO", "github:opa\ngo:x y")
	wantText(t, "another file", m.submit(t, path, "edit", "upstreams", "file:/etc"), "only if it is set on the command line")
	wantText(t, "changed", m.follow(t, path, "edit", "upstreams", "github:a/b\r\nfile:"+file), "github:a/b", "never")
}
