package server_test

import (
	"context"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"relcheck/checker/access"
	"relcheck/checker/catalog"
)

// TestFormAfterSessionEnd checks that a form that is sent without a session changes nothing,
// and that it can be sent after signing in, with all values. An invalid token loses nothing.
func TestFormAfterSessionEnd(t *testing.T) {
	s := newService(t, catalog.Release{Tag: "v1.0.0", Title: "First"})
	m := s.manager(t, access.Admin)
	const path, notes = opaManage + "/release?tag=v1.0.0", "# \"New\" & <b>bold</b>\r\n* second line"
	values := m.form(t, path, "")
	values.Set("title", "The <first>")
	values.Set("body", notes)
	delete(m.cookies, "relcheck")
	page := m.do(t, "POST", path, values)
	if page.StatusCode != 401 {
		t.Errorf("form without a session: got status %d, want 401", page.StatusCode)
	}
	wantText(t, "without a session", page, "What you typed is kept", `value="The <first>"`)
	changed := s.lastChange(t)
	_, token := s.tokenOf(t, access.Admin)
	for _, secret := range []string{"rct_wrong", token} {
		page = m.do(t, "POST", "/sign-in", m.hidden(secret))
	}
	wantText(t, "signed in", page, "Send the form?", `action="`+path+`"`)
	if got := page.Header.Get("Referrer-Policy"); got != "same-origin" {
		t.Errorf("got referrer policy %q, want same-origin, so that browsers send the origin", got)
	}
	if last := s.lastChange(t); !strings.Contains(last, "token.added") {
		t.Errorf("signing in has made the change %s, want none after %s", last, changed)
	}
	if got := m.do(t, "POST", path, m.hidden("")); got.StatusCode != 303 {
		t.Fatalf("sent again: got status %d, want 303: %s", got.StatusCode, got.body)
	}
	wantText(t, "sent again", m.do(t, "GET", path, nil), "Changed release v1.0.0.", `value="The <first>"`, "* second line")

	// A form with more values than any page has is not kept.
	delete(m.cookies, "relcheck")
	many := url.Values{}
	for i := range 200 {
		many.Set(fmt.Sprint("many", i), "x")
	}
	wantText(t, "many values", m.do(t, "POST", path, many), "!many1", "!What you typed is kept")

	// Another site can neither fill in the form for signing in nor keep a form there.
	if got := m.do(t, "POST", path, values, "Sec-Fetch-Site", "cross-site"); got.StatusCode != 403 || strings.Contains(got.body, "The <first>") {
		t.Errorf("form of another site: got status %d and %s, want 403 without its values", got.StatusCode, got.body)
	}
	forged := url.Values{"token": {token}, "next": {path}, "form.title": {"forged"}}
	if got := m.do(t, "POST", "/sign-in", forged, "Sec-Fetch-Site", "cross-site"); got.StatusCode != 403 || m.cookies["relcheck"] != "" {
		t.Errorf("sign-in form of another site: got status %d and cookies %v, want 403 and no session", got.StatusCode, m.cookies)
	}
}

// hidden returns the hidden values of the last page, and a token if it is not empty.
func (m *manager) hidden(token string) url.Values {
	values := url.Values{}
	for _, input := range regexp.MustCompile(`(?s)<input type="hidden" name="([^"]*)" value="([^"]*)">`).FindAllStringSubmatch(m.page, -1) {
		values.Set(html.UnescapeString(input[1]), html.UnescapeString(input[2]))
	}
	if token != "" {
		values.Set("token", token)
	}
	return values
}

// TestSeveralInvalidFields checks that a form with several invalid values shows an error beside
// each, and changes nothing.
func TestSeveralInvalidFields(t *testing.T) {
	s := newService(t, releases("v1.0.0")...)
	m := s.manager(t, access.Admin)
	m.follow(t, opaManage+"/channels", "", "name", "lts")
	m.follow(t, "/manage/tokens", "invite", "name", "ann")
	sum := strings.Repeat("a", 64)
	errorOf := regexp.MustCompile(`<p class="error" id="field-\d+-([a-z_]+)-error">([^<]*)`)
	for _, c := range []struct {
		path, form string
		change     []string
		want       string // the fields with errors, and words of these
	}{
		{"/manage/products", "", []string{"name", "A b", "title", strings.Repeat("a", 101), "download", "ftp://{tag}", "repo", "a"}, "name: be a product's name, title: at most 100, download: http, repo: OWNER/REPO"},
		{"/manage/products", "", []string{"name", "relcheck", "repo", "open-policy-agent/OPA", "upstreams", "file:/etc"}, "name: already exists, upstreams: command line, repo: belongs to product opa"},
		{"/manage/products?preset=npm-tool", "", []string{"name", "-", "aliases", "$"}, "name: be a product's name, repo: for any program, aliases: be an alias"},
		{opaManage + "/settings", "", []string{"match", "<<", "min_age", "soon", "aliases", "$", "hosts", "_", "tag_prefixes", "a,b", "release_suffix", "("}, "match: <<, tag_prefixes: comma, release_suffix: missing, min_age: duration, aliases: be an alias, hosts: not a host"},
		{opaManage + "/upstreams", "edit", []string{"upstreams", "github:opa", "module", "a b/../c"}, "upstreams: OWNER/REPO, module: Malformed"},
		{opaManage + "/channels", "", []string{"name", "L T S", "match", "<2,>3"}, "name: be a channel's name, match: no version"},
		{opaManage + "/channels", "", []string{"name", "lts", "match", "<2,>3"}, "name: There is a channel, match: no version"},
		{opaManage + "/releases", "", []string{"version", "v 1", "title", strings.Repeat("a", 1000), "date", "soon", "notes", "ftp://a", "files", "plan10/amd64=https://example.com/a", "checksums", "none", "prerelease", "maybe"},
			"version: be a tag, title: at most, date: RFC 3339, prerelease: options, notes: http, files: plan10, checksums: no line"},
		{opaManage + "/releases", "", []string{"version", "v1.0.0", "date", "soon", "checksums", sum + "  nofile"}, "version: There is a release, date: RFC 3339, checksums: none of the files"},
		{opaManage + "/release?tag=v1.0.0", "", []string{"date", "soon", "files", "https://example.com/app", "checksums", sum + "  nofile"}, "date: RFC 3339, checksums: none of the files"},
		{opaManage + "/release?tag=v1.0.0", "", []string{"date", "soon", "files", "https://example.com/app", "checksums", sum + "  app"}, "date: RFC 3339"},
		{"/manage/tokens", "add", []string{"name", "", "scope", "all"}, "name: , scope: all"},
		{"/manage/tokens", "invite", []string{"name", "ann", "scope", "all"}, "name: There is a token, scope: all"},
		{"/manage/sites", "", []string{"key", "nonsense", "product", "Opa!"}, "key: not a public key, product: be a product's name"},
	} {
		before := s.lastChange(t)
		got := m.submit(t, c.path, c.form, c.change...)
		if got.StatusCode != 422 || s.lastChange(t) != before {
			t.Errorf("%s with %q: got status %d and last change %s, want 422 and no change", c.path, c.change, got.StatusCode, s.lastChange(t))
		}
		found := errorOf.FindAllStringSubmatch(m.page, -1)
		want := strings.Split(c.want, ", ")
		ok := len(found) == len(want) && strings.Count(m.page, "aria-invalid") == len(want)
		for i := range min(len(found), len(want)) {
			field, words, _ := strings.Cut(want[i], ": ")
			ok = ok && found[i][1] == field && strings.Contains(html.UnescapeString(found[i][2]), words)
		}
		if !ok {
			t.Errorf("%s with %q: got the errors %q, want %s", c.path, c.change, found, c.want)
		}
	}
}

// TestFormKeepsOtherChanges checks that a form does not undo what was changed after it was opened.
func TestFormKeepsOtherChanges(t *testing.T) {
	s := newService(t, catalog.Release{Tag: "v1.0.0"})
	m := s.manager(t, access.Admin)
	const path = opaManage + "/settings"
	values := m.form(t, path, "")
	m.follow(t, path, "", "match", "<2", "hidden", "true")
	values.Set("title", "OPA")
	if got := m.do(t, "POST", path, values); got.StatusCode != 303 {
		t.Fatalf("got status %d, want 303: %s", got.StatusCode, got.body)
	}
	if p, err := s.store.Product(context.Background(), "opa"); err != nil || p.Title != "OPA" || p.Match != "<2" || !p.Hidden {
		t.Errorf("got product %+v and error %v, want the changes of both forms", p, err)
	}
}

// TestFormWhenStoreFails checks that a form whose change cannot be stored is 503, and keeps
// what was typed.
func TestFormWhenStoreFails(t *testing.T) {
	s := newService(t, catalog.Release{Tag: "v1.0.0"})
	m := s.manager(t, access.Admin)
	forms := []struct {
		path, form string
		change     []string
	}{
		{opaManage + "/release?tag=v1.0.0", "", []string{"title", "<b>Kept</b>"}},
		{opaManage + "/settings", "", []string{"title", "<b>Kept</b>"}},
		{"/manage/products", "", []string{"name", "app", "title", "<b>Kept</b>"}},
		{"/manage/tokens", "add", []string{"name", "<b>Kept</b>"}},
		{opaManage + "/remove", "", []string{"typed", "opa"}},
	}
	s.exec(t, "ALTER TABLE audit RENAME TO away") // the last table that a change writes to
	for _, c := range forms {
		got := m.submit(t, c.path, c.form, c.change...)
		if got.StatusCode != 503 {
			t.Errorf("POST %s: got status %d, want 503", c.path, got.StatusCode)
		}
		wantText(t, c.path, got, "Nothing was changed, because the store did not accept the change", `value="`+c.change[len(c.change)-1]+`"`)
	}
	s.exec(t, "ALTER TABLE away RENAME TO audit")
	m.follow(t, forms[0].path, "", forms[0].change...)
}

// TestManagePagesExplain checks that pages link to parts of the manual that exist, and that
// they mark required fields and show what empty ones mean.
func TestManagePagesExplain(t *testing.T) {
	s := newService(t, releases("v1.0.0")...)
	m := s.manager(t, access.Admin)
	for _, path := range []string{"/manage/products", "/manage/tokens", "/manage/sites", "/manage/audit", opaManage + "/releases", opaManage + "/settings", opaManage + "/channels", opaManage + "/upstreams"} {
		page := m.do(t, "GET", path, nil)
		links := regexp.MustCompile(`href="(/docs/[^"#]*)(?:#([^"]*))?"`).FindAllStringSubmatch(page.body, -1)
		if len(links) == 0 {
			t.Errorf("%s: got no link to the manual", path)
		}
		for _, link := range links {
			got := m.do(t, "GET", link[1], nil)
			if got.StatusCode != 200 || link[2] != "" && !strings.Contains(got.body, `id="`+link[2]+`"`) {
				t.Errorf("%s: got the link %s to a part that does not exist: status %d", path, link[0], got.StatusCode)
			}
		}
	}
	wantText(t, "settings", m.do(t, "GET", opaManage+"/settings", nil), "<legend>How clients ask</legend>", "Link to hosted files only, never to another server")
	wantText(t, "release", m.do(t, "GET", opaManage+"/release?tag=v1.0.0", nil), `placeholder="v1.0.0"`, `placeholder="https://github.com/open-policy-agent/opa/releases/tag/v1.0.0"`)
	wantText(t, "upstreams", m.do(t, "GET", opaManage+"/upstreams", nil), `placeholder="go:github.com/open-policy-agent/opa"`)
	wantText(t, "releases", m.do(t, "GET", opaManage+"/releases", nil), `href="#add"`, `id="add"`, `<span class="required">required</span>`, `aria-required="true"`, `class="primary"`)
	for name, field := range map[string]string{"npm-tool": "aliases", "n8n": "origins"} {
		page := m.do(t, "GET", "/manage/products?preset="+name, nil)
		wantText(t, name, page, `name="`+field+`"`, "!--", `name="name" value="`+name+`"`)
	}
}

// TestSwitchProduct checks that the menu of products leads to the page of the same kind.
func TestSwitchProduct(t *testing.T) {
	s := newService(t, releases("v1.0.0")...)
	m := s.manager(t, access.Admin)
	menu := regexp.MustCompile(`(?s)<details class="switch">.*?</details>`)
	for path, want := range map[string]string{
		"/manage": "/manage/products/relcheck/releases", "/manage/tokens": "/manage/products/relcheck/releases",
		opaManage + "/settings": "/manage/products/relcheck/settings", opaManage + "/upstreams": "/manage/products/relcheck/upstreams",
		opaManage + "/release?tag=v1.0.0": "/manage/products/relcheck/releases", opaManage + "/channels": "/manage/products/relcheck/channels",
		"/": "/products/relcheck", "/products/opa/versions": "/products/relcheck/versions", "/products/opa/releases/v1.0.0": "/products/relcheck/releases",
		"/products/nothing/nothing": "/products/relcheck",
	} {
		got := m.do(t, "GET", path, nil)
		if links := regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(menu.FindString(got.body), -1); !slices.ContainsFunc(links, func(link []string) bool { return link[1] == want }) {
			t.Errorf("%s: got the menu %q, want a link to %s", path, links, want)
		}
	}
}

// TestManageWithTooLittleScope checks that a refused page names the scope that it requires.
func TestManageWithTooLittleScope(t *testing.T) {
	s := newService(t, releases("v1.0.0")...)
	for scope, c := range map[access.Scope][2]string{access.Read: {"/manage", "has scope read, and this requires release"}, access.Release: {"/manage/tokens", "has scope release, and this requires admin"}} {
		got := s.manager(t, scope).do(t, "GET", c[0], nil)
		_, required, _ := strings.Cut(c[1], "requires ")
		wantText(t, string(scope), got, "Your token does not permit this. The token "+c[1])
		wantText(t, string(scope), got, "relcheck token link NAME --scope "+required+"</code>")
	}
}
