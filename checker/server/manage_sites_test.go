package server_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"relcheck/checker/access"
	"relcheck/checker/bundle"
	"relcheck/checker/catalog"
)

// TestManageSites checks that sites can be renamed and removed, and that keys can be trusted
// and revoked.
func TestManageSites(t *testing.T) {
	s := newService(t)
	m := s.manager(t, access.Admin)
	const path = "/manage/sites"
	secret, public, err := bundle.GenerateKey("factory")
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, "empty", m.do(t, "GET", path, nil), "There are no sites.", "No key is trusted.")
	page := m.follow(t, path, "", "key", public+"\r\n", "purpose", "counts", "product", "opa\r\napp")
	id := bundle.TrustedKey{Key: public}.ID()
	wantText(t, "trusted", page, "Key "+id+" is trusted for counts of opa, app.", "counts of app, opa")
	if got := s.lastChange(t); got != m.id+" key.trusted  "+id+" for counts of app, opa" {
		t.Errorf("got audit entry %q, want key.trusted", got)
	}
	s.exec(t, fmt.Sprintf("INSERT INTO site (id, name, store, key) VALUES (1, 'berlin', '0a1b', '%s'), (2, 'paris', '2c3d', '%[1]s')", public))
	wantText(t, "list", m.do(t, "GET", path, nil), "berlin", "0a1b", id, "relcheck bundle apply FILE --dry-run")
	for name, c := range map[string][3]string{
		"odd name": {"/berlin/rename", "Kept Name", "cannot be the name of a site"}, "known name": {"/berlin/rename", "paris", "Site paris has the counts of store 2c3d"},
	} {
		wantText(t, name, m.submit(t, path+c[0], "", "site", c[1]), c[2], `value="`+c[1]+`"`)
	}
	wantText(t, "renamed", m.follow(t, path+"/berlin/rename", "", "site", "hamburg"), "Renamed site berlin to hamburg.")
	wantText(t, "confirmation", m.do(t, "GET", path+"/hamburg/remove", nil), "Removes site hamburg with its counts")
	wantText(t, "removed", m.follow(t, path+"/hamburg/remove", ""), "Removed site hamburg.", "paris")
	if got := m.do(t, "GET", path+"/hamburg/remove", nil); got.StatusCode != 404 {
		t.Errorf("removed site: got status %d, want 404", got.StatusCode)
	}

	revoke := "/manage/keys/revoke?key=" + strings.ReplaceAll(id, "+", "%2B")
	wantText(t, "confirmation", m.do(t, "GET", revoke, nil), "Stops trusting key "+id+" for counts of app, opa.", `<a href="/manage/sites" aria-current="page">`)
	wantText(t, "revoked", m.follow(t, revoke, ""), "Revoked key "+id+".", "revoked 20")
	for _, c := range [][2]string{{"nonsense", "not a public key"}, {secret, "It is a secret key"}, {public, "was revoked on"}} {
		got := m.submit(t, path, "", "key", c[0], "product", "kept")
		wantText(t, c[1], got, c[1], "kept")
		if got.StatusCode != 422 {
			t.Errorf("key %q: got status %d, want 422", c[0], got.StatusCode)
		}
	}
}

// TestManageAudit checks that the audit log shows all changes in pages, with the names of
// tokens.
func TestManageAudit(t *testing.T) {
	s := newService(t)
	m := s.manager(t, access.Admin)
	for i := range 120 {
		if _, _, err := s.store.As(m.id).EditRelease(context.Background(), "opa", fmt.Sprintf("v1.%d.0", i), catalog.ReleasePatch{}); err != nil {
			t.Fatal(err)
		}
	}
	link := regexp.MustCompile(`href="([^"]*before=\d+[^"]*)"`)
	found := map[string]bool{}
	path := "/manage/audit?product=opa"
	for path != "" {
		page := m.do(t, "GET", path, nil)
		wantText(t, path, page, "Added release v1.", m.id, "test", "!Added token")
		for _, tag := range regexp.MustCompile(`v1\.\d+\.0`).FindAllString(page.body, -1) {
			found[tag] = true
		}
		path = ""
		if next := link.FindStringSubmatch(page.body); next != nil {
			path = next[1]
		}
	}
	if len(found) != 120 {
		t.Errorf("got %d releases in the log, want 120", len(found))
	}
	wantText(t, "all", m.do(t, "GET", "/manage/audit", nil), "v1.119.0", "Older changes")
	wantText(t, "odd page", m.do(t, "GET", "/manage/audit?before=x&product=%3Cb%3E", nil), "There are no changes.")
}
