package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/server"
	"relcheck/checker/stats"
	"relcheck/checker/stats/public"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
)

// monday is the first day of the week that the tests publish.
var monday = rollup.OneWeek.Start(rollup.DayOf(time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)))

// privateReports fills a store with reports of unreleased versions, whose names are private, and
// of a release.
func privateReports(t *testing.T) func(*db.Store) {
	heap := int64(123_456_789_012)
	var reports []db.Recorded
	for _, version := range []string{"0.70.0-acme-jdoe-laptop", "7.77.0", "acme-nightly", "v1.0.0"} {
		for range 30 {
			reports = append(reports, db.Recorded{At: time.Now().Add(-48 * time.Hour), Platform: checker.Platform{OS: "linux", Arch: "amd64"},
				Report: checker.Report{ID: uuid.New(), Version: version, HeapUsageBytes: &heap}})
		}
	}
	return func(s *db.Store) {
		_, err := s.Backfill(context.Background(), "opa", slices.Values(reports), func(func(db.Checked) bool) {})
		if err == nil {
			_, err = s.Fold(context.Background())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// newPublished returns a service with public figures and two published weeks, whose documents
// do not depend on the reports in its store.
func newPublished(t *testing.T, fill func(*db.Store)) *service {
	o := serviceOptions{Options: server.Options{PublicStats: true, PublicThreshold: 40}, fill: fill}
	s := newServiceWith(t, o, catalog.Release{Tag: "v1.0.0", Date: monday.Time().Add(-90 * 24 * time.Hour)})
	s.handler.DisablePageRateLimit()
	for _, week := range []rollup.Day{monday, monday + 7} {
		s.publish(t, week, public.Figure{Name: "v1.0", Networks: int64(100 + week - monday)})
	}
	return s
}

// publish stores a public document with one figure.
func (s *service) publish(t *testing.T, week rollup.Day, one public.Figure) {
	t.Helper()
	ctx := context.Background()
	err := s.store.AddNetworkCounts(ctx, public.Run{ID: int64(week), Day: week, Seconds: 1}, nil)
	if err == nil {
		err = s.store.MakePublicWeek(ctx, s.productID(t), week, time.Now(), func(*public.Week) []byte {
			d := &public.Document{Product: "opa", From: week.String(), To: (week + 6).String(), Hours: 168, Threshold: 40,
				Networks: &one.Networks, Lines: []public.Figure{one}, OS: []public.Figure{}, Arch: []public.Figure{}}
			return d.Encode()
		})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (s *service) productID(t *testing.T) int64 {
	t.Helper()
	c, err := s.store.Changes(context.Background(), catalog.Revision{})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range c.Products {
		if l.Name == "opa" {
			return l.ID
		}
	}
	t.Fatal("there is no product opa")
	return 0
}

// addresses returns URLs of a GET route for each table, week, format and parameter.
func addresses(pattern string) (all []string) {
	method, path := sample(pattern)
	if method != "GET" {
		return nil
	}
	paths := []string{path}
	switch {
	case strings.HasSuffix(pattern, "{table}"):
		for _, table := range append(slices.Clone(stats.TableNames), "nope") {
			paths = append(paths, strings.TrimSuffix(path, "opa")+table)
		}
	case strings.HasSuffix(pattern, "{week}"):
		for _, week := range []rollup.Day{monday - 7, monday, monday + 7, monday + 14} {
			paths = append(paths, strings.TrimSuffix(path, "opa")+week.String())
		}
	}
	for _, p := range paths {
		all = append(all, p)
		for _, query := range []string{
			"days=7", "days=8", "format=csv", "format=json", "os=linux", "version=v1.0.0", "below=v0.1.0", "above=1GiB", "compare=v1.0.0..v0.70.0",
			"from=2026-01-01", "week=" + monday.String(), "nope=1",
		} {
			all = append(all, p+"?"+query)
		}
	}
	return all
}

// TestVisitorsSeeOnlyDocuments compares all responses without a token of a service with reports,
// and of one without any: they have the same bytes and headers, such as ETags and lengths,
// because everything comes from the documents. With a token, they differ.
func TestVisitorsSeeOnlyDocuments(t *testing.T) {
	used, empty := newPublished(t, privateReports(t)), newPublished(t, nil)
	_, token := used.token(t)
	private, found := regexp.MustCompile(`acme|jdoe|7\.77|12[0-4]\d{9}`), map[string]bool{}
	answered, differ := 0, 0
	for _, pattern := range used.handler.Patterns() {
		for _, path := range addresses(pattern) {
			for _, accept := range []string{"application/json", "text/csv", "text/html"} {
				_, all := used.read(t, path, token, "Accept", accept)
				for _, match := range private.FindAllString(all, -1) {
					found[match] = true
				}
				got, body := used.read(t, path, "", "Accept", accept)
				want, without := empty.read(t, path, "", "Accept", accept)
				got.Header.Del("Date")
				want.Header.Del("Date")
				if got.StatusCode != want.StatusCode || body != without || fmt.Sprint(got.Header) != fmt.Sprint(want.Header) {
					t.Errorf("%s as %s: got %s with reports and %s without, headers %v and %v, bodies\n%.1000s\nand\n%.1000s", path, accept, got.Status, want.Status, got.Header, want.Header, body, without)
				}
				if got.StatusCode == http.StatusOK {
					answered++
				}
				if all != body {
					differ++
				}
			}
		}
	}
	if len(found) < 4 || answered < 100 || differ < 50 {
		t.Errorf("got %d successful responses, %d that differ with a token, and private words %v; want at least 100, 50 and 4", answered, differ, found)
	}
	if _, body := used.read(t, "/products/opa", "", "Accept", "text/html"); !strings.Contains(body, "v1.0") || !strings.Contains(body, "107") {
		t.Errorf("public page: got no figure 107 of v1.0:\n%.3000s", body)
	}
}

// reportNetworks sends reports from networks of IPv4 with numbers from and up to to.
func (s *service) reportNetworks(t *testing.T, h http.Handler, from, to int, version, platform string) {
	t.Helper()
	for i := from; i < to; i++ {
		r := httptest.NewRequest("POST", "/v1/version", strings.NewReader(fmt.Sprintf(`{"id":%q,"version":%q}`, uuid.NewString(), version)))
		r.RemoteAddr = fmt.Sprintf("10.%d.%d.%d:1", i/256, i%256, i%200)
		r.Header.Set("User-Agent", "Open Policy Agent/"+version+" ("+platform+")")
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != 200 {
			t.Fatalf("report: got status %d, want 200: %s", w.Code, w.Body)
		}
	}
}

// publicFigures returns the public figures of a service, by kind of response.
func (s *service) publicFigures(t *testing.T) (all map[string]string, d public.Document, status int) {
	t.Helper()
	const path = "/api/v1/products/opa/public"
	all = map[string]string{}
	for _, of := range []struct{ path, accept string }{{path, ""}, {path + "?format=csv", ""}, {path + "/" + monday.String(), ""},
		{path + "/" + monday.String() + "?format=csv", ""}, {"/products/opa", "text/html"}, {"/products/opa/public", "text/html"}, {"/", "text/html"}} {
		res, body := s.read(t, of.path, "", "Accept", of.accept)
		all[of.path] = body + res.Header.Get("ETag") + res.Header.Get("Content-Length")
		if of.path == path+"/"+monday.String() {
			status = res.StatusCode
			json.Unmarshal([]byte(body), &d)
		}
	}
	return all, d, status
}

// TestPublicFigures publishes a week by the clock. Reports during the week count once a network
// and day. The document appears at a time that does not depend on reports, and nothing that
// happens later changes it, such as forged reports or another server.
func TestPublicFigures(t *testing.T) {
	ctx := context.Background()
	o := server.Options{PublicStats: true, PublicThreshold: 40}
	releases := []catalog.Release{{Tag: "v1.0.0"}, {Tag: "v1.1.0", Date: monday.Time()}, {Tag: "v2.0.0", Date: (monday + 30).Time()}}
	s := newServiceWith(t, serviceOptions{Options: o}, releases...)
	s.handler.DisablePageRateLimit()
	h := s.handler.Handler()
	at := func(day rollup.Day, hours float64) {
		t.Helper()
		if err := s.handler.PublishAt(ctx, day.Time().Add(time.Duration(hours*float64(time.Hour)))); err != nil {
			t.Fatal(err)
		}
	}
	at(monday-1, 23)
	s.reportNetworks(t, h, 3000, 3100, "v1.0.0", "linux, amd64") // forged before
	for day := monday; day < monday+7; day++ {
		at(day, 0)
		s.reportNetworks(t, h, 0, 120, "v1.0.0", "linux, amd64")
		s.reportNetworks(t, h, 0, 180, "v1.1.0", "linux, arm64")    // 60 of them are the first of their networks
		s.reportNetworks(t, h, 180, 200, "v2.0.0", "plan9, amd64")  // not published yet
		s.reportNetworks(t, h, 180, 240, "v3.3.3", "windows, acme") // no release
		at(day, 23.9)
	}
	at(monday+7, 0)
	s.reportNetworks(t, h, 1000, 1100, "v1.1.0", "linux, amd64") // forged while it is made
	at(monday+7, 1.9)
	before, _, status := s.publicFigures(t)
	if status != http.StatusNotFound {
		t.Errorf("before 02:00: got status %d, want 404", status)
	}
	at(monday+7, 2)
	figures, d, status := s.publicFigures(t)
	if status != http.StatusOK || figures["/"] == before["/"] {
		t.Fatalf("at 02:00: got status %d, want 200 and another overview", status)
	}
	for _, want := range []struct {
		in    []public.Figure
		name  string
		about int64
	}{{d.Lines, "v1.0", 120}, {d.Lines, "v1.1", 60}, {d.Lines, "other", 60}, {d.OS, "linux", 180}, {d.OS, "plan9", 20}, {d.Arch, "amd64", 140}, {d.Arch, "arm64", 60}} {
		got := int64(0)
		for _, f := range want.in {
			if f.Name == want.name {
				got = f.Networks
			}
		}
		if math.Abs(float64(got-want.about)) > 100 || got == 0 && want.about > 150 {
			t.Errorf("%s: got %d, want about %d in\n%s", want.name, got, want.about, figures["/api/v1/products/opa/public/"+monday.String()])
		}
	}
	if d.Hours != 168 || slices.ContainsFunc(d.Lines, func(f public.Figure) bool { return f.Name == "v2.0" || f.Name == "v3.3" }) {
		t.Errorf("got %+v, want 168 hours and published lines", d)
	}
	for _, f := range slices.Concat(d.Lines, d.OS, d.Arch) { // all formats have the same figures
		if f.Networks < 40 || !strings.Contains(figures["/api/v1/products/opa/public?format=csv"], fmt.Sprintf(",%s,%d\r\n", f.Name, f.Networks)) ||
			!strings.Contains(figures["/products/opa"], fmt.Sprintf(">%s</th><td class=\"n\">%s<", f.Name, stats.ShowNumber(f.Networks))) {
			t.Errorf("got figure %v, want at least 40, and the same in CSV and on the page", f)
		}
	}
	s.reportNetworks(t, h, 0, 300, "v1.0.0", "darwin, amd64") // forged after
	at(monday+7, 3)
	other, err := server.New(ctx, testStore{s.store, s.writer}, slog.New(slog.DiscardHandler), o) // another server makes no other document
	if err == nil {
		err = other.PublishAt(ctx, (monday + 7).Time().Add(5*time.Hour))
	}
	if err != nil {
		t.Fatal(err)
	}
	if later, _, _ := s.publicFigures(t); fmt.Sprint(later) != fmt.Sprint(figures) {
		t.Error("forged reports changed published figures")
	}
}

// TestPublicETag checks that a client that has a document gets status 304.
func TestPublicETag(t *testing.T) {
	s := newPublished(t, nil)
	path := "/api/v1/products/opa/public/" + monday.String()
	first, body := s.read(t, path, "")
	second, nothing := s.read(t, path, "", "If-None-Match", first.Header.Get("ETag"))
	if first.StatusCode != 200 || second.StatusCode != 304 || nothing != "" {
		t.Errorf("got %s and %s, want 200 and 304", first.Status, second.Status)
	}
	var d public.Document
	if err := json.Unmarshal([]byte(body), &d); err != nil || d.Lines[0].Networks != 100 {
		t.Errorf("got %s (error %v), want 100 networks", body, err)
	}
	_, table := s.read(t, "/api/v1/products/opa/public", "", "Accept", "text/csv")
	want := "week,table,name,networks\r\n2026-03-09,all,,107\r\n2026-03-09,lines,v1.0,107\r\n2026-03-02,all,,100\r\n2026-03-02,lines,v1.0,100\r\n"
	if table != want {
		t.Errorf("got %q, want %q", table, want)
	}
	for _, c := range []struct {
		path string
		want int
	}{{"/api/v1/products/opa/public/2026-03-03", 404}, {"/api/v1/products/nope/public", 404}, {"/api/v1/products/opa/public?week=x", 400}, {"/api/v1/products/opa/stats", 401}, {"/api/v1/products/opa/stats/versions", 401}} {
		if res, body := s.read(t, c.path, ""); res.StatusCode != c.want {
			t.Errorf("%s: got %s, want status %d\n%.500s", c.path, res.Status, c.want, body)
		}
	}
}

// TestNetworksAreCountedWithoutLimits checks that a report counts for the public figures even if
// it is over the rate limit, because that depends on other clients, but not if a web page of
// another site sent it.
func TestNetworksAreCountedWithoutLimits(t *testing.T) {
	s := newServiceWith(t, serviceOptions{Options: server.Options{PublicStats: true, PublicThreshold: 1, ClientRate: 1}}, catalog.Release{Tag: "v1.0.0"})
	h, lines := s.handler.Handler(), map[string]int64{}
	for i := range 3 {
		w := reportFrom(h, fmt.Sprintf("192.0.%d.1:1", i), "", reportBody("v1.0.0"))
		if w.Code != 200 {
			t.Fatalf("got status %d, want 200", w.Code)
		}
	}
	r := report(reportBody("v1.0.0"))
	r.RemoteAddr = "198.51.100.1:1"
	r.Header.Set("Origin", "https://evil.example")
	h.ServeHTTP(httptest.NewRecorder(), r)
	if err := s.handler.WriteNetworks(context.Background()); err != nil {
		t.Fatal(err)
	}
	today := rollup.DayOf(time.Now())
	err := s.store.MakePublicWeek(context.Background(), s.productID(t), rollup.OneWeek.Start(today), time.Now(), func(w *public.Week) []byte {
		for _, cells := range w.Counts {
			for name, n := range cells.Lines {
				lines[name] += n
			}
		}
		return []byte("{}")
	})
	if err != nil || lines["v1.0"] != 3 || len(lines) != 1 {
		t.Errorf("got %v (error %v), want 3 networks of v1.0", lines, err)
	}
}

// TestNoFiguresWithoutOption checks that a server without public figures counts and shows none.
func TestNoFiguresWithoutOption(t *testing.T) {
	s := newService(t, catalog.Release{Tag: "v1.0.0"})
	_, token := s.token(t)
	reportFrom(s.handler.Handler(), "192.0.2.1:1", "", reportBody("v1.0.0"))
	for path, want := range map[string]int{"/products/opa/public": 404, "/api/v1/products/opa/public": 404} {
		if res, body := s.read(t, path, token); res.StatusCode != want {
			t.Errorf("%s: got %s, want %d\n%.500s", path, res.Status, want, body)
		}
	}
}
