package upstream

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestFallback(t *testing.T) {
	good := files{}.mod("example.com/x", "module example.com/x", "v1.0.0").serve(t)
	empty := files{}.write(t)
	gone, broken, secret := start(t, status(http.StatusGone)), start(t, status(http.StatusInternalServerError)), start(t, status(http.StatusForbidden))
	missing := start(t, http.NotFoundHandler())
	tests := []struct {
		list string
		want string // in the error; empty for success
	}{
		{"good", ""},
		{" good , off", ""},
		{"good,direct", ""},
		{"missing,good", ""},
		{"gone,good", ""},
		{"empty,good", ""},
		{"missing,gone,empty,,good", ""},
		{"missing|good", ""},
		{"broken|good", ""},
		{"secret|good", ""},
		{"dead|good", ""},
		{"dead|missing,good", ""},
		{"broken,good", "status 500 Internal Server Error"},
		{"secret,good", "status 403 Forbidden"},
		{"dead,good", "refused"},
		{"missing,broken,good", "status 404 Not Found; {broken}: status 500"},
		{"missing", "{missing}: status 404 Not Found: check the module's path"},
		{"missing,off,good", `the list ends in "off"`},
		{"missing,direct,good", `the list ends in "direct", but relcheck reads only from proxies`},
		{"broken|direct|good", `the list ends in "direct"`},
		{"off", `the list ends in "off"`},
		{"direct", `the list ends in "direct"`},
	}
	addresses := strings.NewReplacer("good", good, "missing", missing, "gone", gone, "broken", broken, "secret", secret, "dead", deadAddress, "empty", empty)
	for _, test := range tests {
		releases, err := entries(t.Context(), quick(addresses.Replace(test.list)), "example.com/x")
		want := strings.NewReplacer("{missing}", missing, "{broken}", broken).Replace(test.want)
		switch {
		case test.want == "" && (err != nil || len(releases) != 1):
			t.Errorf("%s: got %d releases, error %v, want 1", test.list, len(releases), err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: got error %v, want %q", test.list, err, want)
		}
	}
}

// TestFallbackIsRemembered checks that the remaining files are requested from the proxy
// that has the module, so that a slow or unreachable proxy before it delays only one
// request.
func TestFallbackIsRemembered(t *testing.T) {
	var requests atomic.Int32
	missing := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.WriteHeader(http.StatusNotFound)
	}))
	good := files{}.mod("example.com/x", "module example.com/x", "v1.0.0", "v1.1.0").write(t)
	releases, err := entries(t.Context(), quick(missing+","+good), "example.com/x")
	if err != nil || len(releases) != 2 || requests.Load() != 1 {
		t.Errorf("got %d releases, error %v, %d requests to the first proxy, want 2, none, 1", len(releases), err, requests.Load())
	}
	// A file that this proxy does not have is requested from the next one.
	partial := files{"example.com/x/@v/list": "v1.0.0\nv1.1.0"}.write(t)
	if releases, err := entries(t.Context(), quick(partial+","+good), "example.com/x"); err != nil || len(releases) != 2 {
		t.Errorf("proxy without the versions' files: got %d releases, error %v, want 2", len(releases), err)
	}
}

func TestParseList(t *testing.T) {
	tests := []struct {
		list, want string // "error", or the entries
	}{
		{"https://a.example", "https://a.example,"},
		{"https://a.example|http://b.example/x,direct", "https://a.example| http://b.example/x, direct"},
		{"a.example/x", "https://a.example/x,"},
		{"localhost:3000", "https://localhost:3000,"},
		{"file:///srv/goproxy", "file:///srv/goproxy,"},
		{"https://u:p@a.example/?q#f", "https://a.example/,"},
		{"off,https://a.example", "off"},
		{"", "error"},
		{" ,|", "error"},
		{"goproxy", "error"},
		{"/srv/goproxy", "error"},
		{"ftp://a.example", "error"},
		{"https:///x", "error"},
		{"https:x", "error"},
		{"file://host/x", "error"},
		{"file:x", "error"},
		{"file:///x?q", "error"},
		{"https://a.example,https://user:secret@b.example:port", "error"},
		{"https://user:sec ret@b.example", "error"},
	}
	for _, test := range tests {
		proxies, err := parseList(test.list)
		var got []string
		for _, p := range proxies {
			switch {
			case p.base == nil:
				got = append(got, p.word)
			case p.anyError:
				got = append(got, address(p.base)+"|")
			default:
				got = append(got, address(p.base)+",")
			}
		}
		if err != nil {
			got = []string{"error"}
			if strings.Contains(err.Error(), "sec") || !strings.Contains(err.Error(), "https://") {
				t.Errorf("parseList(%q): got error %q, want no password and an example", test.list, err)
			}
		}
		if got := strings.Join(got, " "); got != test.want {
			t.Errorf("parseList(%q) = %s, want %s", test.list, got, test.want)
		}
	}
}

// TestPasswordIsNotLeaked checks that the user name and password in a proxy's URL are
// sent to this proxy only, and never printed.
func TestPasswordIsNotLeaked(t *testing.T) {
	tree := files{}.mod("example.com/x", "module example.com/x", "v1.0.0")
	server := tree.handler(t)
	open := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := fmt.Sprint(r.Header); r.Header.Get("Authorization") != "" || strings.Contains(got, "secret") || strings.Contains(got, "someone") {
			t.Errorf("target of a redirect: got headers %s, want no user name or password", got)
		}
		server.ServeHTTP(w, r)
	}))
	guarded := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "someone" || password != "secret" {
			t.Errorf("%s: got user %q and password %q, want the ones in the URL", r.URL, user, password)
		}
		http.Redirect(w, r, open+r.URL.Path, http.StatusFound)
	}))
	if _, err := entries(t.Context(), quick(strings.Replace(guarded, "http://", "http://someone:secret@", 1)), "example.com/x"); err != nil {
		t.Errorf("proxy with a password: %v", err)
	}
	refused := strings.Replace(deadAddress, "http://", "http://someone:secret@", 1)
	forbidden := strings.Replace(start(t, status(http.StatusForbidden)), "http://", "http://someone:secret@", 1)
	for _, list := range []string{refused, forbidden} {
		_, err := entries(t.Context(), quick(list), "example.com/x")
		host := strings.Replace(list, "someone:secret@", "", 1)
		if err == nil || !strings.Contains(err.Error(), host) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "someone") {
			t.Errorf("got error %v, want %s in it, and no user name or password", err, host)
		}
	}
}

func TestDefaultList(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	t.Setenv("GOPROXY", " https://a.example,off ")
	if list, err := DefaultList(t.Context()); list != "https://a.example,off" || err != nil {
		t.Errorf("from the environment: got %q, error %v, want https://a.example,off", list, err)
	}
	t.Setenv("GOPROXY", "")
	if list, err := DefaultList(t.Context()); err == nil || !strings.Contains(err.Error(), "set GOPROXY") {
		t.Errorf("without a go command: got %q, error %v, want an error with set GOPROXY", list, err)
	}
	if _, err := entries(t.Context(), &Proxy{}, "example.com/x"); err == nil || !strings.Contains(err.Error(), "set GOPROXY") {
		t.Errorf("Proxy without a list: got error %v, want set GOPROXY in it", err)
	}
	if runtime.GOOS == "windows" {
		return // the fake go command is a shell script
	}
	script := "#!/bin/sh\necho \"https://$1.example/$2\"\n"
	if err := os.WriteFile(filepath.Join(dir, "go"), []byte(script), 0o777); err != nil {
		t.Fatal(err)
	}
	if list, err := DefaultList(t.Context()); list != "https://env.example/GOPROXY" || err != nil {
		t.Errorf("from the go command: got %q, error %v, want https://env.example/GOPROXY", list, err)
	}
}

// TestRealProxy reads the versions of Open Policy Agent from the proxy that this machine
// uses.
func TestRealProxy(t *testing.T) {
	var p Proxy
	began := time.Now()
	releases, err := entries(t.Context(), &p, "github.com/open-policy-agent/opa")
	var unreachable unavailable
	if _, noList := DefaultList(t.Context()); noList != nil || errors.As(err, &unreachable) {
		const missing = "missing: a reachable Go module proxy with github.com/open-policy-agent/opa"
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s: %v", missing, errors.Join(noList, err))
		}
		t.Skipf("%s: %v", missing, errors.Join(noList, err))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d versions in %v, from %s to %s", len(releases), time.Since(began).Round(time.Millisecond), releases[0].Tag, releases[len(releases)-1].Tag)
	years := map[string]int{"v0.70.0": 2024, "v1.22.2": 2026}
	for _, r := range releases {
		if year, ok := years[r.Tag]; ok && r.Upstream.Created.Year() == year && !*r.Upstream.Withdrawn {
			delete(years, r.Tag)
		}
	}
	if len(years) != 0 {
		t.Errorf("got no version with year %v, want all of them", years)
	}
}

func FuzzParseList(f *testing.F) {
	for _, seed := range []string{"https://a.example,direct", "file:///x|off", "a.example", "://", "https://u:p@a.example:x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, list string) {
		proxies, err := parseList(list)
		if (err == nil) != (len(proxies) > 0) {
			t.Fatalf("parseList(%q) = %d entries, error %v, want either entries or an error", list, len(proxies), err)
		}
		for _, p := range proxies {
			if p.base != nil && p.base.Scheme != "http" && p.base.Scheme != "https" && p.base.Scheme != "file" {
				t.Errorf("parseList(%q): got scheme %q, want http, https or file", list, p.base.Scheme)
			}
		}
	})
}
