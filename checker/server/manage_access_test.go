package server_test

import (
	"context"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"relcheck/checker/access"
	"relcheck/checker/server"
)

// TestManageBelowPath checks that all links of the pages and redirects begin with the path of
// the base URL.
func TestManageBelowPath(t *testing.T) {
	s := newServiceWith(t, serviceOptions{Options: server.Options{Base: "http://relcheck.example.com/releases"}}, releases("v1.0.0")...)
	m := s.manager(t, access.Admin)
	for _, path := range []string{"/manage", "/manage/tokens", "/manage/audit", opaManage + "/releases", opaManage + "/release?tag=v1.0.0", opaManage + "/release/withdraw?tag=v1.0.0", opaManage + "/channels", opaManage + "/settings"} {
		m.do(t, "GET", "/releases"+path, nil)
		for _, link := range regexp.MustCompile(`(?:href|action)="(/[^"]*)"`).FindAllStringSubmatch(m.page, -1) {
			if !strings.HasPrefix(link[1], "/releases/") {
				t.Errorf("%s: got link %s, want one below /releases", path, link[1])
			}
		}
	}
	for _, c := range []struct{ path, form, field, value, want string }{
		{opaManage + "/release?tag=v1.0.0", "", "title", "First", opaManage + "/release?tag=v1.0.0"},
		{opaManage + "/channels", "", "name", "lts", opaManage + "/channels"},
		{"/manage/products", "", "name", "app", "/manage/products/app/releases"},
		{"/manage/tokens", "add", "name", "pipeline", "/manage/tokens"},
		{"/manage/tokens", "invite", "name", "Ann", "/manage/tokens"},
		{"/manage/products/app/remove", "", "typed", "app", "/manage"},
	} {
		got := m.submit(t, "/releases"+c.path, c.form, c.field, c.value)
		if want := "/releases" + c.want; got.Header.Get("Location") != want {
			t.Errorf("%s: got redirect to %s, want %s", c.path, got.Header.Get("Location"), want)
		}
	}
}

// TestManagePermissions checks which browsers see which pages, and that forms of other
// origins change nothing.
func TestManagePermissions(t *testing.T) {
	s := newServiceWith(t, serviceOptions{Options: server.Options{Base: "http://relcheck.example.com"}}, releases("v1.0.0 v1.1.0")...)
	for scope, want := range map[access.Scope][2]int{"": {401, 401}, access.Read: {403, 403}, access.Release: {200, 403}, access.Admin: {200, 200}} {
		m := s.manager(t, scope)
		for i, paths := range [][]string{
			{"/manage", opaManage + "/releases", opaManage + "/release?tag=v1.0.0", opaManage + "/release/withdraw?tag=v1.0.0"},
			{"/manage/tokens", "/manage/tokens/" + s.manager(t, access.Read).id + "/revoke"},
		} {
			for _, path := range paths {
				for _, method := range []string{"GET", "POST"} {
					got := m.do(t, method, path, nil)
					if code := got.StatusCode; code != want[i] && !(want[i] == 200 && method == "POST" && (code == 303 || code == 409 || code == 422)) {
						t.Errorf("%s %s with scope %q: got status %d, want %d", method, path, scope, code, want[i])
					}
				}
			}
		}
	}
	m := s.manager(t, access.Admin)
	path := opaManage + "/release/withdraw?tag=v1.1.0"
	values := m.form(t, path, "")
	for _, headers := range [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Sec-Fetch-Site", "", "Origin", "https://evil.example"}, {"Sec-Fetch-Site", "", "Origin", "null"},
	} {
		if got := m.do(t, "POST", path, values, headers...); got.StatusCode != 403 || !strings.HasPrefix(s.offered(t), "v1.1.0 ") {
			t.Errorf("form of another origin %q: got status %d and %s offered, want 403 and v1.1.0", headers, got.StatusCode, s.offered(t))
		}
	}
	page := m.do(t, "GET", path, nil)
	if policy := page.Header.Get("Referrer-Policy"); policy != "same-origin" {
		t.Errorf("got referrer policy %q, want same-origin, so that browsers send the origin", policy)
	}
	if got := m.do(t, "POST", path, values, "Sec-Fetch-Site", "", "Origin", "http://relcheck.example.com"); got.StatusCode != 303 {
		t.Errorf("form of the own origin: got status %d, want 303: %s", got.StatusCode, got.body)
	}
}

// TestManageTokens checks that tokens and links can be added and revoked, and that a secret
// is shown once.
func TestManageTokens(t *testing.T) {
	s := newService(t)
	s.handler.DisableTokenCache()
	m := s.manager(t, access.Admin)
	const path = "/manage/tokens"
	secret := regexp.MustCompile(`<code>((rcr_|http)[^<]*)</code>`)
	page := m.follow(t, path, "add", "name", "pipeline", "scope", "release")
	wantText(t, "added", page, "pipeline")
	text := secret.FindStringSubmatch(page.body)
	if text == nil || s.lastChange(t) != m.id+" token.added  "+access.TokenID(text[1])+": release" {
		t.Fatalf("got secret %q and audit entry %s, want a token: %s", text, s.lastChange(t), page.body)
	}
	if token, err := s.store.Token(context.Background(), access.TokenID(text[1])); err != nil || !token.Matches(text[1]) || token.Scope != access.Release {
		t.Errorf("got token %+v and error %v, want the one that was shown", token, err)
	}
	if page = m.do(t, "GET", path, nil); secret.MatchString(page.body) {
		t.Error("the token is shown twice, want once")
	}

	page = m.follow(t, path, "invite", "name", "Ann", "scope", "admin")
	text = secret.FindStringSubmatch(page.body)
	if text == nil || !strings.HasPrefix(text[1], "http://relcheck.example.com/sign-in?link=rcl_") {
		t.Fatalf("got secret %q, want a link: %s", text, page.body)
	}
	ann := s.manager(t, "")
	_, link, _ := strings.Cut(text[1], "=")
	ann.cookies["relcheck-form"] = "1"
	if got := ann.do(t, "POST", "/sign-in", url.Values{"token": {link}}); got.StatusCode != 303 {
		t.Fatalf("sign in with the link: got status %d: %s", got.StatusCode, got.body)
	}
	wantText(t, "invited", ann.do(t, "GET", path, nil), "Invite a colleague")
	wantText(t, "invited twice", m.submit(t, path, "invite", "name", "Ann"), "There is a token with this name", `value="Ann"`)
	wantText(t, "without a name", m.submit(t, path, "add", "name", " "), "aria-invalid")
	wantText(t, "odd scope", m.submit(t, path, "add", "name", "Kept", "scope", "root"), `Unknown scope "root"`, `value="Kept"`)
	wantText(t, "odd token", m.submit(t, path, "link", "token", "aaaaaaaa"), "Choose one of the tokens")
	page = m.follow(t, path, "link", "token", m.id)
	wantText(t, "link", page, "This link signs a browser in with token "+m.id)

	all, err := s.store.Tokens(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	id := access.Named(all, "Ann").ID
	wantText(t, "confirmation", m.do(t, "GET", path+"/"+id+"/revoke", nil), "Revokes token "+id+" (Ann) with scope admin.", "Ends its sessions")
	wantText(t, "revoked", m.follow(t, path+"/"+id+"/revoke", ""), "Revoked token "+id, "revoked 20")
	if got := ann.do(t, "GET", "/manage", nil); got.StatusCode != 401 {
		t.Errorf("session of a revoked token: got status %d, want 401", got.StatusCode)
	}
	wantText(t, "own token", m.do(t, "GET", path+"/"+m.id+"/revoke", nil), "you will be signed out")
}
