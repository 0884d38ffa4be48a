package server_test

import (
	"context"
	"fmt"
	"net/http"
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
	"relcheck/db"
)

// privateVersion, privateLine and privateName are unreleased versions, and privateHeap is
// a heap size, that public statistics must not contain. Each is reported by more
// instances than the public threshold.
const (
	privateVersion = "0.70.0-acme-jdoe-laptop"
	privateLine    = "7.77.0"
	privateName    = "acme-nightly"
	privateHeap    = 123_456_789_012
)

// private matches these versions, a minor line, and the heap size within 1 %, in bytes
// and in GiB.
var private = regexp.MustCompile(`acme|jdoe|7\.77|12[0-4]\d{9}|11[4-6].{0,6}GiB`)

// newPrivate returns a service with public statistics and reports of 30 instances of each
// private version and of a release, all with the private heap size.
func newPrivate(t *testing.T) *service {
	day := time.Now().Add(-48 * time.Hour)
	var reports []db.Recorded
	for _, version := range []string{privateVersion, privateLine, privateName, "v1.0.0"} {
		for range 30 {
			heap := int64(privateHeap)
			reports = append(reports, db.Recorded{At: day, Platform: checker.Platform{OS: "linux", Arch: "amd64"},
				Report: checker.Report{ID: uuid.New(), Version: version, HeapUsageBytes: &heap}})
		}
	}
	fill := func(s *db.Store) {
		_, err := s.Backfill(context.Background(), "opa", slices.Values(reports), func(func(db.Checked) bool) {})
		if err == nil {
			_, err = s.Fold(context.Background())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	o := serviceOptions{Options: server.Options{PublicStats: true, PublicThreshold: 10}, fill: fill}
	s := newServiceWith(t, o, catalog.Release{Tag: "v1.0.0", Date: day.Add(-90 * 24 * time.Hour)})
	s.handler.DisablePageRateLimit()
	return s
}

// addresses returns URLs of a GET route for each table, format and parameter.
func addresses(pattern string, tables []string) (all []string) {
	method, path := sample(pattern)
	if method != "GET" {
		return nil
	}
	paths := []string{path}
	if strings.HasSuffix(pattern, "{table}") {
		for _, table := range append(tables, "nope") {
			paths = append(paths, strings.TrimSuffix(path, "opa")+table)
		}
	}
	for _, p := range paths {
		all = append(all, p)
		for _, query := range []string{
			"days=7", "days=90", "days=8", "format=csv", "format=json", "os=linux", "version=v1.0.0", "version=v1", "below=v0.1.0",
			"above=1GiB", "compare=v1.0.0..v0.70.0", "compare=v1.0.0..v9.9.9", "from=2026-01-01", "nope=1",
		} {
			all = append(all, p+"?"+query)
		}
	}
	return all
}

// TestPublicResponsesContainNothingPrivate checks that no response to a GET request
// without a token contains an unreleased version or a heap size: on no route, of no
// table, in no format, even right after the same request with a token.
func TestPublicResponsesContainNothingPrivate(t *testing.T) {
	s := newPrivate(t)
	_, token := s.token(t)
	tables := slices.Clone(stats.TableNames)
	for _, table := range s.list(t, "/api/v1/products/opa/stats", "").Tables {
		if !slices.Contains(tables, table.Name) {
			tables = append(tables, table.Name)
		}
		for _, c := range table.Columns {
			if c.Kind == stats.Bytes.String() {
				t.Errorf("public table %s has column %s in bytes", table.Name, c.Name)
			}
		}
	}
	found, answered := map[string]bool{}, 0 // in responses to requests with a token
	for _, pattern := range s.handler.Patterns() {
		for _, path := range addresses(pattern, tables) {
			for _, accept := range []string{"application/json", "text/csv", "text/html"} {
				_, all := s.read(t, path, token, "Accept", accept)
				for _, match := range private.FindAllString(all, -1) {
					found[match] = true
				}
				res, body := s.read(t, path, "", "Accept", accept)
				if res.StatusCode == http.StatusOK {
					answered++
				}
				if match := private.FindString(body + fmt.Sprint(res.Header)); match != "" {
					t.Errorf("%s as %s: got private %q without a token:\n%.3000s", path, accept, match, body)
				}
			}
		}
	}
	for _, match := range []string{"acme", "jdoe", "7.77", "122429482555", "114\u00a0GiB"} {
		if !found[match] {
			t.Errorf("with a token: got %v, want %q among them", found, match)
		}
	}
	if answered < 100 {
		t.Errorf("got %d successful responses without a token, want at least 100", answered)
	}
	if _, body := s.read(t, "/products/opa", "", "Accept", "text/html"); !strings.Contains(body, "v1.0.0") {
		t.Errorf("public page: got no release v1.0.0:\n%.3000s", body)
	}
}
