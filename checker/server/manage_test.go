package server_test

import (
	"context"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"relcheck/checker/access"
	"relcheck/checker/catalog"
)

// manager is a browser with a session.
type manager struct {
	*service
	h       http.Handler
	id      string // of the token
	page    string // HTML of the last answer
	cookies map[string]string
}

// manager signs a browser in with a new token of a scope. Without a scope, it has no session.
func (s *service) manager(t testing.TB, scope access.Scope) *manager {
	t.Helper()
	m := &manager{service: s, h: s.handler.Handler(), cookies: map[string]string{}}
	if scope != "" {
		m.id, _ = s.tokenOf(t, scope)
		m.cookies["relcheck"] = s.session(t, m.id)
	}
	return m
}

// do sends a request, and keeps the cookies of the answer. Headers are names and values.
func (m *manager) do(t testing.TB, method, path string, body url.Values, headers ...string) reply {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body.Encode()))
	r.Header.Set("Accept", "text/html")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	for name, value := range m.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	m.h.ServeHTTP(w, r)
	m.page = w.Body.String()
	got := reply{w.Result(), html.UnescapeString(m.page)}
	for _, c := range got.Cookies() {
		if m.cookies[c.Name] = c.Value; c.MaxAge < 0 {
			delete(m.cookies, c.Name)
		}
	}
	return got
}

var (
	changeForm   = regexp.MustCompile(`(?s)<form class="change.*?</form>`)
	inputTag     = regexp.MustCompile(`<input [^>]*>`)
	areaTag      = regexp.MustCompile(`(?s)<textarea [^>]*name="([^"]*)"[^>]*>\n(.*?)</textarea>`)
	selectTag    = regexp.MustCompile(`(?s)<select [^>]*name="([^"]*)".*?</select>`)
	selectedTag  = regexp.MustCompile(`<option value="([^"]*)" selected>`)
	firstOption  = regexp.MustCompile(`<option value="([^"]*)"`)
	attributeTag = regexp.MustCompile(`(\w+)="([^"]*)"`)
)

// form opens a page, and returns the values that a browser sends with one of its forms.
func (m *manager) form(t testing.TB, path, name string) url.Values {
	t.Helper()
	if got := m.do(t, "GET", path, nil); got.StatusCode != 200 {
		t.Fatalf("GET %s: got status %d: %s", path, got.StatusCode, got.body)
	}
	for _, form := range changeForm.FindAllString(m.page, -1) {
		values := url.Values{}
		for _, tag := range inputTag.FindAllString(form, -1) {
			a := map[string]string{}
			for _, m := range attributeTag.FindAllStringSubmatch(tag, -1) {
				a[m[1]] = m[2]
			}
			if a["type"] != "checkbox" || strings.Contains(tag, " checked") {
				values.Set(a["name"], a["value"])
			}
		}
		for _, m := range areaTag.FindAllStringSubmatch(form, -1) {
			values.Set(m[1], strings.NewReplacer("\r\n", "\r\n", "\r", "\r\n", "\n", "\r\n").Replace(m[2])) // as browsers send it
		}
		for _, m := range selectTag.FindAllStringSubmatch(form, -1) {
			option := selectedTag.FindStringSubmatch(m[0])
			if option == nil {
				option = firstOption.FindStringSubmatch(m[0])
			}
			if option != nil {
				values.Set(m[1], option[1])
			}
		}
		if values.Get("form") == name && strings.Contains(form, `method="post"`) {
			for _, all := range values {
				all[0] = html.UnescapeString(all[0])
			}
			return values
		}
	}
	t.Fatalf("got no form %q in page %s", name, m.page)
	return nil
}

// submit opens a page, changes values of one of its forms, which are names and values, and
// sends the form.
func (m *manager) submit(t testing.TB, path, form string, change ...string) reply {
	t.Helper()
	values := m.form(t, path, form)
	for i := 0; i < len(change); i += 2 {
		if !values.Has(change[i]) && !strings.Contains(m.page, `name="`+change[i]+`"`) {
			t.Fatalf("GET %s: got no field %s", path, change[i])
		}
		values.Set(change[i], change[i+1])
	}
	return m.do(t, "POST", path, values)
}

// follow submits a form, and returns the page that the browser is redirected to.
func (m *manager) follow(t testing.TB, path, form string, change ...string) reply {
	t.Helper()
	got := m.submit(t, path, form, change...)
	if got.StatusCode != http.StatusSeeOther {
		t.Fatalf("POST %s with %q: got status %d, want a redirect: %s", path, change, got.StatusCode, got.body)
	}
	return m.do(t, "GET", got.Header.Get("Location"), nil)
}

// wantText checks that a page contains texts. A text that begins with ! must be absent.
func wantText(t testing.TB, what string, page reply, texts ...string) {
	t.Helper()
	for _, text := range texts {
		absent, missing := strings.CutPrefix(text, "!")
		if strings.Contains(page.body, absent) == missing {
			t.Errorf("%s: got the text %q: %t, want %t; status %d, page %s", what, absent, missing, !missing, page.StatusCode, page.body)
		}
	}
}

// lastChange returns the newest entry of the audit log.
func (s *service) lastChange(t testing.TB) string {
	t.Helper()
	all, err := s.store.Audit(context.Background(), "", time.Time{})
	if err != nil || len(all) == 0 {
		t.Fatalf("got audit log %v and error %v, want entries", all, err)
	}
	return all[0].Actor + " " + all[0].Action + " " + all[0].Product + " " + all[0].Detail
}

const opaManage = "/manage/products/opa"

// TestManageReleases checks that releases can be added, changed, withdrawn, restored and
// reset, and that each change is in the audit log.
func TestManageReleases(t *testing.T) {
	s := newService(t, catalog.Release{Tag: "v1.0.0", Title: "First", Date: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)})
	m := s.manager(t, access.Release)
	wantAudit := func(want string) {
		t.Helper()
		if got := s.lastChange(t); got != m.id+" "+want {
			t.Errorf("got audit entry %q, want %q", got, m.id+" "+want)
		}
	}
	page := m.follow(t, opaManage+"/releases", "", "version", "v1.1.0", "date", "2026-02-03", "body", "* new\r\n", "files", "https://example.com/opa_linux_amd64\r\ndarwin/arm64=https://example.com/mac\r\n",
		"checksums", strings.Repeat("a", 64)+"  opa_linux_amd64")
	wantText(t, "added", page, "Added release v1.1.0.", "Release v1.1.0", "2026-02-03T00:00:00Z", "set here", "opa_linux_amd64", strings.Repeat("a", 64), "linux/amd64", "the platform was given with the file")
	wantAudit("release.added opa v1.1.0")
	wantText(t, "notice", m.do(t, "GET", opaManage+"/releases", nil), "!Added release", "latest")
	if got := s.offered(t); !strings.HasPrefix(got, "v1.1.0 ") {
		t.Errorf("after adding: %s is offered, want v1.1.0", got)
	}

	path := opaManage + "/release?tag=v1.0.0"
	wantText(t, "date of a whole day", m.do(t, "GET", path, nil), `name="date" value="2026-01-02"`)
	page = m.follow(t, path, "", "title", "The first")
	wantText(t, "changed", page, "Changed release v1.0.0.", "The first")
	wantAudit("release.changed opa v1.0.0: title")
	page = m.follow(t, path, "")
	wantText(t, "unchanged", page, "Nothing to change in release v1.0.0.")
	s.put(t, "opa", catalog.Release{Tag: "v1.0.0", Title: "First", Date: time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC)}, catalog.Release{Tag: "v0.9.0"})
	if r, layers, err := s.store.Release(context.Background(), "opa", "v1.0.0"); err != nil || r.Title != "The first" || layers[catalog.Operator].Published != nil {
		t.Errorf("got release %+v, operator's layer %+v and error %v, want only the title from the operator", r, layers[catalog.Operator], err)
	}

	list := m.do(t, "GET", opaManage+"/releases", nil)
	wantText(t, "with files", list, `data-head="Files"><bdi>2</bdi>`, `data-head="Files"><bdi>0</bdi>`)

	confirm := opaManage + "/release/withdraw?tag=v1.1.0"
	page = m.do(t, "GET", confirm, nil)
	wantText(t, "confirmation", page, "Withdraws release v1.1.0.", "Clients will be offered v1.0.0.", "Its files stay, and you can restore it later.")
	page = m.follow(t, confirm, "")
	wantText(t, "withdrawn", page, "Withdrew release v1.1.0.", "Restore")
	wantAudit("release.withdrawn opa v1.1.0")
	if got := s.offered(t); !strings.HasPrefix(got, "v1.0.0 ") {
		t.Errorf("after withdrawing: %s is offered, want v1.0.0", got)
	}
	page = m.follow(t, opaManage+"/release/restore?tag=v1.1.0", "")
	wantText(t, "restored", page, "Restored release v1.1.0.", "Withdraw")
	wantAudit("release.restored opa v1.1.0")
	reset := opaManage + "/release/reset?tag=v1.1.0"
	wantText(t, "only set here", m.do(t, "GET", opaManage+"/release?tag=v1.1.0", nil), "Remove the release", "!Undo changes")
	wantText(t, "confirmation", m.do(t, "GET", reset, nil), "Remove v1.1.0?", "This cannot be undone.", "!Undo")
	page = m.follow(t, reset, "")
	wantText(t, "removed", page, "Removed release v1.1.0.", "!data-head=\"Files\"") // no release has files now
	wantText(t, "also upstream", m.do(t, "GET", path, nil), "Undo changes made here", "!Remove the release")
	page = m.follow(t, opaManage+"/release/reset?tag=v1.0.0", "")
	wantText(t, "reset", page, "Release v1.0.0 is as upstream lists it.", "First", "!Undo changes")
}

// TestManageReleaseErrors checks that a form with invalid values shows an error beside each
// and keeps what was typed.
func TestManageReleaseErrors(t *testing.T) {
	s := newService(t, catalog.Release{Tag: "v1.0.0"})
	m := s.manager(t, access.Release)
	for name, c := range map[string]struct {
		path   string
		change []string
		want   string
	}{
		"without a tag":     {"/releases", []string{"title", "<b>Kept</b>"}, "The tag is missing."},
		"odd tag":           {"/releases", []string{"version", "v1 2", "title", "<b>Kept</b>"}, `"v1 2" cannot be a tag`},
		"known tag":         {"/releases", []string{"version", "v1.0.0", "title", "<b>Kept</b>"}, "There is a release with this tag"},
		"odd date":          {"/releases", []string{"version", "v1.2.0", "date", "<b>Kept</b>"}, "is neither an RFC 3339 time"},
		"odd URL":           {"/release?tag=v1.0.0", []string{"notes", "<b>Kept</b>"}, "not an http or https URL"},
		"odd file":          {"/release?tag=v1.0.0", []string{"files", "https://example.com/a\nplan10/amd64=https://example.com/a", "title", "<b>Kept</b>"}, "plan10/amd64"},
		"odd checksums":     {"/release?tag=v1.0.0", []string{"checksums", "<b>Kept</b>"}, "contains no line of a checksum"},
		"foreign checksums": {"/release?tag=v1.0.0", []string{"checksums", strings.Repeat("a", 64) + "  nofile", "title", "<b>Kept</b>"}, "The release has none of the files"},
		"long notes":        {"/release?tag=v1.0.0", []string{"body", strings.Repeat("a", catalog.MaxText+1), "title", "<b>Kept</b>"}, "Has 65537 bytes; give at most 65536."},
		"odd choice":        {"/release?tag=v1.0.0", []string{"prerelease", "maybe", "title", "<b>Kept</b>"}, "Choose one of the options."},
	} {
		before := s.lastChange(t)
		got := m.submit(t, opaManage+c.path, "", c.change...)
		if got.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s: got status %d, want 422", name, got.StatusCode)
		}
		wantText(t, name, got, c.want, "<b>Kept</b>", "aria-invalid", "Nothing was changed.")
		if after := s.lastChange(t); after != before {
			t.Errorf("%s: got audit entry %s, want none", name, after)
		}
	}
	if got := m.do(t, "POST", opaManage+"/release?tag=v1.0.0", nil); got.StatusCode != http.StatusSeeOther || strings.Contains(s.lastChange(t), "changed") {
		t.Errorf("form without fields: got status %d and last change %s, want no change", got.StatusCode, s.lastChange(t))
	}
	for _, path := range []string{"/release", "/release?tag=v9.9.9", "/release/withdraw?tag=v9.9.9"} {
		if got := m.do(t, "GET", opaManage+path, nil); got.StatusCode != 404 {
			t.Errorf("GET %s: got status %d, want 404", path, got.StatusCode)
		}
	}
}

// TestStaleConfirmation checks that a confirmation is valid only for what it has shown.
func TestStaleConfirmation(t *testing.T) {
	s := newService(t, releases("v1.0.0 v1.1.0 v1.2.0")...)
	m := s.manager(t, access.Release)
	path := opaManage + "/release/withdraw?tag=v1.2.0"
	seen := m.form(t, path, "")
	if _, _, err := s.store.Withdraw(context.Background(), "opa", "v1.1.0", true); err != nil {
		t.Fatal(err)
	}
	if err := s.handler.SetClock(context.Background(), time.Now); err != nil { // reads the change
		t.Fatal(err)
	}
	for name, values := range map[string]url.Values{"outdated": seen, "missing": {}} {
		got := m.do(t, "POST", path, values)
		if got.StatusCode != http.StatusConflict {
			t.Errorf("%s confirmation: got status %d, want 409", name, got.StatusCode)
		}
		wantText(t, name+" confirmation", got, "has changed meanwhile", "Clients will be offered v1.0.0.")
	}
	if got := m.follow(t, path, ""); !strings.HasPrefix(s.offered(t), "v1.0.0 ") {
		t.Errorf("after a new confirmation: got %s offered, want v1.0.0: %s", s.offered(t), got.body)
	}
}

// TestWithdrawalCountsInstances checks that an admin sees how many instances run a release, and
// that a release token does not.
func TestWithdrawalCountsInstances(t *testing.T) {
	s := newService(t, releases("v1.0.0 v1.1.0")...)
	if got := s.send(t, report(reportBody("1.1.0"))); got.StatusCode != 200 {
		t.Fatalf("report: got status %d", got.StatusCode)
	}
	if _, err := s.store.Fold(context.Background()); err != nil {
		t.Fatal(err)
	}
	m := s.manager(t, access.Admin)
	wantText(t, "in use", m.do(t, "GET", opaManage+"/release/withdraw?tag=v1.1.0", nil), "1 instance has run it in the last 28 days.")
	wantText(t, "unused", m.do(t, "GET", opaManage+"/release/withdraw?tag=v1.0.0", nil), "0 instances have run it", "The release that clients are offered does not change.")
	m = s.manager(t, access.Release)
	wantText(t, "release token", m.do(t, "GET", opaManage+"/release/withdraw?tag=v1.1.0", nil), "Withdraws release v1.1.0.", "!in the last 28 days")
}

// TestNotes checks that line ends, which browsers change, and spaces at the end do not count as a
// change.
func TestNotes(t *testing.T) {
	s := newService(t)
	const notes = "\n# New\r\n* one\r* two \n\n"
	list := catalog.ListOf("test", catalog.Release{Tag: "v1.0.0"})
	list.Entries[0].Upstream.Text = new(notes)
	if _, err := s.store.ImportReleases(context.Background(), "opa", list, true); err != nil {
		t.Fatal(err)
	}
	if err := s.handler.SetClock(context.Background(), time.Now); err != nil { // reads the change
		t.Fatal(err)
	}
	m := s.manager(t, access.Release)
	for _, change := range [][]string{{"title", "First"}, {"title", "The first", "body", strings.TrimRight(notes, " \n")}} {
		m.follow(t, opaManage+"/release?tag=v1.0.0", "", change...)
		if _, layers, err := s.store.Release(context.Background(), "opa", "v1.0.0"); err != nil || layers[catalog.Operator].Text != nil {
			t.Errorf("form with %q: got notes %v of the operator and error %v, want none", change, layers[catalog.Operator], err)
		}
	}
}
