package server_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/server"
	"relcheck/checker/stats/rollup"
)

// reportFrom sends a report from an address, optionally with X-Forwarded-For. If body is
// empty, it sends a report with a new instance ID.
func reportFrom(h http.Handler, remote, forwarded, body string) *httptest.ResponseRecorder {
	if body == "" {
		body = `{"id":"` + uuid.NewString() + `","version":"1.0.0"}`
	}
	r := httptest.NewRequest("POST", "/v1/version", strings.NewReader(body))
	r.RemoteAddr = remote
	if forwarded != "" {
		r.Header.Set("X-Forwarded-For", forwarded)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// checkFrom sends a check that is counted.
func checkFrom(h http.Handler, remote string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "/repos/open-policy-agent/opa/releases/latest", nil)
	r.RemoteAddr = remote
	r.Header.Set("User-Agent", "Open Policy Agent/1.10.1 (linux, amd64)")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestClientRateLimit checks that a client at its rate limit gets the usual response,
// with a header that says that nothing is recorded.
func TestClientRateLimit(t *testing.T) {
	s := newServiceWith(t, serviceOptions{Options: server.Options{ClientRate: 5}}, catalog.Release{Tag: "v1.2.3"})
	h := s.handler.Handler()
	var first string
	for i := range 8 {
		w := reportFrom(h, "192.0.2.1:4711", "", "")
		body := w.Body.String()
		if i < 5 {
			body = withoutDay(t, body)
		}
		if i == 0 {
			first = body
		}
		want := ""
		if i >= 5 {
			want = "no"
		}
		if w.Code != 200 || body != first || w.Header().Get("Relcheck-Recorded") != want {
			t.Errorf("report %d: got status %d, headers %v and body %s; want 200, Relcheck-Recorded %q and the first body", i, w.Code, w.Header(), w.Body, want)
		}
	}
	if w := reportFrom(h, "192.0.2.1:4711", "", `{"id":"x"}`); w.Code != 400 {
		t.Errorf("invalid report at the rate limit: got status %d, want 400: %s", w.Code, w.Body)
	}
	if w := reportFrom(h, "192.0.2.2:4711", "", ""); w.Header().Get("Relcheck-Recorded") != "" {
		t.Error("another client: got no recorded report, want a rate limit of its own")
	}
	if w := checkFrom(h, "192.0.2.1:1"); w.Code != 200 || w.Header().Get("Relcheck-Recorded") != "no" || !strings.Contains(w.Body.String(), "v1.2.3") {
		t.Errorf("check at the rate limit: got status %d, headers %v and body %s; want 200, not recorded, with the release", w.Code, w.Header(), w.Body)
	}
	if n := len(s.reports(t, "opa")); n != 6 {
		t.Errorf("got %d recorded reports, want 6", n)
	}
	s.wantMetrics(t, "relcheck_reports_recorded_total 6", `relcheck_rate_limited_total{kind="report"} 3`, `relcheck_rate_limited_total{kind="check"} 1`, "relcheck_checks_total 0")
}

// wantMetrics checks that the metrics contain lines.
func (s *service) wantMetrics(t *testing.T, lines ...string) {
	t.Helper()
	text := s.scrape(t)
	for _, line := range lines {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("got no line %q in\n%s", line, strings.Join(regexp.MustCompile(`(?m)^relcheck_.*$`).FindAllString(text, -1), "\n"))
		}
	}
}

// TestInvalidReportsAreNotLimited checks that invalid reports do not count towards the
// rate limit.
func TestInvalidReportsAreNotLimited(t *testing.T) {
	s := newServiceWith(t, serviceOptions{Options: server.Options{ClientRate: 1}})
	h := s.handler.Handler()
	for _, body := range []string{`{}`, `[]`, `{"id":"x","version":"1.0.0"}`, strings.Repeat(" ", 20<<10)} {
		reportFrom(h, "192.0.2.1:1", "", body)
	}
	if w := reportFrom(h, "192.0.2.1:1", "", ""); w.Header().Get("Relcheck-Recorded") != "" {
		t.Error("got no recorded report after invalid ones, want one")
	}
}

// TestTrustedProxy checks that the clients of a trusted proxy have separate limits of
// reports and logins. The header of other peers must be ignored and logged once.
func TestTrustedProxy(t *testing.T) {
	var log strings.Builder
	s := newServiceWith(t, serviceOptions{log: &log, routes: testRoutes, Options: server.Options{
		ClientRate: 1, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}})
	h := s.handler.HandlerWith(testRoutes...)
	for i, c := range []struct{ remote, forwarded, recorded string }{
		{"10.0.0.1:1", "192.0.2.1", ""},
		{"10.0.0.1:1", "192.0.2.2", ""},
		{"10.0.0.2:1", "192.0.2.2", "no"},
		{"10.0.0.2:1", "192.0.2.9, 192.0.2.1, 10.0.0.9", "no"},
		{"198.51.100.1:1", "192.0.2.3", ""},
		{"198.51.100.1:1", "192.0.2.4", "no"},
	} {
		if got := reportFrom(h, c.remote, c.forwarded, "").Header().Get("Relcheck-Recorded"); got != c.recorded {
			t.Errorf("report %d: got Relcheck-Recorded %q, want %q", i, got, c.recorded)
		}
		if hint := strings.Contains(log.String(), "--trusted-proxy"); hint != (i >= 4) {
			t.Errorf("report %d: got hint in the log %t, want %t", i, hint, i >= 4)
		}
	}
	if n := strings.Count(log.String(), "--trusted-proxy"); n != 1 || strings.Contains(log.String(), "192.0.2") || strings.Contains(log.String(), "198.51") {
		t.Errorf("got %d hints, want 1 and no addresses in the log\n%s", n, log.String())
	}
	login := func(forwarded string) int {
		r := httptest.NewRequest("GET", "/test/readers", nil)
		r.RemoteAddr = "10.0.0.1:1"
		r.Header.Set("X-Forwarded-For", forwarded)
		r.Header.Set("Authorization", "Bearer rcr_nonsense")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	for range 10 {
		login("192.0.2.1")
	}
	if first, second := login("192.0.2.1"), login("192.0.2.2"); first != 429 || second != 401 {
		t.Errorf("got status %d after many logins, and %d for another client, want 429 and 401", first, second)
	}
}

// overloadedStore is a store whose parts can fail as they do under too much load.
type overloadedStore struct {
	testStore
	full, slow atomic.Bool
}

func (o *overloadedStore) Record(ctx context.Context, product string, from checker.Platform, r *checker.Report) (rollup.Day, error) {
	if o.full.Load() {
		return 0, fmt.Errorf("record: %w", busyError{})
	}
	return o.testStore.Record(ctx, product, from, r)
}

type busyError struct{}

func (busyError) Error() string { return "secret detail" }
func (busyError) Busy() bool    { return true }

func (o *overloadedStore) TotalsAt(ctx context.Context, product, site string, r rollup.Range, keep func(rollup.Build) bool) (*rollup.Totals, error) {
	if o.slow.Load() {
		<-ctx.Done()
	}
	return o.testStore.TotalsAt(ctx, product, site, r, keep)
}

// TestLimitMetrics checks that each limit has a metric, which counts when the limit is
// reached.
func TestLimitMetrics(t *testing.T) {
	o := &overloadedStore{}
	s := newServiceWith(t, serviceOptions{Options: server.Options{ClientRate: 3}, wrap: func(h testStore) server.Store { o.testStore = h; return o }},
		catalog.Release{Tag: "v1.0.0"})
	s.handler.SetQueryTimeout(100 * time.Millisecond)
	h := s.handler.Handler()
	_, token := s.token(t)
	for _, c := range []struct {
		metric string
		do     func()
	}{
		{"relcheck_rate_limit_clients", func() { reportFrom(h, "192.0.2.1:1", "", "") }},
		{"relcheck_counted_as_other_total", func() {
			for i := range 101 {
				reportFrom(h, fmt.Sprintf("10.0.0.%d:1", i), "", fmt.Sprintf(`{"id":%q,"version":"0.0.%d-x"}`, uuid.NewString(), i))
			}
		}},
		{`relcheck_rate_limited_total{kind="report"}`, func() {
			for range 4 {
				reportFrom(h, "192.0.2.3:1", "", "")
			}
		}},
		{`relcheck_rate_limited_total{kind="check"}`, func() { checkFrom(h, "192.0.2.3:1") }},
		{`relcheck_reports_refused_total{reason="busy"}`, func() {
			o.full.Store(true)
			w := reportFrom(h, "192.0.2.4:1", "", "")
			o.full.Store(false)
			if w.Code != 503 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), `"latest"`) || strings.Contains(w.Body.String(), "secret") {
				t.Errorf("report to an overloaded store: got status %d, headers %v and body %s; want 503 with Retry-After and the release", w.Code, w.Header(), w.Body)
			}
		}},
		{"relcheck_queries_timed_out_total", func() {
			o.slow.Store(true)
			w := ask(h, "192.0.2.5:1", "GET", "/api/v1/products/opa/stats/versions", bearer(token))
			o.slow.Store(false)
			if w.Code != 503 || w.Header().Get("Retry-After") == "" {
				t.Errorf("slow query: got status %d and headers %v, want 503 with Retry-After: %s", w.Code, w.Header(), w.Body)
			}
		}},
		{"relcheck_logins_throttled_total", func() {
			for range 11 {
				ask(h, "192.0.2.6:1", "GET", "/products/opa", bearer("rcr_nonsense"))
			}
		}},
	} {
		before := metric(t, s, c.metric)
		c.do()
		if after := metric(t, s, c.metric); after != before+1 {
			t.Errorf("%s: got %v, want %v", c.metric, after, before+1)
		}
	}
	text := s.scrape(t)
	lint(t, text)
	s.wantMetrics(t, "relcheck_reports_waiting 0", "relcheck_reports_waiting_limit 8192", "relcheck_rate_limit_clients_limit 100000")
}

// metric returns the value of a metric.
func metric(t *testing.T, s *service, name string) float64 {
	t.Helper()
	text := s.scrape(t)
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (.*)$`).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("got no metric %s in\n%s", name, text)
	}
	n, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// blockedStore is a store that returns no statistics until proceed is closed, even if the
// context is done.
type blockedStore struct {
	testStore
	proceed chan struct{}
}

func (d *blockedStore) TotalsAt(context.Context, string, string, rollup.Range, func(rollup.Build) bool) (*rollup.Totals, error) {
	<-d.proceed
	return &rollup.Totals{}, nil
}

// TestQueriesTimeOut checks that requests for statistics get a response in time, even if
// the store blocks.
func TestQueriesTimeOut(t *testing.T) {
	d := &blockedStore{proceed: make(chan struct{})}
	s := newServiceWith(t, serviceOptions{wrap: func(h testStore) server.Store { d.testStore = h; return d }})
	s.handler.SetQueryTimeout(50 * time.Millisecond)
	_, token := s.token(t)
	for _, path := range []string{"/", "/products/opa", "/products/opa/releases", "/api/v1/products", "/api/v1/products/opa/stats", "/api/v1/products/opa/stats/versions"} {
		begin := time.Now()
		res, body := s.read(t, path, token, "Accept", "text/html")
		if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || time.Since(begin) > 4*time.Second {
			t.Errorf("GET %s: got %s after %v with headers %v, want 503 with Retry-After within 4 s\n%s", path, res.Status, time.Since(begin), res.Header, body)
		}
	}
	close(d.proceed)
	if n := metric(t, s, "relcheck_queries_timed_out_total"); n != 6 {
		t.Errorf("got %v queries timed out, want 6", n)
	}
}

// TestUnreleasedVersionsPerClient checks that one client cannot use up the number of
// unreleased builds that are counted per day: at its limit, the client's reports are
// recorded as other, and reports of other clients under their versions.
func TestUnreleasedVersionsPerClient(t *testing.T) {
	s := newServiceWith(t, serviceOptions{Options: server.Options{ClientRate: 1000}}, catalog.Release{Tag: "v1.2.3"})
	h := s.handler.Handler()
	send := func(from, version string) {
		if w := reportFrom(h, from, "", fmt.Sprintf(`{"id":%q,"version":%q}`, uuid.NewString(), version)); w.Code != 200 || w.Header().Get("Relcheck-Recorded") != "" {
			t.Errorf("%s: got status %d, headers %v and body %s; want 200 and recorded", version, w.Code, w.Header(), w.Body)
		}
	}
	for range 2 {
		for i := range 150 {
			send("192.0.2.1:1", fmt.Sprintf("9.0.%d", i))
		}
	}
	checkFrom(h, "192.0.2.1:1") // even of an unreleased version
	for _, version := range []string{"v1.2.3", "1.2.3", "other"} {
		send("192.0.2.1:1", version)
	}
	send("192.0.2.2:1", "0.71.0-dev")
	send("192.0.2.1:1", "0.71.0-dev")
	got := map[string]int{}
	for _, r := range s.reports(t, "opa") {
		got[r.Version]++
	}
	if got["9.0.19"] != 2 || got["9.0.20"] != 0 || got["other"] != 2*130+1 || got["0.71.0-dev"] != 2 || got["v1.2.3"] != 1 || got["1.2.3"] != 1 {
		t.Errorf("got reports by version %v, want 2 of 9.0.19 and 0.71.0-dev, 1 of v1.2.3 and 1.2.3, 261 of other, and none of 9.0.20", got)
	}
	s.wantMetrics(t, "relcheck_versions_limited_total 261", "relcheck_versions_per_client_limit 20", "relcheck_reports_recorded_total 305")
}

// TestUnreleasedVersionsWithoutRateLimit checks that, without a rate limit, one client
// may report all unreleased builds that are counted per day.
func TestUnreleasedVersionsWithoutRateLimit(t *testing.T) {
	s := newServiceWith(t, serviceOptions{}, catalog.Release{Tag: "v1.2.3"})
	h := s.handler.Handler()
	for i := range 101 {
		reportFrom(h, "192.0.2.1:1", "", fmt.Sprintf(`{"id":%q,"version":"9.0.%d"}`, uuid.NewString(), i))
	}
	s.wantMetrics(t, "relcheck_versions_limited_total 0", "relcheck_counted_as_other_total 1")
}
