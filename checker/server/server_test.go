package server_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/server"
	"relcheck/checker/stats/rollup"
)

// panickingStore is a store that panics when it records a report.
type panickingStore struct{ testStore }

func (panickingStore) Record(context.Context, string, checker.Platform, *checker.Report) (rollup.Day, error) {
	panic("bug")
}

func TestHandlerPanic(t *testing.T) {
	s := newServiceOn(t, func(h testStore) server.Store { return panickingStore{h} })
	if got := s.send(t, report(reportBody("0.12.3"))); got.StatusCode != 500 || !strings.Contains(got.body, `"code":"internal"`) {
		t.Errorf("got status %d and body %s, want 500 and code internal", got.StatusCode, got.body)
	}
	s.await(t, "/healthz", 200)
}

func TestHealth(t *testing.T) {
	s := newService(t)
	ready := func() string {
		_, after, _ := strings.Cut(ask(s.handler.Metrics(), "192.0.2.1:1", "GET", "/metrics", credential{}).Body.String(), "\nrelcheck_ready ")
		return after[:min(len(after), 1)]
	}
	s.await(t, "/healthz", 200)
	s.await(t, "/readyz", 200)
	if got := ready(); got != "1" {
		t.Errorf("got metric relcheck_ready %q, want 1", got)
	}
	if err := os.Rename(s.path, s.path+".away"); err != nil {
		t.Fatal(err)
	}
	if got := s.await(t, "/readyz", 503); strings.Contains(got.body, s.path) {
		t.Errorf("got %s, want no path of the store", got.body)
	}
	if got := ready(); got != "0" {
		t.Errorf("without a database file: got metric relcheck_ready %q, want 0", got)
	}
	s.await(t, "/healthz", 200)
	if got := s.send(t, report(reportBody("0.12.3"))); got.StatusCode != 503 {
		t.Errorf("report without a database file: got status %d, want 503: %s", got.StatusCode, got.body)
	}
}

// TestReleaseOfOtherProcessIsOffered checks that a server offers a release that another
// process adds within a second.
func TestReleaseOfOtherProcessIsOffered(t *testing.T) {
	s := newService(t)
	var took []time.Duration
	for i := range 3 {
		version := fmt.Sprintf("v0.19.%d", i)
		begin := time.Now()
		s.put(t, "opa", catalog.Release{Tag: version})
		s.await(t, "/repos/open-policy-agent/opa/releases/latest", 200)
		took = append(took, time.Since(begin))
		if _, _, err := s.store.Withdraw(context.Background(), "opa", version, true); err != nil {
			t.Fatal(err)
		}
		s.await(t, "/repos/open-policy-agent/opa/releases/latest", 404)
	}
	if fastest := slices.Min(took); fastest > time.Second { // on a busy machine, some attempts are slower
		t.Errorf("got the release after %v in the fastest attempt, want up to 1 s", fastest)
	}
}

func TestHomePageShowsServiceURL(t *testing.T) {
	s := newService(t)
	got := s.await(t, "/", 200)
	if !strings.Contains(got.body, "OPA_TELEMETRY_SERVICE_URL=http://relcheck.example.com ") {
		t.Errorf("got %s, want the variable with the service's URL", got.body)
	}
}
