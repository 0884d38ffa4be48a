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

// reportFrom sends a report with a new id from an address, by a proxy or none.
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

// checkFrom asks for the latest release as one who is counted.
func checkFrom(h http.Handler, remote string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "/repos/open-policy-agent/opa/releases/latest", nil)
	r.RemoteAddr = remote
	r.Header.Set("User-Agent", "Open Policy Agent/1.10.1 (linux, amd64)")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// Beyond its budget a source is answered as ever, and told that nothing is recorded.
func TestSourceBudget(t *testing.T) {
	s := newServiceWith(t, serviceOptions{Options: server.Options{ClientRate: 5}}, catalog.Release{Version: "v1.2.3"})
	h := s.handler.Handler()
	var first string
	for i := range 8 {
		w := reportFrom(h, "192.0.2.1:4711", "", "")
		if i == 0 {
			first = w.Body.String()
		}
		want := ""
		if i >= 5 {
			want = "no"
		}
		if w.Code != 200 || w.Body.String() != first || w.Header().Get("Relcheck-Recorded") != want {
			t.Errorf("report %d: %d %v %s", i, w.Code, w.Header(), w.Body)
		}
	}
	if w := reportFrom(h, "192.0.2.1:4711", "", `{"id":"x"}`); w.Code != 400 {
		t.Errorf("a wrong report from who has no budget: %d %s", w.Code, w.Body)
	}
	if w := reportFrom(h, "192.0.2.2:4711", "", ""); w.Header().Get("Relcheck-Recorded") != "" {
		t.Error("one source spends the budget of another")
	}
	if w := checkFrom(h, "192.0.2.1:1"); w.Code != 200 || w.Header().Get("Relcheck-Recorded") != "no" || !strings.Contains(w.Body.String(), "v1.2.3") {
		t.Errorf("a question: %d %v %s", w.Code, w.Header(), w.Body)
	}
	if n := len(s.reports(t, "opa")); n != 6 {
		t.Errorf("%d reports are recorded", n)
	}
	s.expect(t, "relcheck_reports_recorded_total 6", `relcheck_rate_limited_total{kind="report"} 3`, `relcheck_rate_limited_total{kind="check"} 1`, "relcheck_checks_total 0")
}

// expect wants lines to stand in what Prometheus is told.
func (s *service) expect(t *testing.T, lines ...string) {
	t.Helper()
	text := s.scrape(t)
	for _, line := range lines {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("%q is not in\n%s", line, strings.Join(regexp.MustCompile(`(?m)^relcheck_.*$`).FindAllString(text, -1), "\n"))
		}
	}
}

// A source that sends reports nobody can read spends nothing.
func TestOnlyGoodReportsCost(t *testing.T) {
	s := newServiceWith(t, serviceOptions{Options: server.Options{ClientRate: 1}})
	h := s.handler.Handler()
	for _, body := range []string{`{}`, `[]`, `{"id":"x","version":"1.0.0"}`, strings.Repeat(" ", 20<<10)} {
		reportFrom(h, "192.0.2.1:1", "", body)
	}
	if w := reportFrom(h, "192.0.2.1:1", "", ""); w.Header().Get("Relcheck-Recorded") != "" {
		t.Error("what was refused has cost something")
	}
}

// Behind a proxy of the operator's each caller has a budget, and so has each who
// signs in. Whoever else sends the header is not believed, and it is hinted at once.
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
			t.Errorf("%d: %q, want %q", i, got, c.recorded)
		}
		if said := strings.Contains(log.String(), "--trusted-proxy"); said != (i >= 4) {
			t.Errorf("%d: a hint is %v in the log", i, said)
		}
	}
	if n := strings.Count(log.String(), "--trusted-proxy"); n != 1 || strings.Contains(log.String(), "192.0.2") || strings.Contains(log.String(), "198.51") {
		t.Errorf("%d hints, or addresses, in\n%s", n, log.String())
	}
	try := func(forwarded string) int {
		r := httptest.NewRequest("GET", "/test/readers", nil)
		r.RemoteAddr = "10.0.0.1:1"
		r.Header.Set("X-Forwarded-For", forwarded)
		r.Header.Set("Authorization", "Bearer rcr_nonsense")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	for range 10 {
		try("192.0.2.1")
	}
	if one, other := try("192.0.2.1"), try("192.0.2.2"); one != 429 || other != 401 {
		t.Errorf("who tried many got %d, and another %d", one, other)
	}
}

// overwhelmed is a store of which each part fails as if there were too many callers.
type overwhelmed struct {
	halves
	full, slow atomic.Bool
}

func (o *overwhelmed) Record(ctx context.Context, product string, from checker.Platform, r *checker.Report) error {
	if o.full.Load() {
		return fmt.Errorf("in passing: %w", busyError{})
	}
	return o.halves.Record(ctx, product, from, r)
}

type busyError struct{}

func (busyError) Error() string { return "secret detail" }
func (busyError) Busy() bool    { return true }

func (o *overwhelmed) Figures(ctx context.Context, product string, r rollup.Range, keep func(rollup.Build) bool) (*rollup.Totals, error) {
	if o.slow.Load() {
		<-ctx.Done()
	}
	return o.halves.Figures(ctx, product, r, keep)
}

// Each limit is there to be seen before it is reached, and moves when it is.
func TestLimitsAreTold(t *testing.T) {
	o := &overwhelmed{}
	s := newServiceWith(t, serviceOptions{Options: server.Options{ClientRate: 3}, wrap: func(h halves) server.Store { o.halves = h; return o }},
		catalog.Release{Version: "v1.0.0"})
	s.handler.Within(100 * time.Millisecond)
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
				t.Errorf("shed: %d %v %s", w.Code, w.Header(), w.Body)
			}
		}},
		{"relcheck_queries_timed_out_total", func() {
			o.slow.Store(true)
			w := ask(h, "192.0.2.5:1", "GET", "/api/v1/products/opa/stats/versions", bearer(token))
			o.slow.Store(false)
			if w.Code != 503 || w.Header().Get("Retry-After") == "" {
				t.Errorf("cut off: %d %v %s", w.Code, w.Header(), w.Body)
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
			t.Errorf("%s was %v and is %v", c.metric, before, after)
		}
	}
	text := s.scrape(t)
	lint(t, text)
	s.expect(t, "relcheck_reports_waiting 0", "relcheck_reports_waiting_limit 8192", "relcheck_rate_limit_clients_limit 100000")
}

func metric(t *testing.T, s *service, name string) float64 {
	t.Helper()
	text := s.scrape(t)
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (.*)$`).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("no %s in\n%s", name, text)
	}
	n, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// deaf is a store that tells neither figures nor tokens, and does not stop when
// it is told to.
type deaf struct {
	halves
	may chan struct{}
}

func (d *deaf) Figures(context.Context, string, rollup.Range, func(rollup.Build) bool) (*rollup.Totals, error) {
	<-d.may
	return &rollup.Totals{}, nil
}

// Whatever asks for figures has an answer in time, however the store behaves.
func TestQueriesEnd(t *testing.T) {
	d := &deaf{may: make(chan struct{})}
	s := newServiceWith(t, serviceOptions{wrap: func(h halves) server.Store { d.halves = h; return d }, Options: server.Options{PublicStats: true, PublicThreshold: 10}})
	s.handler.Within(50 * time.Millisecond)
	_, token := s.token(t)
	for _, path := range []string{"/", "/products/opa", "/products/opa/releases", "/api/v1/products", "/api/v1/products/opa/stats", "/api/v1/products/opa/stats/versions"} {
		for _, token := range []string{token, ""} {
			begin := time.Now()
			res, body := s.read(t, path, token, "Accept", "text/html")
			if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || time.Since(begin) > 4*time.Second {
				t.Errorf("GET %s: %s after %v, %v\n%s", path, res.Status, time.Since(begin), res.Header, body)
			}
		}
	}
	close(d.may)
	if n := metric(t, s, "relcheck_queries_timed_out_total"); n != 12 {
		t.Errorf("%v queries were cut off", n)
	}
}

// One source cannot have all places that a day has for builds of versions that are
// no release: it is recorded, as other, and those of others have theirs.
func TestPlacesOfSource(t *testing.T) {
	s := newServiceWith(t, serviceOptions{Options: server.Options{ClientRate: 1000}}, catalog.Release{Version: "v1.2.3"})
	h := s.handler.Handler()
	send := func(from, version string) {
		if w := reportFrom(h, from, "", fmt.Sprintf(`{"id":%q,"version":%q}`, uuid.NewString(), version)); w.Code != 200 || w.Header().Get("Relcheck-Recorded") != "" {
			t.Errorf("%s: %d %v %s", version, w.Code, w.Header(), w.Body)
		}
	}
	for range 2 {
		for i := range 150 {
			send("192.0.2.1:1", fmt.Sprintf("9.0.%d", i))
		}
	}
	checkFrom(h, "192.0.2.1:1") // with a version that is no release either
	for _, version := range []string{"v1.2.3", "1.2.3", "other"} {
		send("192.0.2.1:1", version)
	}
	send("192.0.2.2:1", "0.71.0-dev")
	send("192.0.2.1:1", "0.71.0-dev")
	counted := map[string]int{}
	for _, r := range s.reports(t, "opa") {
		counted[r.Version]++
	}
	if counted["9.0.19"] != 2 || counted["9.0.20"] != 0 || counted["other"] != 2*130+1 || counted["0.71.0-dev"] != 2 || counted["v1.2.3"] != 1 || counted["1.2.3"] != 1 {
		t.Errorf("counted are %v", counted)
	}
	s.expect(t, "relcheck_versions_limited_total 261", "relcheck_versions_per_client_limit 20", "relcheck_reports_recorded_total 305")
}

// Where no source has a limit, one may have all places.
func TestPlacesWithoutLimit(t *testing.T) {
	s := newServiceWith(t, serviceOptions{}, catalog.Release{Version: "v1.2.3"})
	h := s.handler.Handler()
	for i := range 101 {
		reportFrom(h, "192.0.2.1:1", "", fmt.Sprintf(`{"id":%q,"version":"9.0.%d"}`, uuid.NewString(), i))
	}
	s.expect(t, "relcheck_versions_limited_total 0", "relcheck_counted_as_other_total 1")
}
