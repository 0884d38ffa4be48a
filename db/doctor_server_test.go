package db_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"relcheck/checker/catalog"
	"relcheck/checker/mirror"
	"relcheck/db/doctor"
)

// The doctor warns about links to the server's own machine if clients come through a proxy.
func testDoctorLinks(t *testing.T, name string) {
	s := open(t, name)
	for _, c := range []struct {
		base   string
		hidden bool
		want   string
	}{
		{"", false, "0 links: no server has started"},
		{"http://localhost:8080", false, "0 links: they begin with http://localhost:8080, which only clients on the machine"},
		{"http://localhost:8080", true, "1 links: they begin with http://localhost:8080, which clients behind a proxy cannot reach: start relcheck serve with --base-url"},
		{"http://[::1]:8080", true, "1 links: "},
		{"https://releases.example.com", true, "0 links: they begin with https://releases.example.com"},
		{"https://releases.example.com", false, "0 links: they begin with https://releases.example.com"},
	} {
		if c.base != "" {
			must(t, s.SetBaseURL(t.Context(), c.base))
		}
		must(t, s.SetClientsHidden(t.Context(), c.hidden))
		if got := examine(t, name, longRetention)["links"]; !strings.HasPrefix(got, c.want) {
			t.Errorf("base URL %q, hidden clients %t: got %s, want %q", c.base, c.hidden, got, c.want)
		}
	}
}

// The doctor warns if no server seems to serve the hosted files.
func testDoctorServedFiles(t *testing.T, name string) {
	s, path := open(t, name), t.TempDir()
	if _, err := putReleases(t.Context(), s, "opa", []catalog.Release{{Tag: "v1.0.0"}}); err != nil {
		t.Fatal(err)
	}
	id, err := s.ID(t.Context())
	must(t, err)
	folder, err := mirror.Create(path, fmt.Sprintf("%016x", id))
	must(t, err)
	defer folder.Close()
	content, err := folder.Add(t.Context(), strings.NewReader("content"), catalog.File{})
	must(t, err)
	host := func(name string, age time.Duration) {
		t.Helper()
		must(t, s.HostFile(t.Context(), "opa", "v1.0.0", catalog.HostedFile{Name: name, SHA256: content.SHA256, Size: content.Size, Fetched: time.Now().Add(-age)}))
	}
	check := func(when, files string, warned bool, want string) {
		t.Helper()
		found := examineWith(t, name, doctor.Options{KeepReports: longRetention, Files: files})["hosted"]
		if strings.Contains(found, "1 hosted: no server has verified a file in "+path) != warned || !strings.Contains(found, want) {
			t.Errorf("%s: got %s, want a warning: %t, and %q", when, found, warned, want)
		}
	}
	host("new", time.Hour)
	check("new file", path, false, "0 hosted: 1 file: all in ")
	check("no folder", "", false, "only servers that run with --files offer them")
	host("old", 72*time.Hour)
	check("old file", path, true, "start relcheck serve --files "+path)
	must(t, folder.RecordCheck(content.SHA256[:2], time.Now().Add(-49*time.Hour)))
	check("served long ago", path, true, "")
	must(t, folder.RecordCheck(content.SHA256[:2], time.Now().Add(-time.Hour)))
	check("served", path, false, "0 hosted: 2 files: all in ")
}
