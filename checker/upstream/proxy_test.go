package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"relcheck/checker/catalog"
)

// files are the files of a proxy by path, with slashes.
type files map[string]string

// mod adds versions of a module that have the same go.mod.
func (f files) mod(escaped, gomod string, versions ...string) files {
	f[escaped+"/@v/list"] = strings.Join(versions, "\n") + "\n"
	for i, v := range versions {
		f[escaped+"/@v/"+v+".info"] = fmt.Sprintf(`{"Version":%q,"Time":%q}`, v, day(i).Format(time.RFC3339))
		f[escaped+"/@v/"+v+".mod"] = gomod
	}
	return f
}

// day returns the date of the version at an index.
func day(i int) time.Time { return time.Date(2020, 1, 1+i, 2, 3, 4, 0, time.UTC) }

// write writes the files to a new folder and returns its file URL.
func (f files) write(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range f {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return (&url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(filepath.ToSlash(dir), "/")}).String()
}

// handler returns a handler that serves the files.
func (f files) handler(t *testing.T) http.Handler {
	t.Helper()
	u, err := url.Parse(f.write(t))
	if err != nil {
		t.Fatal(err)
	}
	return http.FileServer(http.Dir(filepath.FromSlash(u.Path)))
}

// serve starts a server that serves the files and returns its URL.
func (f files) serve(t *testing.T) string {
	t.Helper()
	return start(t, f.handler(t))
}

func start(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// deadAddress is a URL at which no server listens: the system assigns port 1 to no
// program.
const deadAddress = "http://127.0.0.1:1"

func status(code int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
}

// entries reads the entries of one module.
func entries(ctx context.Context, p *Proxy, path string) ([]catalog.Entry, error) {
	lists, err := p.Releases(ctx, path)
	if err != nil {
		return nil, err
	}
	return lists[0].Entries, nil
}

// entry returns the entry of a version at an index, retracted if there is a reason.
func entry(i int, tag, reason string) catalog.Entry {
	return catalog.Entry{Tag: tag, Upstream: catalog.Layer{Created: new(day(i)), Withdrawn: new(reason != ""), Reason: &reason}}
}

// quick returns a Proxy that hardly waits before it retries.
func quick(list string) *Proxy { return &Proxy{List: list, pause: time.Millisecond} }

const retracting = `module example.com/Foo/Bar

go 1.20

require example.com/other v1.0.0

retract (
	v1.0.1 // wrong checksums
	[v1.1.0, v1.2.0-rc.1] // crashes on start
	v1.2.0
)

// Published too early,
// sorry.
retract v1.2.1

retract v1.1.0 // licence missing

unknown directive of a later Go
`

func TestReleases(t *testing.T) {
	tree := files{}.
		mod("example.com/!foo/!bar", retracting, "v1.0.0", "v1.0.1", "v1.1.0", "v1.1.5", "v1.2.0-rc.1", "v1.2.0", "v1.2.1", "v1.3.0", "v1.4.0-beta").
		mod("example.com/old", "module example.com/old\n", "v1.0.0", "v2.0.0+incompatible", "v3.0.0-rc.1+incompatible").
		mod("example.com/older", "module example.com/older\n", "v2.0.0+incompatible").
		mod("example.com/early", "module example.com/early\nretract v0.1.0-a\n", "v0.1.0-a", "v0.1.0-b").
		mod("example.com/odd", "module example.com/odd\n// \x1b[31mred\u202e\xff\nretract v1.0.0 // l\u200bicence\u2028missing\x00\n", "v1.0.0", "v1.0.1").
		mod("example.com/undated", "module example.com/undated", "v1.0.0", "v1.0.1")
	tree["example.com/undated/@v/v1.0.0.info"] = `{"Version":"v1.0.0"}`
	tree["example.com/undated/@v/v1.0.1.info"] = `{"Version":"v1.0.1","Time":"0000-01-01T00:00:00+23:59"}`
	long := "v1.0.0-" + strings.Repeat("a", catalog.MaxTag)
	tree["example.com/mixed/@v/list"] = "v1.10.0 2020-01-02T00:00:00Z\r\n\nv1.9.0\nv0.0.0-20200101000000-0123456789ab\nv1.9.0\nv1.2\nv1.0.0+meta\nv2.0.0\nmaster\n" + long
	tree["example.com/mixed/@v/v1.9.0.info"] = `{"Version":"v1.9.0","Time":"2020-01-01T04:03:04.5+02:00","Origin":{}}`
	tree["example.com/mixed/@v/v1.10.0.info"] = `{"Version":"v1.10.0","Time":"2020-01-02T02:03:04Z"}`
	tree["example.com/mixed/@v/v1.10.0.mod"] = "module example.com/mixed"

	undated := func(tag string) catalog.Entry {
		e := entry(0, tag, "")
		e.Upstream.Created = nil
		return e
	}
	tests := map[string][]catalog.Entry{
		"example.com/Foo/Bar": {
			entry(0, "v1.0.0", ""),
			entry(1, "v1.0.1", "wrong checksums"),
			entry(2, "v1.1.0", "crashes on start; licence missing"),
			entry(3, "v1.1.5", "crashes on start"),
			entry(4, "v1.2.0-rc.1", "crashes on start"),
			entry(5, "v1.2.0", "retracted by its module"),
			entry(6, "v1.2.1", "Published too early, sorry."),
			entry(7, "v1.3.0", ""),
			entry(8, "v1.4.0-beta", ""),
		},
		"example.com/old":     {entry(0, "v1.0.0", ""), entry(1, "v2.0.0", ""), entry(2, "v3.0.0-rc.1", "")},
		"example.com/older":   {entry(0, "v2.0.0", "")},
		"example.com/early":   {entry(0, "v0.1.0-a", "retracted by its module"), entry(1, "v0.1.0-b", "")},
		"example.com/odd":     {entry(0, "v1.0.0", "[31mred licence missing"), entry(1, "v1.0.1", "")},
		"example.com/undated": {undated("v1.0.0"), undated("v1.0.1")},
		"example.com/mixed":   {entry(0, "v1.9.0", ""), entry(1, "v1.10.0", "")},
	}
	for kind, list := range map[string]string{"file": tree.write(t), "http": tree.serve(t), "http with slash": tree.serve(t) + "/"} {
		for module, want := range tests {
			t.Run(kind+" "+module, func(t *testing.T) {
				got, err := quick(list).Releases(t.Context(), module)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff([]catalog.List{{Name: "go:" + module, Whole: true, Entries: want}}, got); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
				for _, e := range got[0].Entries {
					if d := e.Upstream.Created; d != nil && d.Location() != time.UTC {
						t.Errorf("date of %s is in %v, want UTC", e.Tag, d.Location())
					}
				}
			})
		}
	}
}

func TestReleasesErrors(t *testing.T) {
	base := func() files { return files{}.mod("example.com/x", "module example.com/x", "v1.0.0", "v1.1.0") }
	with := func(name, text string) files {
		f := base()
		f["example.com/x/@v/"+name] = text
		return f
	}
	without := func(name string) files {
		f := base()
		delete(f, "example.com/x/@v/"+name)
		return f
	}
	tests := []struct {
		name string
		tree files
		want []string
	}{
		{"unknown module", files{}, []string{"read versions of module example.com/x: ", "status 404 Not Found", "check the module's path"}},
		{"no versions", with("list", ""), []string{"module example.com/x has no released versions"}},
		{"pseudo-versions only", with("list", "v0.0.0-20200101000000-0123456789ab\n"), []string{"module example.com/x has no released versions"}},
		{"page for a list", with("list", "<!DOCTYPE html>\n<p>Sign in</p>"), []string{`returned "<!DOCTYPE" instead of a list of versions`, "GOPROXY"}},
		{"long list", with("list", strings.Repeat("v1.0.0\n", maxList/7+1)), []string{"response is too long: over 16384 KB"}},
		{"no date", without("v1.0.0.info"), []string{"date of v1.0.0: ", "status 404"}},
		{"page for a date", with("v1.1.0.info", "<html>"), []string{"date of v1.1.0: ", "invalid response of the proxy"}},
		{"odd date", with("v1.1.0.info", `{"Version":"v1.1.0","Time":"today"}`), []string{"date of v1.1.0: "}},
		{"other version", with("v1.1.0.info", `{"Version":"v1.0.0","Time":"2020-01-01T00:00:00Z"}`), []string{`date of v1.1.0: the proxy returned version "v1.0.0" instead`}},
		{"long date", with("v1.1.0.info", `{"Version":"v1.1.0"}`+strings.Repeat(" ", maxInfo)), []string{"date of v1.1.0: ", "over 64 KB"}},
		{"no go.mod", without("v1.1.0.mod"), []string{"read retractions of module example.com/x: go.mod of v1.1.0: ", "status 404"}},
		{"many retractions", with("v1.1.0.mod", "module example.com/x\nretract (\n"+strings.Repeat("v1.0.0\n", 1001)+")\n"), []string{"go.mod of v1.1.0: more than 1000 retractions"}},
		{"page for a go.mod", with("v1.1.0.mod", "<html>\n(\n"), []string{"read retractions of module example.com/x: go.mod of v1.1.0:"}},
		{"long go.mod", with("v1.1.0.mod", "module example.com/x\n"+strings.Repeat("\n", maxMod)), []string{"go.mod of v1.1.0: ", "over 1024 KB"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			address := test.tree.serve(t)
			releases, err := entries(t.Context(), quick(address), "example.com/x")
			if err == nil || releases != nil {
				t.Fatalf("got %v, error %v, want no releases and an error", releases, err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got error %q, want %q in it", err, want)
				}
			}
		})
	}
	for _, path := range []string{"", "opa", "example.com/../x", "example.com/x y"} {
		if _, err := entries(t.Context(), quick(base().write(t)), path); err == nil || !strings.Contains(err.Error(), "enter the module path of its go.mod") {
			t.Errorf("module path %q: got error %v, want the module path of its go.mod in it", path, err)
		}
	}
}

func TestTooManyVersions(t *testing.T) {
	var list strings.Builder
	for i := range maxVersions {
		fmt.Fprintf(&list, "v1.0.%d\n", i)
	}
	if versions, err := parseVersions("example.com/x", list.String()); err != nil || len(versions) != maxVersions {
		t.Errorf("got %d versions, error %v, want %d", len(versions), err, maxVersions)
	}
	if _, err := parseVersions("example.com/x", list.String()+"v2.0.0+incompatible"); err == nil {
		t.Errorf("%d versions: got no error", maxVersions+1)
	}
}

// TestRequests checks that files are requested by the escaped paths of the protocol.
func TestRequests(t *testing.T) {
	var mu sync.Mutex
	requests := make(map[string]int)
	tree := files{}.mod("example.com/!foo/!bar", "module example.com/Foo/Bar", "v1.0.0", "v1.0.1-!r!c", "v2.0.0+incompatible")
	tree["example.com/!foo/!bar/@v/list"] = "v1.0.0\nv1.0.1-RC\nv2.0.0+incompatible"
	tree["example.com/!foo/!bar/@v/v1.0.1-!r!c.info"] = `{"Version":"v1.0.1-RC"}`
	tree["example.com/!foo/!bar/@v/v1.0.1-!r!c.mod"] = "module example.com/Foo/Bar\ngo 1.20\n"
	server := tree.handler(t)
	address := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		requests[r.Method+" "+r.RequestURI]++
		mu.Unlock()
		r.URL.Path = strings.TrimPrefix(r.URL.Path, "/go proxy")
		server.ServeHTTP(w, r)
	}))
	releases, err := entries(t.Context(), quick(address+"/go%20proxy/"), "example.com/Foo/Bar")
	if err != nil || len(releases) != 2 {
		t.Fatalf("got %d releases, error %v, want 2", len(releases), err)
	}
	want := make(map[string]int)
	for _, file := range []string{"@v/list", "@v/v1.0.0.info", "@v/v1.0.1-!r!c.info", "@v/v1.0.0.mod", "@v/v1.0.1-!r!c.mod", "v2/@v/list"} {
		want["GET /go%20proxy/example.com/!foo/!bar/"+file] = 1
	}
	if diff := cmp.Diff(want, requests); diff != "" {
		t.Errorf("requests, -want +got:\n%s", diff)
	}
}

func TestKnownDatesAndProgress(t *testing.T) {
	tree := files{}.mod("example.com/x", "module example.com/x\n", "v1.0.0", "v1.1.0", "v1.2.0", "v2.0.0+incompatible")
	delete(tree, "example.com/x/@v/v1.0.0.info")
	delete(tree, "example.com/x/@v/v2.0.0+incompatible.info")
	var progress []string
	p := quick(tree.write(t))
	p.Known = map[string]time.Time{"v1.0.0": day(40), "v2.0.0": day(41), "v1.1.0": {}, "v9.0.0": day(42)}
	p.Progress = func(done, total int) { progress = append(progress, fmt.Sprint(done, "/", total)) }
	got, err := entries(t.Context(), p, "example.com/x")
	if err != nil {
		t.Fatal(err)
	}
	want := []catalog.Entry{entry(40, "v1.0.0", ""), entry(1, "v1.1.0", ""), entry(2, "v1.2.0", ""), entry(41, "v2.0.0", "")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := strings.Join(progress, " "); got != "1/2 2/2" {
		t.Errorf("got progress %s, want 1/2 2/2", got)
	}
}

func TestConcurrentRequests(t *testing.T) {
	var versions []string
	for i := range 50 {
		versions = append(versions, fmt.Sprintf("v1.0.%d", i))
	}
	tree := files{}.mod("example.com/x", "module example.com/x", versions...)
	server := tree.handler(t)
	var mu sync.Mutex
	running, maxRunning := 0, 0
	address := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		running++
		maxRunning = max(maxRunning, running)
		mu.Unlock()
		time.Sleep(2 * time.Millisecond)
		server.ServeHTTP(w, r)
		mu.Lock()
		running--
		mu.Unlock()
	}))
	if _, err := entries(t.Context(), quick(address), "example.com/x"); err != nil {
		t.Fatal(err)
	}
	if maxRunning > 8 || maxRunning < 2 {
		t.Errorf("got up to %d concurrent requests, want 2 to 8", maxRunning)
	}
}

func TestCancel(t *testing.T) {
	tree := files{}.mod("example.com/x", "module example.com/x", "v1.0.0", "v1.1.0")
	server := tree.handler(t)
	for _, slow := range []string{"list", ".info", ".mod"} {
		ctx, cancel := context.WithCancel(t.Context())
		address := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, slow) {
				cancel()
				<-r.Context().Done()
				return
			}
			server.ServeHTTP(w, r)
		}))
		// The error must not blame a proxy.
		if _, err := entries(ctx, quick(address+"|"+address), "example.com/x"); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), address) {
			t.Errorf("canceled while %s was read: got error %v, want %v without a URL", slow, err, context.Canceled)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := entries(ctx, quick(tree.write(t)), "example.com/x"); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled before: got error %v, want %v", err, context.Canceled)
	}
}

// TestRetries checks that a request is retried after an error that may be temporary, but
// not if the file does not exist.
func TestRetries(t *testing.T) {
	tree := files{}.mod("example.com/x", "module example.com/x", "v1.0.0")
	server := tree.handler(t)
	tests := []struct {
		code, failures int
		wantRequests   int // for the .info
		wantErr        bool
	}{
		{503, 2, 3, false},
		{429, 2, 3, false},
		{500, 9, 3, true},
		{404, 1, 1, true},
		{403, 1, 1, true},
		{0, 2, 3, false}, // the connection is closed
	}
	for _, test := range tests {
		var requests atomic.Int32
		address := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasSuffix(r.URL.Path, ".info") {
				server.ServeHTTP(w, r)
				return
			}
			if int(requests.Add(1)) > test.failures {
				server.ServeHTTP(w, r)
			} else if test.code == 0 {
				panic(http.ErrAbortHandler)
			} else {
				w.WriteHeader(test.code)
			}
		}))
		p := quick(address)
		p.Client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // otherwise, the client itself retries
		_, err := entries(t.Context(), p, "example.com/x")
		if (err != nil) != test.wantErr || int(requests.Load()) != test.wantRequests {
			t.Errorf("status %d, %d times: got %d requests, error %v, want %d, error %t", test.code, test.failures, requests.Load(), err, test.wantRequests, test.wantErr)
		}
		if err != nil && !strings.Contains(err.Error(), "date of v1.0.0: "+address) {
			t.Errorf("got error %q, want the version and the proxy in it", err)
		}
	}
}

func TestReason(t *testing.T) {
	rs := retractions{
		{VersionInterval: modfile.VersionInterval{Low: "v1.0.0", High: "v1.9.0"}, Rationale: "\x1b[31mred\u202e\n\n\u2028 ta\u200bpe\xff"},
		{VersionInterval: modfile.VersionInterval{Low: "v1.5.0", High: "v1.5.0"}, Rationale: strings.Repeat("ü", 600)},
		{VersionInterval: modfile.VersionInterval{Low: "v1.6.0", High: "v1.6.0"}, Rationale: "\n"},
	}
	for version, want := range map[string]string{
		"v0.9.0": "", "v1.0.0": "[31mred tape", "v1.9.0": "[31mred tape", "v1.9.1-rc.1": "", "v1.6.0": "[31mred tape",
		"v1.5.0": "[31mred tape; " + strings.Repeat("ü", 497-len("[31mred tape; ")) + "...",
	} {
		if got := rs.reason(version); got != want {
			t.Errorf("reason(%s) = %q, want %q", version, got, want)
		}
	}
}

func FuzzParseVersions(f *testing.F) {
	for _, seed := range []string{"v1.0.0\nv1.1.0-rc.1 2020-01-01T00:00:00Z\n", "v2.0.0+incompatible\r\nv2.0.0", "<html>", "\x00\xff", "v0.0.0-20200101000000-0123456789ab"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, list string) {
		versions, _ := parseVersions("example.com/x", list)
		for i, v := range versions {
			if module.Check("example.com/x", v) != nil || catalog.CheckTag(v) != nil {
				t.Errorf("got invalid version %q", v)
			}
			if i > 0 && (semver.Compare(versions[i-1], v) > 0 || versions[i-1] == v) {
				t.Errorf("got version %q after %q, want ascending order", v, versions[i-1])
			}
		}
	})
}
