package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"relcheck/checker"
	"relcheck/checker/access"
	"relcheck/checker/catalog"
	"relcheck/checker/server"
	"relcheck/db"
	"relcheck/db/pgtest"
)

const (
	opaPath        = "/api/v1/products/opa"
	releasePath    = opaPath + "/releases/v1.0.0"
	appPath        = "/api/v1/products/app"
	appReleasePath = appPath + "/releases/1.0.0"
)

// edit sends a request with a token, and returns the status and the body on one line.
func (s *service) edit(t testing.TB, token, method, path, body string) string {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body == "" {
		r = httptest.NewRequest(method, path, nil)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	got := s.send(t, r)
	return strings.TrimSpace(fmt.Sprint(got.StatusCode, " ", got.body))
}

// offered returns the version and the download link that a client is offered.
func (s *service) offered(t testing.TB) string {
	t.Helper()
	var a checker.Answer
	got := s.send(t, report(reportBody("0.1.0")))
	if err := json.Unmarshal([]byte(got.body), &a); err != nil {
		t.Fatal(err)
	}
	return a.Latest.LatestRelease + " " + a.Latest.Download
}

// TestPublishRelease checks that a published release is offered at once, and within a
// second by another server of the same store.
func TestPublishRelease(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { testPublishRelease(t, "") })
	t.Run("PostgreSQL", func(t *testing.T) { testPublishRelease(t, pgtest.Database(t)) })
}

func testPublishRelease(t *testing.T, at string) {
	s := newServiceWith(t, serviceOptions{at: at}, catalog.Release{Tag: "v0.9.0"})
	_, token := s.tokenOf(t, access.Release)
	other := s.newPeer(t)
	put := func(body, want, offered string) {
		t.Helper()
		if got := withoutIDs(s.edit(t, token, "PUT", releasePath, body)); got != want {
			t.Errorf("PUT %s: got  %s\nwant %s", body, got, want)
		}
		if got := s.offered(t); got != offered {
			t.Errorf("PUT %s: got release %s, want %s", body, got, offered)
		}
	}
	release := func(date, notes, withdrawn, assets, files, latest string) string {
		return `{"id":0,"version":"v1.0.0","title":"","date":"` + date + `","created":null,"notes":` + notes + `,"prerelease":false,"withdrawn":` + withdrawn +
			`,"reason":null,"assets":{` + assets + `},"files":[` + files + `],"latest":` + latest + `}`
	}
	file := func(name, platform string) string {
		return `{"id":0,"name":"` + name + `","platform":"` + platform + `","url":"https://example.com/` + name + `","media_type":null}`
	}
	const day, notes = "2026-01-31T00:00:00Z", `"https://example.com/n?a=1&b=2"`
	first := release(day, notes, "false", `"darwin/amd64":"https://example.com/mac"`, file("mac", "darwin/amd64"), "true")
	const sent = `{"date":"2026-01-31","notes":"https://example.com/n?a=1&b=2","prerelease":false,"withdrawn":false,"assets":{"darwin/amd64":"https://example.com/mac"}}`
	put(sent, "201 "+first, "v1.0.0 https://example.com/mac")
	took := []time.Duration{other.timeToOffer(t, "v1.0.0 ")}
	put(sent, "200 "+first, "v1.0.0 https://example.com/mac")
	put(`{}`, "200 "+first, "v1.0.0 https://example.com/mac")
	put(`{"assets":{"linux/arm64":"https://example.com/arm"}}`,
		"200 "+release(day, notes, "false", `"darwin/amd64":"https://example.com/mac","linux/arm64":"https://example.com/arm"`, file("arm", "linux/arm64")+","+file("mac", "darwin/amd64"), "true"),
		"v1.0.0 https://example.com/mac")
	put(`{"assets":{"linux/arm64":null,"darwin/amd64":null},"notes":""}`, "200 "+release(day, "null", "false", "", "", "true"),
		"v1.0.0 https://openpolicyagent.org/downloads/v1.0.0/opa_darwin_amd64")
	put(`{"withdrawn":true}`, "200 "+strings.TrimSuffix(release(day, "null", "true", "", "", "false"), "}")+`,"hints":["it is not offered: withdrawn"]}`, "v0.9.0 https://openpolicyagent.org/downloads/v0.9.0/opa_darwin_amd64")
	took = append(took, other.timeToOffer(t, "v0.9.0 "))
	put(`{"withdrawn":false,"date":"2026-02-01T01:00:00+02:00"}`, "200 "+release("2026-01-31T23:00:00Z", "null", "false", "", "", "true"),
		"v1.0.0 https://openpolicyagent.org/downloads/v1.0.0/opa_darwin_amd64")
	took = append(took, other.timeToOffer(t, "v1.0.0 "))
	if fastest := slices.Min(took); fastest > time.Second { // on a busy machine, some changes take longer
		t.Errorf("another server: got the fastest change after %v, want up to 1 s", fastest)
	}
}

// withoutIDs replaces the IDs in a response by 0.
func withoutIDs(body string) string { return idPattern.ReplaceAllString(body, `"id":0`) }

var idPattern = regexp.MustCompile(`"id":[1-9][0-9]*`)

// timeToOffer waits until a release is offered, and returns how long that took.
func (s *service) timeToOffer(t *testing.T, offered string) time.Duration {
	t.Helper()
	begin := time.Now()
	for !strings.HasPrefix(s.offered(t), offered) {
		if time.Sleep(5 * time.Millisecond); time.Since(begin) > 20*time.Second {
			t.Fatalf("got release %s after 20 s, want %s", s.offered(t), offered)
		}
	}
	return time.Since(begin)
}

// newPeer returns another server on the same store.
func (s *service) newPeer(t *testing.T) *service {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	store, err := db.OpenExisting(ctx, s.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	h, err := server.New(ctx, testStore{store, s.writer}, slog.New(slog.DiscardHandler), server.Options{Base: "http://other.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	go h.Watch(ctx)
	other := &service{Server: httptest.NewServer(h.Handler()), store: store, handler: h, path: s.path}
	t.Cleanup(other.Server.Close)
	return other
}

func TestWithdrawRelease(t *testing.T) {
	s := newService(t, catalog.Release{Tag: "v0.9.0"}, catalog.Release{Tag: "v1.0.0"}, catalog.Release{Tag: "v1.1.0-rc.1", Prerelease: true})
	_, token := s.tokenOf(t, access.Release)
	for range 2 {
		if got := s.edit(t, token, "DELETE", opaPath+"/releases/1.0.0", ""); got != "204" {
			t.Errorf("DELETE release: got %s, want 204", got)
		}
		if got := s.offered(t); !strings.HasPrefix(got, "v0.9.0 ") {
			t.Errorf("got release %s, want v0.9.0", got)
		}
	}
	for path, want := range map[string]string{
		opaPath + "/releases/v7.0.0":         "404 unknown_release ",
		opaPath + "/releases/nightly":        "404 unknown_release ",
		"/api/v1/products/none/releases/1.0": "404 unknown_product ",
	} {
		if got := failureOf(s.edit(t, token, "DELETE", path, "")); got != want {
			t.Errorf("DELETE %s: got %s, want %s", path, got, want)
		}
	}
	var list struct {
		Product  string
		Releases []struct {
			Version                       string
			Prerelease, Withdrawn, Latest bool
		}
	}
	response := s.edit(t, token, "GET", opaPath+"/releases", "")
	if err := json.Unmarshal([]byte(strings.TrimPrefix(response, "200 ")), &list); err != nil {
		t.Fatalf("list releases: got %s (error %v)", response, err)
	}
	if got, want := fmt.Sprint(list), "{opa [{v1.1.0-rc.1 true false false} {v1.0.0 false true false} {v0.9.0 false false true}]}"; got != want {
		t.Errorf("list releases: got %s, want %s", got, want)
	}
	rows, err := s.store.Audit(context.Background(), "opa", time.Time{})
	if err != nil || len(rows) != 2 || rows[0].Action != "release.withdrawn" || rows[0].Actor == db.CommandLine {
		t.Errorf("got audit log %+v (error %v), want 2 entries, with the release withdrawn by a token", rows, err)
	}
}

// failureOf reduces a response with an error to its status, code and field.
func failureOf(response string) string {
	status, body, _ := strings.Cut(response, " ")
	var e struct {
		Error struct{ Code, Field, Message string }
	}
	if json.Unmarshal([]byte(body), &e) != nil || e.Error.Message == "" {
		return response
	}
	return status + " " + e.Error.Code + " " + e.Error.Field
}

func TestEditProducts(t *testing.T) {
	s := newService(t)
	_, token := s.tokenOf(t, access.Admin)
	const defaults = `,"tag_prefixes":[],"release_suffix":"","match":"","min_age":"0s","require_files":false,"channels":[],"upstreams":[],"notes_here":false,"links":"hosted","aliases":[],"hosts":[],"dialects":[],"hidden":false}`
	for _, c := range []struct{ method, path, body, want string }{
		{"PUT", appPath, `{}`, `201 {"name":"app","title":"app","repo":"","module":"","download":"","notes":"","file":"","origins":[]` + defaults},
		{"PUT", appPath, `{"title":"My App","repo":"me/app","download":"https://example.com/{tag}"}`,
			`200 {"name":"app","title":"My App","repo":"me/app","module":"","download":"https://example.com/{tag}","notes":"","file":"","origins":[]` + defaults},
		{"PUT", appPath, `{"repo":""}`, `200 {"name":"app","title":"My App","repo":"","module":"","download":"https://example.com/{tag}","notes":"","file":"","origins":[]` + defaults},
		{"PUT", appPath, `{"repo":"Open-Policy-Agent/OPA"}`, "409 repo_in_use repo"},
		{"PUT", "/api/v1/products/fork", `{"repo":"open-policy-agent/opa"}`, "409 repo_in_use repo"},
		{"GET", appPath + "/releases/cli/v1", "", `404 {"error":{"code":"not_found","message":"nothing is at this path; write a / in a tag as %2F: releases/cli%2Fv1"}}`},
		{"PUT", appPath, `{"min_age":"24h"}`, `200 {"name":"app","title":"My App","repo":"","module":"","download":"https://example.com/{tag}","notes":"","file":"","origins":[]` + strings.Replace(defaults, "0s", "24h", 1)},
		{"PUT", appReleasePath, `{}`, `201 {"id":0,"version":"1.0.0","title":"","date":null,"created":null,"notes":null,"prerelease":false,"withdrawn":false,"reason":null,"assets":{},"files":[],"latest":true,` +
			`"hints":["it is offered at once, because it has no date: set its date to apply the product's minimum age and required files"]}`},
		{"DELETE", appPath + "?reports=yes", "", "400 invalid_query reports"},
		{"DELETE", appPath + "?report=true", "", "400 unknown_parameter report"},
		{"DELETE", appPath, "", "409 has_reports reports"},
		{"DELETE", appPath + "?reports=false", "", "409 has_reports reports"},
		{"DELETE", appPath + "?reports=true", "", "204"},
		{"DELETE", appPath + "?reports=true", "", "404 unknown_product "},
		{"GET", appPath + "/releases", "", "404 unknown_product "},
		{"GET", appPath, "", "404 unknown_product "},
		{"PUT", appReleasePath, `{}`, "404 unknown_product "},
		{"DELETE", appReleasePath, "", "404 unknown_product "},
		{"DELETE", "/api/v1/products/relcheck", "", "204"},
	} {
		got := withoutIDs(s.edit(t, token, c.method, c.path, c.body))
		if !strings.Contains(c.want, "{") {
			got = failureOf(got)
		}
		if got != c.want {
			t.Errorf("%s %s %s: got %s\nwant %s", c.method, c.path, c.body, got, c.want)
		}
		if c.path == appReleasePath && strings.HasPrefix(c.want, "201") { // the product can be reported at once
			r := report(reportBody("0.1.0"))
			r.URL.Path = "/p/app/v1/version"
			if got := s.send(t, r); got.StatusCode != 200 || !strings.Contains(got.body, `"latest_release":"1.0.0"`) {
				t.Errorf("report of the new product: got status %d and body %s, want 200 and release 1.0.0", got.StatusCode, got.body)
			}
		}
	}
}

// TestEditErrors checks the error for each kind of invalid change, and that it changes
// nothing.
func TestEditErrors(t *testing.T) {
	s := newService(t, catalog.Release{Tag: "v1.0.0"})
	_, token := s.tokenOf(t, access.Admin)
	before, err := s.store.Changes(context.Background(), catalog.Revision{})
	if err != nil {
		t.Fatal(err)
	}
	with := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	long := "https://example.com/" + strings.Repeat("a", 2000)
	for _, c := range []struct {
		path, body string
		change     func(*http.Request)
		want       string
	}{
		{releasePath, "", nil, "400 invalid_json "},
		{releasePath, "x", nil, "400 invalid_json "},
		{releasePath, "null", nil, "400 invalid_json "},
		{releasePath, "[]", nil, "400 invalid_json "},
		{releasePath, `"notes"`, nil, "400 invalid_json "},
		{releasePath, `{"notes":"https://example.com"`, nil, "400 invalid_json "},
		{releasePath, `{"notes":"https://example.com"}{}`, nil, "400 invalid_json "},
		{releasePath, `{"notes":"https://example.com"}x`, nil, "400 invalid_json "},
		{releasePath, "{\"notes\":\"https://example.com/\xff\"}", nil, "400 invalid_json "},
		{releasePath, `{"prerelease":true,"notes":"https://example.com","prerelease":false}`, nil, "400 invalid_json prerelease"},
		{releasePath, `{"prerelease":true,"pr\u0065release":false}`, nil, "400 invalid_json prerelease"},
		{releasePath, `{"assets":{"linux/amd64":"https://a.example","linux/amd64":"https://b.example"}}`, nil, "400 invalid_json assets"},
		{releasePath, `{"assets":` + strings.Repeat("[", 20000) + `}`, nil, "400 invalid_field assets"},
		{releasePath, `{"note":"https://example.com"}`, nil, "400 unknown_field note"},
		{releasePath, `{"Notes":"https://example.com"}`, nil, "400 unknown_field Notes"},
		{releasePath, `{"version":"v1.0.0"}`, nil, "400 unknown_field version"},
		{releasePath, `{"` + strings.Repeat("é", 60) + `":1}`, nil, "400 unknown_field " + strings.Repeat("é", 50)},
		{releasePath, `{"notes":null}`, nil, "400 invalid_field notes"},
		{opaPath, `{"origins":"https://a.example"}`, nil, "400 invalid_field origins"},
		{opaPath, `{"origins":[null]}`, nil, "400 invalid_field origins"},
		{opaPath, `{"origins":["https:"]}`, nil, "400 invalid_field origins"},
		{opaPath, `{"origins":["https://a.example/b"]}`, nil, "400 invalid_field origins"},
		{releasePath, `{"notes":7}`, nil, "400 invalid_field notes"},
		{releasePath, `{"notes":"javascript:alert(1)"}`, nil, "400 invalid_field notes"},
		{releasePath, `{"notes":"https://me:secret@example.com"}`, nil, "400 invalid_field notes"},
		{releasePath, `{"notes":"` + long + `"}`, nil, "400 invalid_field notes"},
		{releasePath, `{"notes":"https://example.com/\u0000"}`, nil, "400 invalid_field notes"},
		{releasePath, `{"notes":"https://example.com/\u202e"}`, nil, "400 invalid_field notes"},
		{releasePath, `{"assets":{"windows/amd64":"javascript:alert(1)"}}`, nil, "400 invalid_field assets"},
		{releasePath, `{"assets":{"linux/amd64":"https://example.com/#a"}}`, nil, "400 invalid_field assets"},
		{appPath, `{"title":"a\u202eb"}`, nil, "400 invalid_field title"},
		{appPath, `{"title":"a\u200bb"}`, nil, "400 invalid_field title"},
		{appPath, `{"title":"a\u2028b"}`, nil, "400 invalid_field title"},
		{appPath, `{"title":"\u001b[31m"}`, nil, "400 invalid_field title"},
		{appPath, `{"download":"{linux:https}{windows:javascript}://example.com/"}`, nil, "400 invalid_field download"},
		{appPath, `{"download":"https://{windows:user:pw@}example.com/"}`, nil, "400 invalid_field download"},
		{appPath, `{"notes":"{linux:https}{windows:javascript}://example.com/"}`, nil, "400 invalid_field notes"},
		{releasePath, `{"date":"yesterday"}`, nil, "400 invalid_field date"},
		{releasePath, `{"date":""}`, nil, "400 invalid_field date"},
		{releasePath, `{"date":1700000000}`, nil, "400 invalid_field date"},
		{releasePath, `{"prerelease":"true"}`, nil, "400 invalid_field prerelease"},
		{releasePath, `{"prerelease":null}`, nil, "400 invalid_field prerelease"},
		{releasePath, `{"withdrawn":1}`, nil, "400 invalid_field withdrawn"},
		{releasePath, `{"assets":[]}`, nil, "400 invalid_field assets"},
		{releasePath, `{"assets":null}`, nil, "400 invalid_field assets"},
		{releasePath, `{"assets":{"linux":"https://example.com"}}`, nil, "400 invalid_field assets"},
		{releasePath, `{"assets":{"linux/amd64":""}}`, nil, "400 invalid_field assets"},
		{releasePath, `{"assets":{"linux/amd64":{}}}`, nil, "400 invalid_field assets"},
		{releasePath, `{"assets":{"amiga/m68k":null}}`, nil, "400 invalid_field assets"},
		{releasePath, `{"notes":"https://example.com","prerelease":7}`, nil, "400 invalid_field prerelease"},
		{releasePath, `{}` + strings.Repeat(" ", 1<<20), nil, "413 too_large "},
		{releasePath, `{}` + strings.Repeat(" ", 1<<20), func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(r.Body), -1 }, "413 too_large "},
		{releasePath, `{}`, with("Content-Type", "text/plain"), "415 unsupported_type "},
		{releasePath, `{}`, with("Content-Type", "application/x-www-form-urlencoded"), "415 unsupported_type "},
		{releasePath, `{}`, with("Content-Encoding", "gzip"), "415 unsupported_encoding "},
		{releasePath + "?withdrawn=true", `{}`, nil, "400 unknown_parameter withdrawn"},
		{opaPath + "/releases/1.0%5C0", `{}`, nil, "400 invalid_field version"},
		{opaPath + "/releases/1.0%E2%80%8B", `{}`, nil, "400 invalid_field version"},
		{opaPath + "/releases/1.0%E2%80%AE", `{}`, nil, "400 invalid_field version"},
		{opaPath + "/releases/1.0%1B%5B31m", `{}`, nil, "400 invalid_field version"},
		{opaPath + "/releases/1.0%00", `{}`, nil, "404 not_found "},
		{opaPath + "/releases/1.0%FF", `{}`, nil, "400 invalid_field version"},
		{opaPath + "/releases/1.0.0%20", `{}`, nil, "400 invalid_field version"},
		{opaPath + "/releases/v" + strings.Repeat("1", 200), `{}`, nil, "400 invalid_field version"},
		{"/api/v1/products/none/releases/v1.0.0", `{}`, nil, "404 unknown_product "},
		{opaPath, `{"title":""}`, nil, "400 invalid_field title"},
		{opaPath, `{"title":"\u001b[31m"}`, nil, "400 invalid_field title"},
		{opaPath, `{"title":null}`, nil, "400 invalid_field title"},
		{opaPath, `{"repo":"opa"}`, nil, "400 invalid_field repo"},
		{opaPath, `{"module":"/x"}`, nil, "400 invalid_field module"},
		{opaPath, `{"download":"https://example.com/{file}"}`, nil, "400 invalid_field download"},
		{opaPath, `{"notes":"` + long + `"}`, nil, "400 invalid_field notes"},
		{opaPath, `{"name":"other"}`, nil, "400 invalid_field name"},
		{"/api/v1/products/Opa", `{}`, nil, "400 invalid_field name"},
		{"/api/v1/products/%3Cb%3E", `{}`, nil, "400 invalid_field name"},
	} {
		r := httptest.NewRequest("PUT", c.path, strings.NewReader(c.body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		if c.change != nil {
			c.change(r)
		}
		got := s.send(t, r)
		if failure := failureOf(fmt.Sprint(got.StatusCode, " ", got.body)); failure != c.want {
			t.Errorf("PUT %s %.200s: got %.300s, want %s", c.path, c.body, failure, c.want)
		}
		if strings.Contains(got.body, "secret") {
			t.Errorf("PUT %s %.200s: got %s, want no password", c.path, c.body, got.body)
		}
	}
	after, err := s.store.Changes(context.Background(), catalog.Revision{})
	if diff := cmp.Diff(before, after); err != nil || diff != "" {
		t.Errorf("got a changed catalog (error %v), -before +after:\n%s", err, diff)
	}
}

// TestEditWhenStoreFails checks that a change fails completely while the store cannot be
// written, and succeeds later.
func TestEditWhenStoreFails(t *testing.T) {
	var log strings.Builder
	s := newServiceWith(t, serviceOptions{log: &log}, catalog.Release{Tag: "v0.9.0"})
	_, token := s.tokenOf(t, access.Admin)
	changes := []struct{ method, path, body string }{
		{"PUT", releasePath, `{"assets":{"darwin/amd64":"https://example.com/mac"}}`},
		{"DELETE", opaPath + "/releases/v0.9.0", ""},
		{"PUT", appPath, `{"title":"App"}`},
		{"DELETE", "/api/v1/products/relcheck", ""},
	}
	wantRefused := func(reason string) {
		t.Helper()
		for _, c := range changes {
			r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
			r.Header.Set("Authorization", "Bearer "+token)
			got := s.send(t, r)
			if got.StatusCode != 503 || got.Header.Get("Retry-After") == "" || !strings.Contains(got.body, `"code":"not_changed"`) || strings.Contains(got.body, "audit") {
				t.Errorf("%s: %s %s: got status %d, headers %v and body %s; want 503 and code not_changed with Retry-After", reason, c.method, c.path, got.StatusCode, got.Header, got.body)
			}
		}
		if got := s.offered(t); reason != "file moved" && !strings.HasPrefix(got, "v0.9.0 ") {
			t.Errorf("%s: got release %s, want v0.9.0", reason, got)
		}
	}
	before, err := s.store.Changes(context.Background(), catalog.Revision{})
	if err != nil {
		t.Fatal(err)
	}
	s.exec(t, "ALTER TABLE audit RENAME TO away") // the last table that a change writes to
	wantRefused("no audit table")
	s.exec(t, "ALTER TABLE away RENAME TO audit")
	if err := os.Rename(s.path, s.path+".away"); err != nil {
		t.Fatal(err)
	}
	wantRefused("file moved")
	if err := os.Rename(s.path+".away", s.path); err != nil {
		t.Fatal(err)
	}
	after, err := s.store.Changes(context.Background(), catalog.Revision{})
	if diff := cmp.Diff(before, after); err != nil || diff != "" {
		t.Errorf("got a changed catalog (error %v), -before +after:\n%s", err, diff)
	}
	s.await(t, "/readyz", 200)
	for _, c := range changes {
		if got := s.edit(t, token, c.method, c.path, c.body); got[:1] != "2" {
			t.Errorf("with a working store: %s %s: got %s, want a status of 2xx", c.method, c.path, got)
		}
	}
}

// TestAuditHasNoClientIP checks that the audit log names the ID of the token that made a
// change, and that neither the client IP nor the headers are stored.
func TestAuditHasNoClientIP(t *testing.T) {
	s := newService(t)
	id, token := s.tokenOf(t, access.Release)
	r := httptest.NewRequest("PUT", releasePath, strings.NewReader(`{}`))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("User-Agent", "canary-agent/1.0")
	r.Header.Set("X-Forwarded-For", "203.0.113.77")
	r.Header.Set("From", "canary@example.com")
	if got := s.send(t, r); got.StatusCode != 201 {
		t.Fatalf("PUT release: got status %d, want 201: %s", got.StatusCode, got.body)
	}
	rows, err := s.store.Audit(context.Background(), "", time.Time{})
	if err != nil || len(rows) != 2 || rows[0].Actor != id || rows[0].Action != "release.added" {
		t.Errorf("got audit log %+v (error %v), want 2 entries, with the release added by %s", rows, err, id)
	}
	s.exec(t, "VACUUM INTO '"+s.path+".copy'")
	bytes, err := os.ReadFile(s.path + ".copy")
	if err != nil || !strings.Contains(string(bytes), "release.added") {
		t.Fatalf("got a file without the change (error %v): the test searches the wrong file", err)
	}
	for _, canary := range []string{"canary", "203.0.113.77", "127.0.0.1", token} {
		if strings.Contains(string(bytes), canary) {
			t.Errorf("got %s in the file, want it nowhere", canary)
		}
	}
}

// TestFailedLoginsAreThrottledInAPI checks that a client IP that tries many tokens is
// throttled on routes that change something, too.
func TestFailedLoginsAreThrottledInAPI(t *testing.T) {
	s := newService(t)
	h := s.handler.Handler()
	_, valid := s.tokenOf(t, access.Release)
	const from = "192.0.2.1:1"
	for i := range 15 {
		_, wrong := access.NewToken("wrong", access.Admin, time.Now())
		got := ask(h, from, []string{"PUT", "DELETE"}[i%2], releasePath, bearer(wrong))
		want := 401
		if i >= 10 {
			want = 429
		}
		if got.Code != want || want == 429 && got.Header().Get("Retry-After") == "" {
			t.Errorf("attempt %d: got status %d and headers %v, want %d, and Retry-After if 429", i+1, got.Code, got.Header(), want)
		}
	}
	if got := ask(h, from, "DELETE", releasePath, bearer(valid)); got.Code != 404 {
		t.Errorf("valid token: got status %d, want 404: %s", got.Code, got.Body)
	}
}

// TestSignInWithReleaseToken checks that a browser with a release token gets to the pages
// that manage releases, and sees no statistics.
func TestSignInWithReleaseToken(t *testing.T) {
	s := newService(t)
	_, token := s.tokenOf(t, access.Release)
	got := s.visit(t, signInForm(token, ""))
	if got.StatusCode != 303 || got.Header.Get("Location") != "/manage" || len(got.Cookies()) != 1 {
		t.Fatalf("got status %d, headers %v and body %s; want a redirect to /manage and a cookie", got.StatusCode, got.Header, got.body)
	}
	r := httptest.NewRequest("GET", "/products/opa", nil)
	r.AddCookie(got.Cookies()[0])
	if got := s.visit(t, r); got.StatusCode != 403 || !strings.Contains(got.body, "Your token does not permit this. The token has scope ") {
		t.Errorf("statistics: got status %d and body %s; want 403 and the reason", got.StatusCode, got.body)
	}
}
