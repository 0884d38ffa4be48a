package server_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"relcheck/checker/catalog"
	"relcheck/checker/server"
	"relcheck/checker/stats/rollup"
)

// scrape returns the metrics.
func (s *service) scrape(t testing.TB) string {
	t.Helper()
	_, token := s.token(t)
	res, body := s.read(t, "/metrics", token)
	if res.StatusCode != http.StatusOK {
		t.Fatalf("GET /metrics: got %s, want 200\n%s", res.Status, body)
	}
	return body
}

// read sends a GET request, with a token unless it is empty, and returns the response and
// its body.
func (s *service) read(t testing.TB, path, token string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest("GET", s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func TestMetricsRequireToken(t *testing.T) {
	s := newService(t)
	for _, token := range []string{"", "rcr_nonsense"} {
		if res, body := s.read(t, "/metrics", token); res.StatusCode != http.StatusUnauthorized || strings.Contains(body, "relcheck_") {
			t.Errorf("token %q: got %s, want 401 without metrics\n%s", token, res.Status, body)
		}
	}
}

func TestMetrics(t *testing.T) {
	s := newService(t)
	post := func(body string) {
		res, err := http.Post(s.URL+"/v1/version", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	for range 3 {
		post(`{"id":"` + sampleID + `","version":"1.0.0"}`)
	}
	post(`{"id":"` + sampleID + `"}`)
	post(`{`)
	for _, path := range []string{"/healthz", "/nothing/here", "/nothing/there", "/p/nope/repos/a/b/releases/latest"} {
		s.read(t, path, "")
	}
	text := s.scrape(t)
	for _, want := range []string{
		"relcheck_reports_recorded_total 3\n",
		`relcheck_reports_refused_total{reason="invalid_field"} 1` + "\n",
		`relcheck_reports_refused_total{reason="invalid_json"} 1` + "\n",
		`relcheck_reports_refused_total{reason="disk_full"} 0` + "\n",
		`relcheck_http_requests_total{class="2xx",route="POST /v1/version"} 3` + "\n",
		`relcheck_http_requests_total{class="4xx",route="POST /v1/version"} 2` + "\n",
		`relcheck_http_requests_total{class="2xx",route="GET /healthz"} 1` + "\n",
		`relcheck_http_requests_total{class="4xx",route="none"} 2` + "\n",
		`relcheck_http_requests_total{class="4xx",route="dialect github"} 1` + "\n",
		"relcheck_reports_waiting 0\n", "relcheck_commit_duration_seconds_count 3\n", "go_goroutines ", "process_",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("got no metric %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "nothing") || strings.Contains(text, "nope") {
		t.Errorf("got a path of a request in a label, want none\n%s", text)
	}
	lint(t, text)
}

// backups is a [server.Backups] with a last backup and a number of failures.
type backups struct {
	at       time.Time
	failures int64
}

func (b backups) Last() (time.Time, int64) { return b.at, 4096 }
func (b backups) Failures() int64          { return b.failures }

func TestMetricsOfBackups(t *testing.T) {
	for want, b := range map[string]server.Backups{
		"relcheck_backup_last_timestamp_seconds 0\n":            backups{},
		"relcheck_backup_last_timestamp_seconds 1.234567e+06\n": backups{at: time.Unix(1234567, 0)},
		"relcheck_backup_failures_total 3\n":                    backups{failures: 3},
		"relcheck_backup_last_size_bytes 4096\n":                backups{},
	} {
		text := newServiceWith(t, serviceOptions{Options: server.Options{Backups: b}}).scrape(t)
		if !strings.Contains(text, want) {
			t.Errorf("got no metric %q in\n%s", want, text)
		}
		lint(t, text)
	}
	if text := newService(t).scrape(t); strings.Contains(text, "backup") {
		t.Error("without backups: got metrics of backups, want none")
	}
}

// lint checks that metrics follow the conventions of Prometheus.
func lint(t testing.TB, text string) {
	t.Helper()
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("lint metrics: got problems %v (error %v), want none", problems, err)
	}
}

// manyBuildsStore is a store with many builds, most of them of invented versions.
type manyBuildsStore struct {
	testStore
	builds []rollup.BuildTotals
	reads  int
}

func (c *manyBuildsStore) TotalsAt(_ context.Context, product, _ string, r rollup.Range, _ func(rollup.Build) bool) (*rollup.Totals, error) {
	if product != "opa" {
		return &rollup.Totals{Range: r}, nil
	}
	c.reads++
	return &rollup.Totals{Range: r, Builds: c.builds}, nil
}

// TestMetricsAreBounded checks that only a limited number of versions in use have metrics
// of their own, and that scrapes share a read of the statistics.
func TestMetricsAreBounded(t *testing.T) {
	c := &manyBuildsStore{}
	add := func(version string, instances int64) {
		c.builds = append(c.builds, rollup.BuildTotals{Build: rollup.Build{Version: version},
			Recent: rollup.Recent{Day: instances, DayBefore: 10 * instances, Week: 100 * instances}})
	}
	for i := range 50 { // in use
		add(fmt.Sprintf("v1.%d.0", i), 2)
		add(fmt.Sprintf("1.%d.1", i), 1)
	}
	for i := range 1000 { // invented
		add(fmt.Sprintf("v%d.%d%s.0", i+2, i, strings.Repeat("9", 60)), 1)
	}
	for _, v := range []string{"other", "-1+1", "--", "+cmd", "_", "v1.2.3.4", "7d"} {
		add(v, 1)
	}
	s := newServiceOn(t, func(h testStore) server.Store { c.testStore = h; return c })
	text := s.scrape(t)
	lint(t, text)
	if n := strings.Count(text, "\nrelcheck_distinct_instances{"); n != 3*51 {
		t.Errorf("got %d series, want %d:\n%s", n, 3*51, text)
	}
	for _, want := range []string{
		`relcheck_distinct_instances{line="v1.7",product="opa",window="today"} 3` + "\n",
		`relcheck_distinct_instances{line="v1.7",product="opa",window="yesterday"} 30` + "\n",
		`relcheck_distinct_instances{line="v1.49",product="opa",window="7d"} 300` + "\n",
		`relcheck_distinct_instances{line="other",product="opa",window="7d"} 100600` + "\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("got no metric %q", want)
		}
	}
	for range 5 {
		s.scrape(t)
	}
	if c.reads != 1 {
		t.Errorf("6 scrapes: got %d reads of statistics, want 1", c.reads)
	}
}

// TestScrapesAreBounded checks that at most four scrapes are processed at a time, on the
// server's address and on that of the metrics together, and that others get status 503.
func TestScrapesAreBounded(t *testing.T) {
	store := &blockedStore{proceed: make(chan struct{})}
	s := newServiceOn(t, func(h testStore) server.Store { store.testStore = h; return store })
	_, token := s.token(t)
	codes := make(chan int, 8)
	for i := range cap(codes) {
		h := s.handler.Handler()
		if i%2 == 0 {
			h = s.handler.Metrics()
		}
		go func() { codes <- ask(h, "192.0.2.1:1", "GET", "/metrics", bearer(token)).Code }()
	}
	for i := range cap(codes) {
		if i == cap(codes)-4 {
			close(store.proceed)
		}
		want := http.StatusOK
		if i < cap(codes)-4 {
			want = http.StatusServiceUnavailable
		}
		select {
		case got := <-codes:
			if got != want {
				t.Errorf("response %d: got status %d, want %d", i, got, want)
			}
		case <-time.After(10 * time.Second):
			close(store.proceed)
			t.Fatalf("got %d responses after 10 s, want %d", i, cap(codes))
		}
	}
}

// The latest release of each product that has one is a metric.
func TestMetricsOfLatestReleases(t *testing.T) {
	s := newService(t, catalog.Release{Tag: "v1.2.0", Date: time.Unix(1_700_000_000, 0)}, catalog.Release{Tag: "v1.3.0", Date: time.Unix(1_750_000_000, 0)})
	s.newProduct(t, "empty", `{}`)
	text := s.scrape(t)
	for _, want := range []string{`relcheck_latest_release_info{product="opa",tag="v1.3.0"} 1` + "\n", `relcheck_latest_release_timestamp_seconds{product="opa"} 1.75e+09` + "\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("got no metric %q in\n%s", want, text)
		}
	}
	for _, unwanted := range []string{`tag="v1.2.0"`, `{product="empty"}`, `{product="empty",tag`} {
		if strings.Contains(text, unwanted) {
			t.Errorf("got a metric with %s, want none", unwanted)
		}
	}
	lint(t, text)
}
