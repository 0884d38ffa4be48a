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
	ofOPA  = "/api/v1/products/opa"
	ofOne  = ofOPA + "/releases/v1.0.0"
	inApp  = "/api/v1/products/app"
	theApp = inApp + "/releases/1.0.0"
)

// edit sends a body with a token, and returns status and answer on one line.
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

// offered is the version that a client is told of.
func (s *service) offered(t testing.TB) string {
	t.Helper()
	var a checker.Answer
	got := s.send(t, report(saying("0.1.0")))
	if err := json.Unmarshal([]byte(got.body), &a); err != nil {
		t.Fatal(err)
	}
	return a.Latest.LatestRelease + " " + a.Latest.Download
}

// What a pipeline publishes is answered with at once, and by the other servers on
// the store within a second.
func TestPublish(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { publish(t, "") })
	t.Run("PostgreSQL", func(t *testing.T) { publish(t, pgtest.Database(t)) })
}

func publish(t *testing.T, at string) {
	s := newServiceWith(t, serviceOptions{at: at}, catalog.Release{Version: "v0.9.0"})
	_, token := s.tokenOf(t, access.Release)
	other := s.beside(t)
	put := func(body, want, offered string) {
		t.Helper()
		if got := s.edit(t, token, "PUT", ofOne, body); got != want {
			t.Errorf("%s: got  %s\nwant %s", body, got, want)
		}
		if got := s.offered(t); got != offered {
			t.Errorf("%s: offered is %s, want %s", body, got, offered)
		}
	}
	const first = `{"version":"v1.0.0","date":"2026-01-31T00:00:00Z","notes":"https://example.com/n?a=1&b=2","prerelease":false,"withdrawn":false,"retracted":null,"assets":{"darwin/amd64":"https://example.com/mac"},"latest":true}`
	const sent = `{"date":"2026-01-31","notes":"https://example.com/n?a=1&b=2","prerelease":false,"withdrawn":false,"assets":{"darwin/amd64":"https://example.com/mac"}}`
	put(sent, "201 "+first, "v1.0.0 https://example.com/mac")
	took := []time.Duration{other.notices(t, "v1.0.0 ")}
	put(sent, "200 "+first, "v1.0.0 https://example.com/mac")
	put(`{}`, "200 "+first, "v1.0.0 https://example.com/mac")
	put(`{"assets":{"linux/arm64":"https://example.com/arm"}}`, "200 "+strings.Replace(first, `mac"}`, `mac","linux/arm64":"https://example.com/arm"}`, 1), "v1.0.0 https://example.com/mac")
	put(`{"assets":{"linux/arm64":null,"darwin/amd64":null},"notes":""}`,
		`200 {"version":"v1.0.0","date":"2026-01-31T00:00:00Z","notes":null,"prerelease":false,"withdrawn":false,"retracted":null,"assets":{},"latest":true}`,
		"v1.0.0 https://openpolicyagent.org/downloads/v1.0.0/opa_darwin_amd64")
	put(`{"withdrawn":true}`,
		`200 {"version":"v1.0.0","date":"2026-01-31T00:00:00Z","notes":null,"prerelease":false,"withdrawn":true,"retracted":null,"assets":{},"latest":false}`,
		"v0.9.0 https://openpolicyagent.org/downloads/v0.9.0/opa_darwin_amd64")
	took = append(took, other.notices(t, "v0.9.0 "))
	put(`{"withdrawn":false,"date":"2026-02-01T01:00:00+02:00"}`,
		`200 {"version":"v1.0.0","date":"2026-01-31T23:00:00Z","notes":null,"prerelease":false,"withdrawn":false,"retracted":null,"assets":{},"latest":true}`,
		"v1.0.0 https://openpolicyagent.org/downloads/v1.0.0/opa_darwin_amd64")
	took = append(took, other.notices(t, "v1.0.0 "))
	if soonest := slices.Min(took); soonest > time.Second { // the others may have had to wait for a processor
		t.Errorf("another server noticed after %v at the soonest", soonest)
	}
}

// notices returns how long it takes until a release is offered.
func (s *service) notices(t *testing.T, offered string) time.Duration {
	t.Helper()
	begin := time.Now()
	for !strings.HasPrefix(s.offered(t), offered) {
		if time.Sleep(5 * time.Millisecond); time.Since(begin) > 20*time.Second {
			t.Fatalf("another server does not notice that it is to offer %s", offered)
		}
	}
	return time.Since(begin)
}

// beside is another server on the same store.
func (s *service) beside(t *testing.T) *service {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	store, err := db.OpenExisting(ctx, s.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	h, err := server.New(ctx, halves{store, s.writer}, slog.New(slog.DiscardHandler), server.Options{Base: "http://other.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	go h.Watch(ctx)
	other := &service{Server: httptest.NewServer(h.Handler()), store: store, handler: h, path: s.path}
	t.Cleanup(other.Server.Close)
	return other
}

func TestWithdrawAndList(t *testing.T) {
	s := newService(t, catalog.Release{Version: "v0.9.0"}, catalog.Release{Version: "v1.0.0"}, catalog.Release{Version: "v1.1.0-rc.1", Prerelease: true})
	_, token := s.tokenOf(t, access.Release)
	for range 2 {
		if got := s.edit(t, token, "DELETE", ofOPA+"/releases/1.0.0", ""); got != "204" {
			t.Error(got)
		}
		if got := s.offered(t); !strings.HasPrefix(got, "v0.9.0 ") {
			t.Errorf("offered is %s", got)
		}
	}
	for path, want := range map[string]string{
		ofOPA + "/releases/v7.0.0":           "404 unknown_release ",
		ofOPA + "/releases/nightly":          "404 unknown_release ",
		"/api/v1/products/none/releases/1.0": "404 unknown_product ",
	} {
		if got := failureOf(s.edit(t, token, "DELETE", path, "")); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	var list struct {
		Product  string
		Releases []struct {
			Version                       string
			Prerelease, Withdrawn, Latest bool
		}
	}
	answer := s.edit(t, token, "GET", ofOPA+"/releases", "")
	if err := json.Unmarshal([]byte(strings.TrimPrefix(answer, "200 ")), &list); err != nil {
		t.Fatal(err, answer)
	}
	if got := fmt.Sprint(list); got != "{opa [{v1.1.0-rc.1 true false false} {v1.0.0 false true false} {v0.9.0 false false true}]}" {
		t.Error(got)
	}
	rows, err := s.store.Audit(context.Background(), "opa", time.Time{})
	if err != nil || len(rows) != 2 || rows[0].Action != "release.withdrawn" || rows[0].Who == db.CommandLine {
		t.Errorf("%+v, %v", rows, err)
	}
}

// failureOf is an answer with its code and field only.
func failureOf(answer string) string {
	status, body, _ := strings.Cut(answer, " ")
	var e struct {
		Error struct{ Code, Field, Message string }
	}
	if json.Unmarshal([]byte(body), &e) != nil || e.Error.Message == "" {
		return answer
	}
	return status + " " + e.Error.Code + " " + e.Error.Field
}

func TestProducts(t *testing.T) {
	s := newService(t)
	_, token := s.tokenOf(t, access.Admin)
	for _, c := range []struct{ method, path, body, want string }{
		{"PUT", inApp, `{}`, `201 {"name":"app","title":"app","repo":"","module":"","download":"","notes":"","origins":[]}`},
		{"PUT", inApp, `{"title":"My App","repo":"me/app","download":"https://example.com/{tag}"}`,
			`200 {"name":"app","title":"My App","repo":"me/app","module":"","download":"https://example.com/{tag}","notes":"","origins":[]}`},
		{"PUT", inApp, `{"repo":""}`, `200 {"name":"app","title":"My App","repo":"","module":"","download":"https://example.com/{tag}","notes":"","origins":[]}`},
		{"PUT", inApp, `{"repo":"Open-Policy-Agent/OPA"}`, "409 repo_in_use repo"},
		{"PUT", "/api/v1/products/fork", `{"repo":"open-policy-agent/opa"}`, "409 repo_in_use repo"},
		{"PUT", theApp, `{}`, `201 {"version":"1.0.0","date":null,"notes":null,"prerelease":false,"withdrawn":false,"retracted":null,"assets":{},"latest":true}`},
		{"DELETE", inApp + "?reports=yes", "", "400 invalid_query reports"},
		{"DELETE", inApp + "?report=true", "", "400 unknown_parameter report"},
		{"DELETE", inApp, "", "409 has_reports reports"},
		{"DELETE", inApp + "?reports=false", "", "409 has_reports reports"},
		{"DELETE", inApp + "?reports=true", "", "204"},
		{"DELETE", inApp + "?reports=true", "", "404 unknown_product "},
		{"GET", inApp + "/releases", "", "404 unknown_product "},
		{"PUT", theApp, `{}`, "404 unknown_product "},
		{"DELETE", theApp, "", "404 unknown_product "},
		{"DELETE", "/api/v1/products/relcheck", "", "204"},
	} {
		got := s.edit(t, token, c.method, c.path, c.body)
		if !strings.Contains(c.want, "{") {
			got = failureOf(got)
		}
		if got != c.want {
			t.Errorf("%s %s %s: %s\nwant %s", c.method, c.path, c.body, got, c.want)
		}
		if c.path == theApp && strings.HasPrefix(c.want, "201") { // it is reported of at once
			r := report(saying("0.1.0"))
			r.URL.Path = "/p/app/v1/version"
			if got := s.send(t, r); got.StatusCode != 200 || !strings.Contains(got.body, `"latest_release":"1.0.0"`) {
				t.Errorf("%d %s", got.StatusCode, got.body)
			}
		}
	}
}

// What is wrong with a change, and what the caller is told: nothing is changed.
func TestEditErrors(t *testing.T) {
	s := newService(t, catalog.Release{Version: "v1.0.0"})
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
		{ofOne, "", nil, "400 invalid_json "},
		{ofOne, "x", nil, "400 invalid_json "},
		{ofOne, "null", nil, "400 invalid_json "},
		{ofOne, "[]", nil, "400 invalid_json "},
		{ofOne, `"notes"`, nil, "400 invalid_json "},
		{ofOne, `{"notes":"https://example.com"`, nil, "400 invalid_json "},
		{ofOne, `{"notes":"https://example.com"}{}`, nil, "400 invalid_json "},
		{ofOne, `{"notes":"https://example.com"}x`, nil, "400 invalid_json "},
		{ofOne, "{\"notes\":\"https://example.com/\xff\"}", nil, "400 invalid_json "},
		{ofOne, `{"prerelease":true,"notes":"https://example.com","prerelease":false}`, nil, "400 invalid_json prerelease"},
		{ofOne, `{"prerelease":true,"pr\u0065release":false}`, nil, "400 invalid_json prerelease"},
		{ofOne, `{"assets":{"linux/amd64":"https://a.example","linux/amd64":"https://b.example"}}`, nil, "400 invalid_json assets"},
		{ofOne, `{"assets":` + strings.Repeat("[", 20000) + `}`, nil, "400 invalid_field assets"},
		{ofOne, `{"note":"https://example.com"}`, nil, "400 unknown_field note"},
		{ofOne, `{"Notes":"https://example.com"}`, nil, "400 unknown_field Notes"},
		{ofOne, `{"version":"v1.0.0"}`, nil, "400 unknown_field version"},
		{ofOne, `{"` + strings.Repeat("é", 60) + `":1}`, nil, "400 unknown_field " + strings.Repeat("é", 50)},
		{ofOne, `{"notes":null}`, nil, "400 invalid_field notes"},
		{ofOPA, `{"origins":"https://a.example"}`, nil, "400 invalid_field origins"},
		{ofOPA, `{"origins":[null]}`, nil, "400 invalid_field origins"},
		{ofOPA, `{"origins":["https:"]}`, nil, "400 invalid_field origins"},
		{ofOPA, `{"origins":["https://a.example/b"]}`, nil, "400 invalid_field origins"},
		{ofOne, `{"notes":7}`, nil, "400 invalid_field notes"},
		{ofOne, `{"notes":"javascript:alert(1)"}`, nil, "400 invalid_field notes"},
		{ofOne, `{"notes":"https://me:secret@example.com"}`, nil, "400 invalid_field notes"},
		{ofOne, `{"notes":"` + long + `"}`, nil, "400 invalid_field notes"},
		{ofOne, `{"notes":"https://example.com/\u0000"}`, nil, "400 invalid_field notes"},
		{ofOne, `{"notes":"https://example.com/\u202e"}`, nil, "400 invalid_field notes"},
		{ofOne, `{"assets":{"windows/amd64":"javascript:alert(1)"}}`, nil, "400 invalid_field assets"},
		{ofOne, `{"assets":{"linux/amd64":"https://example.com/#a"}}`, nil, "400 invalid_field assets"},
		{inApp, `{"title":"a\u202eb"}`, nil, "400 invalid_field title"},
		{inApp, `{"title":"a\u200bb"}`, nil, "400 invalid_field title"},
		{inApp, `{"title":"a\u2028b"}`, nil, "400 invalid_field title"},
		{inApp, `{"title":"\u001b[31m"}`, nil, "400 invalid_field title"},
		{inApp, `{"download":"{linux:https}{windows:javascript}://example.com/"}`, nil, "400 invalid_field download"},
		{inApp, `{"download":"https://{windows:user:pw@}example.com/"}`, nil, "400 invalid_field download"},
		{inApp, `{"notes":"{linux:https}{windows:javascript}://example.com/"}`, nil, "400 invalid_field notes"},
		{ofOne, `{"date":"yesterday"}`, nil, "400 invalid_field date"},
		{ofOne, `{"date":""}`, nil, "400 invalid_field date"},
		{ofOne, `{"date":1700000000}`, nil, "400 invalid_field date"},
		{ofOne, `{"prerelease":"true"}`, nil, "400 invalid_field prerelease"},
		{ofOne, `{"prerelease":null}`, nil, "400 invalid_field prerelease"},
		{ofOne, `{"withdrawn":1}`, nil, "400 invalid_field withdrawn"},
		{ofOne, `{"assets":[]}`, nil, "400 invalid_field assets"},
		{ofOne, `{"assets":null}`, nil, "400 invalid_field assets"},
		{ofOne, `{"assets":{"linux":"https://example.com"}}`, nil, "400 invalid_field assets"},
		{ofOne, `{"assets":{"linux/amd64":""}}`, nil, "400 invalid_field assets"},
		{ofOne, `{"assets":{"linux/amd64":{}}}`, nil, "400 invalid_field assets"},
		{ofOne, `{"assets":{"amiga/m68k":null}}`, nil, "400 invalid_field assets"},
		{ofOne, `{"notes":"https://example.com","prerelease":7}`, nil, "400 invalid_field prerelease"},
		{ofOne, `{}` + strings.Repeat(" ", 64<<10), nil, "413 too_large "},
		{ofOne, `{}` + strings.Repeat(" ", 64<<10), func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(r.Body), -1 }, "413 too_large "},
		{ofOne, `{}`, with("Content-Type", "text/plain"), "415 unsupported_type "},
		{ofOne, `{}`, with("Content-Type", "application/x-www-form-urlencoded"), "415 unsupported_type "},
		{ofOne, `{}`, with("Content-Encoding", "gzip"), "415 unsupported_encoding "},
		{ofOne + "?withdrawn=true", `{}`, nil, "400 unknown_parameter withdrawn"},
		{ofOPA + "/releases/nightly", `{}`, nil, "400 invalid_field version"},
		{ofOPA + "/releases/1.0.0%20", `{}`, nil, "400 invalid_field version"},
		{ofOPA + "/releases/v" + strings.Repeat("1", 90), `{}`, nil, "400 invalid_field version"},
		{"/api/v1/products/none/releases/v1.0.0", `{}`, nil, "404 unknown_product "},
		{ofOPA, `{"title":""}`, nil, "400 invalid_field title"},
		{ofOPA, `{"title":"\u001b[31m"}`, nil, "400 invalid_field title"},
		{ofOPA, `{"title":null}`, nil, "400 invalid_field title"},
		{ofOPA, `{"repo":"opa"}`, nil, "400 invalid_field repo"},
		{ofOPA, `{"module":"/x"}`, nil, "400 invalid_field module"},
		{ofOPA, `{"download":"https://example.com/{file}"}`, nil, "400 invalid_field download"},
		{ofOPA, `{"notes":"` + long + `"}`, nil, "400 invalid_field notes"},
		{ofOPA, `{"name":"other"}`, nil, "400 unknown_field name"},
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
		if said := failureOf(fmt.Sprint(got.StatusCode, " ", got.body)); said != c.want {
			t.Errorf("%s %.200s: %.300s, want %s", c.path, c.body, said, c.want)
		}
		if strings.Contains(got.body, "secret") {
			t.Errorf("%s: repeats a password", got.body)
		}
	}
	after, err := s.store.Changes(context.Background(), catalog.Revision{})
	if diff := cmp.Diff(before, after); err != nil || diff != "" {
		t.Errorf("something was changed: %v\n%s", err, diff)
	}
}

// While the store cannot be written a change is refused as a whole, and can be
// made later.
func TestNotChanged(t *testing.T) {
	var log strings.Builder
	s := newServiceWith(t, serviceOptions{log: &log}, catalog.Release{Version: "v0.9.0"})
	_, token := s.tokenOf(t, access.Admin)
	all := []struct{ method, path, body string }{
		{"PUT", ofOne, `{"assets":{"darwin/amd64":"https://example.com/mac"}}`},
		{"DELETE", ofOPA + "/releases/v0.9.0", ""},
		{"PUT", inApp, `{"title":"App"}`},
		{"DELETE", "/api/v1/products/relcheck", ""},
	}
	refused := func(why string) {
		t.Helper()
		for _, c := range all {
			r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
			r.Header.Set("Authorization", "Bearer "+token)
			got := s.send(t, r)
			if got.StatusCode != 503 || got.Header.Get("Retry-After") == "" || !strings.Contains(got.body, `"code":"not_changed"`) || strings.Contains(got.body, "audit") {
				t.Errorf("%s, %s %s: %d %v %s", why, c.method, c.path, got.StatusCode, got.Header, got.body)
			}
		}
		if got := s.offered(t); why != "the file is away" && !strings.HasPrefix(got, "v0.9.0 ") {
			t.Errorf("%s: offered is %s", why, got)
		}
	}
	before, err := s.store.Changes(context.Background(), catalog.Revision{})
	if err != nil {
		t.Fatal(err)
	}
	s.exec(t, "ALTER TABLE audit RENAME TO away") // the last that a change writes
	refused("nothing can be written down")
	s.exec(t, "ALTER TABLE away RENAME TO audit")
	if err := os.Rename(s.path, s.path+".away"); err != nil {
		t.Fatal(err)
	}
	refused("the file is away")
	if err := os.Rename(s.path+".away", s.path); err != nil {
		t.Fatal(err)
	}
	after, err := s.store.Changes(context.Background(), catalog.Revision{})
	if diff := cmp.Diff(before, after); err != nil || diff != "" {
		t.Errorf("something was changed: %v\n%s", err, diff)
	}
	s.await(t, "/readyz", 200)
	for _, c := range all {
		if got := s.edit(t, token, c.method, c.path, c.body); got[:1] != "2" {
			t.Errorf("afterwards, %s %s: %s", c.method, c.path, got)
		}
	}
}

// What is kept of a change says who has made it by the id of a token, and nothing
// of where it came from.
func TestChangesTellNoAddress(t *testing.T) {
	s := newService(t)
	id, token := s.tokenOf(t, access.Release)
	r := httptest.NewRequest("PUT", ofOne, strings.NewReader(`{}`))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("User-Agent", "canary-agent/1.0")
	r.Header.Set("X-Forwarded-For", "203.0.113.77")
	r.Header.Set("From", "canary@example.com")
	if got := s.send(t, r); got.StatusCode != 201 {
		t.Fatalf("%d %s", got.StatusCode, got.body)
	}
	rows, err := s.store.Audit(context.Background(), "", time.Time{})
	if err != nil || len(rows) != 2 || rows[0].Who != id || rows[0].Action != "release.added" {
		t.Errorf("%+v, %v", rows, err)
	}
	s.exec(t, "VACUUM INTO '"+s.path+".copy'")
	bytes, err := os.ReadFile(s.path + ".copy")
	if err != nil || !strings.Contains(string(bytes), "release.added") {
		t.Fatalf("the change is not in the file, %v", err)
	}
	for _, canary := range []string{"canary", "203.0.113.77", "127.0.0.1", token} {
		if strings.Contains(string(bytes), canary) {
			t.Errorf("the file holds %s", canary)
		}
	}
}

// Who tries one token after the other at what changes something is slowed down
// like everybody.
func TestAttemptsToChange(t *testing.T) {
	s := newService(t)
	h := s.handler.Handler()
	_, valid := s.tokenOf(t, access.Release)
	const from = "192.0.2.1:1"
	for i := range 15 {
		_, wrong := access.NewToken("wrong", access.Admin, time.Now())
		got := ask(h, from, []string{"PUT", "DELETE"}[i%2], ofOne, bearer(wrong))
		want := 401
		if i >= 10 {
			want = 429
		}
		if got.Code != want || want == 429 && got.Header().Get("Retry-After") == "" {
			t.Errorf("attempt %d: %d %v", i+1, got.Code, got.Header())
		}
	}
	if got := ask(h, from, "DELETE", ofOne, bearer(valid)); got.Code != 404 {
		t.Errorf("who has a valid token: %d %s", got.Code, got.Body)
	}
}

// A token for releases does not sign in, and says why.
func TestSignInWithTokenForReleases(t *testing.T) {
	s := newService(t)
	_, token := s.tokenOf(t, access.Release)
	if got := s.visit(t, form(token, "")); got.StatusCode != 403 || len(got.Cookies()) > 0 || !strings.Contains(got.body, "This token is for publishing releases") {
		t.Errorf("%d %v %s", got.StatusCode, got.Cookies(), got.body)
	}
}
