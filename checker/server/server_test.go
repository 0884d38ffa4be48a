package server_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/server"
	"relcheck/db"
	"relcheck/db/pgtest"
)

func TestMain(m *testing.M) {
	status := m.Run()
	pgtest.Stop()
	os.Exit(status)
}

const sampleID = "08c1d850-6065-478a-b9b5-a8f9f464ad33"

// service is a server on a real store, reached over real connections.
type service struct {
	*httptest.Server
	store   *db.Store
	writer  *db.Writer
	handler *server.Server
	path    string
}

type halves struct {
	*db.Store
	*db.Writer
}

func (h halves) As(who string) server.Editor { return h.Store.As(who) }

func newService(t testing.TB, releases ...catalog.Release) *service {
	t.Helper()
	return newServiceWith(t, serviceOptions{}, releases...)
}

// newServiceOn puts something between the server and its store.
func newServiceOn(t testing.TB, wrap func(halves) server.Store, releases ...catalog.Release) *service {
	t.Helper()
	return newServiceWith(t, serviceOptions{wrap: wrap}, releases...)
}

// serviceOptions are what a test may want otherwise.
type serviceOptions struct {
	server.Options
	wrap   func(halves) server.Store
	log    io.Writer
	routes []server.Route // in addition
	fill   func(*db.Store)
	at     string // a database; a new file if empty
}

func newServiceWith(t testing.TB, o serviceOptions, releases ...catalog.Release) *service {
	t.Helper()
	if o.Base == "" {
		o.Base = "http://relcheck.example.com"
	}
	if o.wrap == nil {
		o.wrap = func(h halves) server.Store { return h }
	}
	log := slog.New(slog.DiscardHandler)
	if o.log != nil {
		log = slog.New(slog.NewTextHandler(o.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	schema, err := os.ReadFile("../../schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	s := &service{path: cmp.Or(o.at, filepath.Join(t.TempDir(), "relcheck.db"))}
	s.store, err = db.Open(ctx, s.path, string(schema))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.store.Close() })
	s.put(t, "opa", releases...)
	if o.fill != nil {
		o.fill(s.store)
	}
	w, err := s.store.NewWriter(log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	s.writer = w
	handler, err := server.New(ctx, o.wrap(halves{s.store, w}), log, o.Options)
	if err != nil {
		t.Fatal(err)
	}
	s.handler = handler
	go handler.Watch(ctx)
	s.Server = httptest.NewServer(handler.HandlerWith(o.routes...))
	t.Cleanup(s.Server.Close)
	return s
}

func (s *service) put(t testing.TB, product string, releases ...catalog.Release) {
	t.Helper()
	_, err := s.store.PutReleases(context.Background(), product, releases,
		func(_, given catalog.Release) catalog.Release { return given })
	if err != nil {
		t.Fatal(err)
	}
}

// exec changes the store behind its back.
func (s *service) exec(t testing.TB, text string) {
	t.Helper()
	d, err := sql.Open("sqlite", "file:"+s.path+"?_busy_timeout=5000")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Exec(text); err != nil {
		t.Fatal(err)
	}
}

// reports counts what was recorded of a product.
func (s *service) reports(t testing.TB, product string) (all []db.Recorded) {
	t.Helper()
	err := s.store.Reports(context.Background(), product, time.Time{}, func(r *db.Recorded) error {
		all = append(all, *r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// reply is an answer that has been read.
type reply struct {
	*http.Response
	body string
}

func (s *service) send(t testing.TB, r *http.Request) reply {
	t.Helper()
	r.URL.Scheme, r.URL.Host, r.RequestURI = "http", s.Listener.Addr().String(), ""
	res, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{res, string(body)}
}

// report makes the request that a client of the first generation sends.
func report(body string) *http.Request {
	r := httptest.NewRequest("POST", "/v1/version", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Open Policy Agent/0.12.3 (darwin, amd64)")
	return r
}

func saying(version string) string {
	return fmt.Sprintf(`{"id": %q, "version": %q}`, sampleID, version)
}

// The request and the answer of the privacy document, to the letter; the
// answer has the judgement in addition that every released client reads.
func TestSeedSample(t *testing.T) {
	s := newService(t, catalog.Release{Version: "v0.19.2"})
	r := report("{\n  \"id\": \"" + sampleID + "\",\n  \"version\": \"v0.12.3\",\n  \"heap_usage_bytes\": \"596000\"\n}\n")
	r.Header.Set("User-Agent", `"Open Policy Agent/v0.12.3 (darwin, amd64)"`)
	got := s.send(t, r)
	want := `{"latest":{"download":"https://openpolicyagent.org/downloads/v0.19.2/opa_darwin_amd64",` +
		`"release_notes":"https://github.com/open-policy-agent/opa/releases/tag/v0.19.2","latest_release":"v0.19.2","opa_up_to_date":false}}` + "\n"
	if got.StatusCode != 200 || got.body != want {
		t.Errorf("got %d %s\nwant %s", got.StatusCode, got.body, want)
	}
	all := s.reports(t, "opa")
	if len(all) != 1 {
		t.Fatalf("%d reports are recorded", len(all))
	}
	if r := all[0]; r.ID.String() != sampleID || r.Version != "v0.12.3" || *r.HeapUsageBytes != 596000 || r.Platform != (checker.Platform{OS: "darwin", Arch: "amd64"}) {
		t.Errorf("recorded %+v", r)
	}
}

// Requests of real clients, byte for byte as they came over the wire.
func TestCaptures(t *testing.T) {
	s := newService(t, catalog.Release{Version: "v1.22.2"})
	captures, err := filepath.Glob("testdata/captures/*.http")
	if err != nil || len(captures) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	for _, name := range captures {
		t.Run(filepath.Base(name), func(t *testing.T) {
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			before := len(s.reports(t, "opa"))
			r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
			if err != nil {
				t.Fatal(err)
			}
			got := s.send(t, r)
			var answer struct {
				Latest  checker.Latest
				TagName string `json:"tag_name"`
			}
			if err := json.Unmarshal([]byte(got.body), &answer); err != nil || got.StatusCode != 200 {
				t.Fatalf("%d %s %v", got.StatusCode, got.body, err)
			}
			if tag := answer.Latest.LatestRelease + answer.TagName; tag != "v1.22.2" {
				t.Errorf("offers %q", tag)
			}
			recorded := 0
			if r.Method == "POST" {
				recorded = 1
			}
			if n := len(s.reports(t, "opa")) - before; n != recorded {
				t.Errorf("recorded %d reports, want %d", n, recorded)
			}
		})
	}
}

func TestJudgement(t *testing.T) {
	s := newService(t,
		catalog.Release{Version: "v0.19.2"}, catalog.Release{Version: "v0.21.0"}, catalog.Release{Version: "v0.9.0"},
		catalog.Release{Version: "v0.30.0", Retracted: "broken"},
		catalog.Release{Version: "v0.22.0-rc.1", Prerelease: true}, catalog.Release{Version: "v0.22.0-rc.2", Prerelease: true})
	for version, want := range map[string]string{
		"0.20.0":                "v0.21.0 false",
		"v0.20.0":               "v0.21.0 false",
		"0.21.0":                "v0.21.0 true",
		"0.21.0-istio":          "v0.21.0 true",  // a vendor's build of the latest
		"0.20.0-istio":          "v0.21.0 false", // and of an older one
		"0.22.0-dev":            "v0.21.0 true",
		"0.21.0+build.7":        "v0.21.0 true",
		"0.30.0":                "v0.21.0 true", // newer than all that are offered
		"0.22.0-rc.1":           "v0.22.0-rc.2 false",
		"v0.22.0-rc.2":          "v0.22.0-rc.2 true",
		"0.22.0-rc.3":           "v0.21.0 true", // not published: the core counts
		"0.21":                  "v0.21.0 true",
		"devel":                 "v0.21.0 null",
		"1.2.3.4":               "v0.21.0 null",
		"01.2.3":                "v0.21.0 null",
		strings.Repeat("1", 80): "v0.21.0 true",
	} {
		got := s.send(t, report(saying(version)))
		if got.StatusCode != 200 {
			t.Errorf("%s: %d %s", version, got.StatusCode, got.body)
			continue
		}
		var a checker.Answer
		if err := json.Unmarshal([]byte(got.body), &a); err != nil {
			t.Fatal(err)
		}
		judged, _ := json.Marshal(a.Latest.UpToDate)
		if said := a.Latest.LatestRelease + " " + string(judged); said != want {
			t.Errorf("%s: got %s, want %s", version, said, want)
		}
	}
}

// A newer stable release is offered to callers on a pre-release too.
func TestPrereleaseIsOfferedTheRelease(t *testing.T) {
	s := newService(t, catalog.Release{Version: "v1.0.0-rc.1", Prerelease: true}, catalog.Release{Version: "v1.0.0"})
	if got := s.send(t, report(saying("1.0.0-rc.1"))); !strings.Contains(got.body, `"latest_release":"v1.0.0","opa_up_to_date":false`) {
		t.Error(got.body)
	}
}

func TestLinks(t *testing.T) {
	s := newService(t, catalog.Release{
		Version: "v1.0.0", Notes: "https://example.com/notes?a=1&b=2",
		Assets: map[checker.Platform]string{{OS: "linux", Arch: "amd64"}: "https://example.com/own"},
	})
	for agent, want := range map[string]string{
		"Open Policy Agent/0.1.0 (linux, amd64)":   "https://example.com/own",
		"Open Policy Agent/0.1.0 (linux, arm64)":   "https://openpolicyagent.org/downloads/v1.0.0/opa_linux_arm64_static",
		"Open Policy Agent/0.1.0 (darwin, arm64)":  "https://openpolicyagent.org/downloads/v1.0.0/opa_darwin_arm64_static",
		"Open Policy Agent/0.1.0 (windows, amd64)": "https://openpolicyagent.org/downloads/v1.0.0/opa_windows_amd64.exe",
		"Open Policy Agent/0.1.0 (amiga, m68k)":    "",
		"curl/8":                                   "",
		"":                                         "",
	} {
		r := report(saying("0.1.0"))
		r.Header.Set("User-Agent", agent)
		got := s.send(t, r)
		var a checker.Answer
		if err := json.Unmarshal([]byte(got.body), &a); err != nil {
			t.Fatal(err)
		}
		if a.Latest.Download != want {
			t.Errorf("%s: download %q, want %q", agent, a.Latest.Download, want)
		}
		if !strings.Contains(got.body, `"release_notes":"https://example.com/notes?a=1&b=2"`) {
			t.Errorf("%s: %s", agent, got.body)
		}
	}
}

// While no release is known nothing newer is known either: a client told
// otherwise would log "OPA is out of date." without saying for what.
func TestNoReleaseYet(t *testing.T) {
	s := newService(t)
	for version, want := range map[string]string{
		"0.70.0": `{"latest":{"opa_up_to_date":true}}`,
		"devel":  `{"latest":{}}`,
	} {
		if got := s.send(t, report(saying(version))); got.StatusCode != 200 || strings.TrimSpace(got.body) != want {
			t.Errorf("%s: %d %s", version, got.StatusCode, got.body)
		}
	}
	if n := len(s.reports(t, "opa")); n != 2 {
		t.Errorf("recorded %d reports", n)
	}
}

func TestOtherProduct(t *testing.T) {
	s := newService(t, catalog.Release{Version: "v9.0.0"})
	app := catalog.Product{Name: "app", Title: "App", Repo: "me/App", Download: "https://example.com/{version}/{os}"}
	if err := s.store.AddProduct(context.Background(), app); err != nil {
		t.Fatal(err)
	}
	s.put(t, "app", catalog.Release{Version: "1.1.0"})
	s.await(t, "/p/app/repos/any/name/releases/latest", 200)

	r := report(saying("1.0.0"))
	r.URL.Path = "/p/app/v1/version"
	got := s.send(t, r)
	if want := `{"latest":{"download":"https://example.com/1.1.0/darwin","latest_release":"1.1.0","opa_up_to_date":false}}`; strings.TrimSpace(got.body) != want {
		t.Errorf("got %s\nwant %s", got.body, want)
	}
	if a, b := len(s.reports(t, "app")), len(s.reports(t, "opa")); a != 1 || b != 0 {
		t.Errorf("recorded %d reports of app and %d of opa", a, b)
	}
	if got := s.send(t, httptest.NewRequest("GET", "/repos/ME/app/releases/latest", nil)); !strings.Contains(got.body, `"tag_name":"1.1.0"`) {
		t.Errorf("by repository: %d %s", got.StatusCode, got.body)
	}
}

// await asks until the server has noticed a change; it takes a second for that, or what
// a slow machine makes of one.
func (s *service) await(t *testing.T, path string, status int) reply {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		got := s.send(t, httptest.NewRequest("GET", path, nil))
		if got.StatusCode == status {
			return got
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %d %s", path, got.StatusCode, got.body)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestGitHubForm(t *testing.T) {
	date := time.Date(2026, 11, 5, 23, 7, 41, 0, time.UTC)
	s := newService(t, catalog.Release{Version: "v1.22.2", Date: date, Assets: map[checker.Platform]string{
		{OS: "linux", Arch: "amd64"}:  "https://example.com/d/opa_linux_amd64",
		{OS: "darwin", Arch: "amd64"}: "https://example.com/d/opa_darwin_all",
		{OS: "darwin", Arch: "arm64"}: "https://example.com/d/opa_darwin_all",
	}})
	want := `{"tag_name":"v1.22.2","name":"v1.22.2","html_url":"https://github.com/open-policy-agent/opa/releases/tag/v1.22.2",` +
		`"draft":false,"prerelease":false,"created_at":"2026-11-05T23:07:41Z","published_at":"2026-11-05T23:07:41Z","assets":[` +
		`{"name":"opa_darwin_all","browser_download_url":"https://example.com/d/opa_darwin_all"},` +
		`{"name":"opa_linux_amd64","browser_download_url":"https://example.com/d/opa_linux_amd64"}]}` + "\n"
	for path, status := range map[string]int{
		"/repos/open-policy-agent/opa/releases/latest":        200,
		"/repos/Open-Policy-Agent/OPA/releases/latest":        200,
		"/p/opa/repos/open-policy-agent/opa/releases/latest":  200,
		"/p/opa/repos/some/fork/releases/latest":              200,
		"/repos/some/fork/releases/latest":                    404,
		"/p/none/repos/open-policy-agent/opa/releases/latest": 404,
		"/p/relcheck/repos/any/name/releases/latest":          404, // no release
	} {
		got := s.send(t, httptest.NewRequest("GET", path, nil))
		if got.StatusCode != status || status == 200 && got.body != want {
			t.Errorf("%s: %d %s", path, got.StatusCode, got.body)
		}
		if status == 404 && !(strings.Contains(got.body, `"message":"Not Found"`) && strings.Contains(got.body, `"error":{"code":"`)) {
			t.Errorf("%s: %s", path, got.body)
		}
	}
}

// counter takes down what is counted.
type counter struct {
	halves
	counted chan string
}

func (c counter) Count(product, version string, from checker.Platform) {
	c.counted <- product + " " + version + " " + from.String()
}

func TestGitHubFormIsCounted(t *testing.T) {
	counted := make(chan string, 1)
	s := newServiceOn(t, func(h halves) server.Store { return counter{h, counted} }, catalog.Release{Version: "v1.22.2"})
	for agent, want := range map[string]string{
		"Open Policy Agent/1.10.1 (linux, amd64)":   "opa 1.10.1 linux/amd64",
		"Open Policy Agent/1.10.1 (amiga, m68k)":    "opa 1.10.1 other/other",
		"OPA-Version-Checker":                       "",
		"Open Policy Agent/1.10\xff (linux, amd64)": "",
	} {
		r := httptest.NewRequest("GET", "/repos/open-policy-agent/opa/releases/latest", nil)
		r.Header.Set("User-Agent", agent)
		s.send(t, r)
		got := ""
		select {
		case got = <-counted:
		default:
		}
		if got != want {
			t.Errorf("%s: counted %q, want %q", agent, got, want)
		}
	}
}

// failing is a store that cannot record.
type failing struct {
	halves
	err error
}

func (f failing) Record(context.Context, string, checker.Platform, *checker.Report) error {
	return f.err
}

type diskFull struct{}

func (diskFull) Error() string  { return "secret detail" }
func (diskFull) DiskFull() bool { return true }

// What cannot be recorded is not acknowledged, and still learns the latest release.
func TestNotRecorded(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{errors.New("secret detail"), 503, "not_recorded"},
		{db.ErrBusy, 503, "busy"},
		{fmt.Errorf("write: %w", diskFull{}), 507, "disk_full"},
	} {
		s := newServiceOn(t, func(h halves) server.Store { return failing{h, c.err} }, catalog.Release{Version: "v0.19.2"})
		got := s.send(t, report(saying("0.12.3")))
		var body struct {
			Error  struct{ Code, Message string }
			Latest checker.Latest
		}
		if err := json.Unmarshal([]byte(got.body), &body); err != nil {
			t.Fatal(err)
		}
		if got.StatusCode != c.status || body.Error.Code != c.code || body.Latest.LatestRelease != "v0.19.2" || got.Header.Get("Retry-After") == "" {
			t.Errorf("%v: %d %v %s", c.err, got.StatusCode, got.Header, got.body)
		}
		if strings.Contains(got.body, "secret") {
			t.Errorf("%v: tells the store's own words: %s", c.err, got.body)
		}
	}
}

// panicking is a store with a bug.
type panicking struct{ halves }

func (panicking) Record(context.Context, string, checker.Platform, *checker.Report) error {
	panic("bug")
}

func TestPanic(t *testing.T) {
	s := newServiceOn(t, func(h halves) server.Store { return panicking{h} })
	if got := s.send(t, report(saying("0.12.3"))); got.StatusCode != 500 || !strings.Contains(got.body, `"code":"internal"`) {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	s.await(t, "/healthz", 200)
}

func TestHealth(t *testing.T) {
	s := newService(t)
	s.await(t, "/healthz", 200)
	s.await(t, "/readyz", 200)
	if err := os.Rename(s.path, s.path+".away"); err != nil {
		t.Fatal(err)
	}
	if got := s.await(t, "/readyz", 503); strings.Contains(got.body, s.path) {
		t.Errorf("tells the store's own words: %s", got.body)
	}
	s.await(t, "/healthz", 200)
	if got := s.send(t, report(saying("0.12.3"))); got.StatusCode != 503 {
		t.Errorf("without its file: %d %s", got.StatusCode, got.body)
	}
}

// A release that another process adds is answered within a second.
func TestNoticesReleases(t *testing.T) {
	s := newService(t)
	var took []time.Duration
	for i := range 3 {
		version := fmt.Sprintf("v0.19.%d", i)
		begin := time.Now()
		s.put(t, "opa", catalog.Release{Version: version})
		s.await(t, "/repos/open-policy-agent/opa/releases/latest", 200)
		took = append(took, time.Since(begin))
		if err := s.store.Withdraw(context.Background(), "opa", version, true); err != nil {
			t.Fatal(err)
		}
		s.await(t, "/repos/open-policy-agent/opa/releases/latest", 404)
	}
	if soonest := slices.Min(took); soonest > time.Second { // the others may have had to wait for a processor
		t.Errorf("took %v at the soonest", soonest)
	}
}

func TestIndex(t *testing.T) {
	s := newService(t)
	got := s.await(t, "/", 200)
	if !strings.Contains(got.body, "OPA_TELEMETRY_SERVICE_URL=http://relcheck.example.com ") {
		t.Error(got.body)
	}
}
