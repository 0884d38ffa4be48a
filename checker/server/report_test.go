package server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/server"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
)

// TestPrivacyDocumentExample sends the example request of the privacy document. The
// response must be the document's, and also contain the verdict, which every released
// client reads.
func TestPrivacyDocumentExample(t *testing.T) {
	s := newService(t, catalog.Release{Tag: "v0.19.2"})
	r := report("{\n  \"id\": \"" + sampleID + "\",\n  \"version\": \"v0.12.3\",\n  \"heap_usage_bytes\": \"596000\"\n}\n")
	r.Header.Set("User-Agent", `"Open Policy Agent/v0.12.3 (darwin, amd64)"`)
	got := s.send(t, r)
	want := `{"latest":{"download":"https://openpolicyagent.org/downloads/v0.19.2/opa_darwin_amd64",` +
		`"release_notes":"https://github.com/open-policy-agent/opa/releases/tag/v0.19.2","latest_release":"v0.19.2","opa_up_to_date":false}}` + "\n"
	if body := withoutDay(t, got.body); got.StatusCode != 200 || body != want {
		t.Errorf("got %d %s\nwant %s", got.StatusCode, body, want)
	}
	all := s.reports(t, "opa")
	if len(all) != 1 {
		t.Fatalf("got %d recorded reports, want 1", len(all))
	}
	if r := all[0]; r.ID.String() != sampleID || r.Version != "v0.12.3" || *r.HeapUsageBytes != 596000 || r.Platform != (checker.Platform{OS: "darwin", Arch: "amd64"}) {
		t.Errorf("got recorded report %+v, want the ID, version, heap size and platform of the request", r)
	}
}

// withoutDay removes the day from the body of an answer to a recorded report. The day must be
// today, by the clock before or after midnight.
func withoutDay(t testing.TB, body string) string {
	t.Helper()
	for _, now := range []time.Time{time.Now(), time.Now().Add(-time.Minute)} {
		day := now.UTC().Format(time.DateOnly)
		if before, ok := strings.CutSuffix(body, `,"day":"`+day+"\"}\n"); ok {
			return before + "}\n"
		}
	}
	t.Errorf("got the answer %s, want it to end with the day", body)
	return body
}

// TestLast sends the day of the last answer in all its forms, with and without an instance ID.
func TestLast(t *testing.T) {
	s := newService(t, catalog.Release{Tag: "v1.0.0"})
	today := time.Now().UTC()
	date := func(days int) string { return `"` + today.AddDate(0, 0, days).Format(time.DateOnly) + `"` }
	for last, count := range map[string]rollup.Installations{
		"null": {Daily: 1, Weekly: 1, Monthly: 1, New: 1}, date(-30): {Daily: 1, Weekly: 1, Monthly: 1, Back7: 1, Back28: 1},
		date(0): {}, date(1): {}, date(2): {}, `"2026-02-30"`: {}, `"x"`: {}, `""`: {}, "7": {}, "true": {}, `{"a":[1]}`: {}, `["2026-01-01"]`: {},
	} {
		for _, id := range []string{"", `"id":"` + sampleID + `",`} {
			before, counted := len(s.reports(t, "opa")), s.installations(t)
			got := s.send(t, report("{"+id+`"version":"1.0.0","last":`+last+"}"))
			if got.StatusCode != 200 {
				t.Errorf("id %q, last %s: got %d %s, want 200", id, last, got.StatusCode, got.body)
				continue
			}
			withoutDay(t, got.body)
			if n := len(s.reports(t, "opa")); n != before+1 {
				t.Errorf("id %q, last %s: got %d recorded reports, want 1", id, last, n-before)
			}
			counted.Add(count)
			if got := s.installations(t); got != counted {
				t.Errorf("id %q, last %s: got installations %+v, want %+v", id, last, got, counted)
			}
		}
	}
}

// TestCapturedRequests sends requests of real clients, captured from the network.
func TestCapturedRequests(t *testing.T) {
	s := newService(t, catalog.Release{Tag: "v1.22.2"})
	captures, err := filepath.Glob("testdata/captures/*.http")
	if err != nil || len(captures) == 0 {
		t.Fatalf("got no captured requests (error %v)", err)
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
				t.Fatalf("got status %d, body %s (error %v), want 200 and JSON", got.StatusCode, got.body, err)
			}
			if tag := answer.Latest.LatestRelease + answer.TagName; tag != "v1.22.2" {
				t.Errorf("got release %q, want v1.22.2", tag)
			}
			recorded := 0
			if r.Method == "POST" {
				recorded = 1
			}
			if n := len(s.reports(t, "opa")) - before; n != recorded {
				t.Errorf("got %d more recorded reports, want %d", n, recorded)
			}
		})
	}
}

func TestVerdict(t *testing.T) {
	s := newService(t,
		catalog.Release{Tag: "v0.19.2"}, catalog.Release{Tag: "v0.21.0"}, catalog.Release{Tag: "v0.9.0"},
		catalog.Release{Tag: "v0.30.0", Withdrawn: true, Reason: "broken"},
		catalog.Release{Tag: "v0.22.0-rc.1", Prerelease: true}, catalog.Release{Tag: "v0.22.0-rc.2", Prerelease: true})
	for version, want := range map[string]string{
		"0.20.0":                "v0.21.0 false",
		"v0.20.0":               "v0.21.0 false",
		"0.21.0":                "v0.21.0 true",
		"0.21.0-istio":          "v0.21.0 true",  // a vendor's build of the latest release
		"0.20.0-istio":          "v0.21.0 false", // a vendor's build of an older release
		"0.22.0-dev":            "v0.21.0 true",
		"0.21.0+build.7":        "v0.21.0 true",
		"0.30.0":                "v0.21.0 false", // withdrawn
		"0.31.0":                "v0.21.0 true",  // newer than all releases
		"0.22.0-rc.1":           "v0.22.0-rc.2 false",
		"v0.22.0-rc.2":          "v0.22.0-rc.2 true",
		"0.22.0-rc.3":           "v0.21.0 true", // not published: compared without the suffix
		"0.21":                  "v0.21.0 true",
		"devel":                 "v0.21.0 null",
		"1.2.3.4":               "v0.21.0 true",
		"01.2.3":                "v0.21.0 true",
		"0.20.9.4":              "v0.21.0 false",
		strings.Repeat("1", 80): "v0.21.0 true",
	} {
		got := s.send(t, report(reportBody(version)))
		if got.StatusCode != 200 {
			t.Errorf("%s: got status %d and body %s, want 200 and %s", version, got.StatusCode, got.body, want)

		}
		var a checker.Answer
		if err := json.Unmarshal([]byte(got.body), &a); err != nil {
			t.Fatal(err)
		}
		verdict, _ := json.Marshal(a.Latest.UpToDate)
		if got := a.Latest.LatestRelease + " " + string(verdict); got != want {
			t.Errorf("%s: got %s, want %s", version, got, want)
		}
	}
}

// TestPrereleaseIsOfferedNewerRelease checks that a pre-release is offered a newer stable
// release.
func TestPrereleaseIsOfferedNewerRelease(t *testing.T) {
	s := newService(t, catalog.Release{Tag: "v1.0.0-rc.1", Prerelease: true}, catalog.Release{Tag: "v1.0.0"})
	if got := s.send(t, report(reportBody("1.0.0-rc.1"))); !strings.Contains(got.body, `"latest_release":"v1.0.0","opa_up_to_date":false`) {
		t.Errorf("got %s, want release v1.0.0", got.body)
	}
}

func TestDownloadLinks(t *testing.T) {
	s := newService(t, catalog.Release{
		Tag: "v1.0.0", Notes: "https://example.com/notes?a=1&b=2",
		Files: []catalog.File{{Platform: checker.Platform{OS: "linux", Arch: "amd64"}, URL: "https://example.com/own"}},
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
		r := report(reportBody("0.1.0"))
		r.Header.Set("User-Agent", agent)
		got := s.send(t, r)
		var a checker.Answer
		if err := json.Unmarshal([]byte(got.body), &a); err != nil {
			t.Fatal(err)
		}
		if a.Latest.Download != want {
			t.Errorf("%s: got download link %q, want %q", agent, a.Latest.Download, want)
		}
		if !strings.Contains(got.body, `"release_notes":"https://example.com/notes?a=1&b=2"`) {
			t.Errorf("%s: got %s, want the release notes of the release", agent, got.body)
		}
	}
}

// TestReportWithoutReleases checks that every version is up to date while there are no
// releases. Otherwise, clients would log "OPA is out of date." without naming a release.
func TestReportWithoutReleases(t *testing.T) {
	s := newService(t)
	for version, want := range map[string]string{
		"0.70.0": `{"latest":{"opa_up_to_date":true}}`,
		"devel":  `{"latest":{}}`,
	} {
		if got := s.send(t, report(reportBody(version))); got.StatusCode != 200 || strings.TrimSpace(withoutDay(t, got.body)) != want {
			t.Errorf("%s: got status %d and body %s, want 200 and %s", version, got.StatusCode, got.body, want)
		}
	}
	if n := len(s.reports(t, "opa")); n != 2 {
		t.Errorf("got %d recorded reports, want 2", n)
	}
}

func TestReportOfOtherProduct(t *testing.T) {
	s := newService(t, catalog.Release{Tag: "v9.0.0"})
	app := catalog.Product{Name: "app", Title: "App", Repo: "me/App", Download: "https://example.com/{version}/{os}"}
	if err := s.store.AddProduct(context.Background(), app); err != nil {
		t.Fatal(err)
	}
	s.put(t, "app", catalog.Release{Tag: "1.1.0"})
	s.await(t, "/p/app/repos/any/name/releases/latest", 200)

	r := report(reportBody("1.0.0"))
	r.URL.Path = "/p/app/v1/version"
	got := s.send(t, r)
	if want := `{"latest":{"download":"https://example.com/1.1.0/darwin","latest_release":"1.1.0","opa_up_to_date":false}}`; strings.TrimSpace(withoutDay(t, got.body)) != want {
		t.Errorf("got %s\nwant %s", got.body, want)
	}
	if a, b := len(s.reports(t, "app")), len(s.reports(t, "opa")); a != 1 || b != 0 {
		t.Errorf("got %d recorded reports of app and %d of opa, want 1 and 0", a, b)
	}
	if got := s.send(t, httptest.NewRequest("GET", "/repos/ME/app/releases/latest", nil)); !strings.Contains(got.body, `"tag_name":"1.1.0"`) {
		t.Errorf("by repository: got status %d and body %s, want release 1.1.0", got.StatusCode, got.body)
	}
}

// failingRecorder is a store that cannot record reports.
type failingRecorder struct {
	testStore
	err error
}

func (f failingRecorder) Record(context.Context, string, checker.Platform, *checker.Report) (rollup.Day, error) {
	return 0, f.err
}

type diskFull struct{}

func (diskFull) Error() string  { return "secret detail" }
func (diskFull) DiskFull() bool { return true }

// TestReportNotRecorded checks that a report that cannot be recorded gets an error status
// with the latest release.
func TestReportNotRecorded(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{errors.New("secret detail"), 503, "not_recorded"},
		{db.ErrBusy, 503, "busy"},
		{fmt.Errorf("write: %w", diskFull{}), 507, "disk_full"},
	} {
		s := newServiceOn(t, func(h testStore) server.Store { return failingRecorder{h, c.err} }, catalog.Release{Tag: "v0.19.2"})
		got := s.send(t, report(reportBody("0.12.3")))
		var body struct {
			Error  struct{ Code, Message string }
			Latest checker.Latest
		}
		if err := json.Unmarshal([]byte(got.body), &body); err != nil {
			t.Fatal(err)
		}
		if got.StatusCode != c.status || body.Error.Code != c.code || body.Latest.LatestRelease != "v0.19.2" || got.Header.Get("Retry-After") == "" {
			t.Errorf("%v: got status %d, headers %v and body %s; want %d, code %s, Retry-After and release v0.19.2", c.err, got.StatusCode, got.Header, got.body, c.status, c.code)
		}
		if strings.Contains(got.body, "secret") {
			t.Errorf("%v: got %s, want no text of the store's error", c.err, got.body)
		}
	}
}
