package simulate

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"iter"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"relcheck/checker"
)

var service = &url.URL{Scheme: "http", Host: "releases.example.com:8080", Path: "/below/"}

// take returns the first requests.
func take(n int, all iter.Seq[Request]) (some []Request) {
	for r := range all {
		r.Bytes = slices.Clone(r.Bytes)
		if some = append(some, r); len(some) == n {
			break
		}
	}
	return some
}

func sameRequests(a, b []Request) bool {
	return slices.EqualFunc(a, b, func(a, b Request) bool {
		return bytes.Equal(a.Bytes, b.Bytes) && a.ID == b.ID && a.Build == b.Build && a.Number == b.Number
	})
}

// The same seed makes the same requests in the same order, another one others.
func TestSameSeed(t *testing.T) {
	const n = 40_000 // more than a week of 1,000 instances
	reports := func(seed uint64) []Request { return take(n, Reports(seed, 1000, nil, "opa", service)) }
	replay := func(seed uint64) []Request {
		return take(n, Replay(captures(t), seed, 1000, false, service))
	}
	for name, source := range map[string]func(uint64) []Request{"reports": reports, "replay": replay} {
		if !sameRequests(source(7), source(7)) {
			t.Errorf("%s: two sequences for one seed", name)
		}
		if sameRequests(source(7)[:10], source(8)[:10]) {
			t.Errorf("%s: one sequence for two seeds", name)
		}
	}
}

// What is made up is what a real client would send: the server's own words for it
// are package server's business, and are tested with a real one.
func TestReportsAreWellFormed(t *testing.T) {
	numbers, ids := map[int64]uuid.UUID{}, map[uuid.UUID]int64{}
	platforms := map[string]int{}
	for _, made := range take(30_000, Reports(1, 1000, nil, "myapp", service)) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(made.Bytes)))
		if err != nil {
			t.Fatalf("%v\n%s", err, made.Bytes)
		}
		var report checker.Report
		d := json.NewDecoder(r.Body)
		d.DisallowUnknownFields()
		if err := d.Decode(&report); err != nil {
			t.Fatalf("%v\n%s", err, made.Bytes)
		}
		version, platform := checker.ParseUserAgent(r.UserAgent())
		if report.ID != made.ID || report.Version != made.Build.Version || version != made.Build.Version || platform != made.Build.Platform || !checker.ValidVersion(version) {
			t.Fatalf("%+v is sent as\n%s", made, made.Bytes)
		}
		if r.Method != "POST" || r.URL.Path != "/below/p/myapp/v1/version" || r.Host != service.Host {
			t.Fatalf("%s", made.Bytes)
		}
		if id, known := numbers[made.Number]; known && id != made.ID {
			t.Fatalf("%s and %s have one number", id, made.ID)
		}
		if n, known := ids[made.ID]; known && n != made.Number {
			t.Fatalf("%s has two numbers", made.ID)
		}
		numbers[made.Number], ids[made.ID] = made.ID, made.Number
		platforms[platform.String()]++
	}
	if n := int64(len(numbers)); slices.Max(slices.Collect(keys(numbers))) > n+n/10+10 {
		t.Errorf("%d ids have numbers up to %d", n, slices.Max(slices.Collect(keys(numbers))))
	}
	if len(platforms) < 5 || platforms["linux/amd64"] < 10_000 {
		t.Errorf("platforms are %v", platforms)
	}
}

func keys[K comparable, V any](m map[K]V) iter.Seq[K] {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func captures(t testing.TB) (all []Capture) {
	t.Helper()
	for _, name := range captureFiles(t) {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		c, err := ReadCapture(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

func captureFiles(t testing.TB) []string {
	t.Helper()
	names, err := filepath.Glob("../server/testdata/captures/*.http")
	if err != nil || len(names) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	return names
}

// Captures are sent as they came, but for where to and, unless told otherwise,
// whose they are.
func TestReplay(t *testing.T) {
	names := captureFiles(t)
	root := &url.URL{Scheme: "http", Host: "127.0.0.1:9955"} // where they were captured
	kept := take(len(names), Replay(captures(t), 1, 100, true, root))
	own := take(2*len(names), Replay(captures(t), 1, 2*len(names), false, root))
	seen := map[uuid.UUID]bool{}
	for i, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want, got := parse(t, raw), parse(t, kept[i].Bytes)
		if got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
		for _, r := range []Request{own[i], own[i+len(names)]} {
			if strings.HasPrefix(want, "GET") {
				if r.ID != uuid.Nil || parse(t, r.Bytes) != want {
					t.Errorf("%s: got\n%s\nwant\n%s", name, r.Bytes, want)
				}
				continue
			}
			if seen[r.ID] || r.ID.Version() != 4 || r.ID.Variant() != uuid.RFC4122 {
				t.Errorf("%s: %s is no id of its own", name, r.ID)
			}
			seen[r.ID] = true
			if got := strings.Replace(parse(t, r.Bytes), r.ID.String(), kept[i].ID.String(), 1); got != want {
				t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
			}
		}
	}
	if len(seen) != 6 {
		t.Errorf("%d ids of three captures that report, each sent twice", len(seen))
	}
}

// parse writes a request the one way, whatever way it is written.
func parse(t *testing.T, raw []byte) string {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What is no request, or cannot be repeated, is refused. Lengths and connections
// are up to whoever sends.
func TestReadCapture(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "not an HTTP request",
		"hello":                              "not an HTTP request",
		"{\"id\": 1}\n":                      "not an HTTP request",
		"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n": "HEAD requests cannot be repeated",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhi":            "ends early",
		"POST / HTTP/1.1\r\nHost: a\r\n\r\n" + strings.Repeat("a", maxCapture): "larger than 1 MB",
	} {
		if _, err := ReadCapture(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
	c, err := ReadCapture(strings.NewReader("POST /v1/version?a=b HTTP/1.1\r\nhost: a\r\nUser-agent: x/1.0 (linux, arm64)\r\nConnection: close\r\nX: y\r\n" +
		"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := string(take(1, Replay([]Capture{c}, 1, 1, false, service))[0].Bytes)
	want := "POST /below/v1/version?a=b HTTP/1.1\r\nHost: releases.example.com:8080\r\nUser-agent: x/1.0 (linux, arm64)\r\nX: y\r\nContent-Length: 2\r\n\r\n{}"
	if got != want || c.build.Version != "1.0" || c.build.Arch != "arm64" {
		t.Errorf("got\n%s\nwant\n%s\nbuild %v", got, want, c.build)
	}
}

// A capture that is accepted can be sent as one request.
func FuzzReadCapture(f *testing.F) {
	for _, name := range captureFiles(f) {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := ReadCapture(bytes.NewReader(raw))
		if err != nil {
			return
		}
		sent := bufio.NewReader(bytes.NewReader(take(1, Replay([]Capture{c}, 1, 1, false, service))[0].Bytes))
		r, err := http.ReadRequest(sent)
		if err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		if body, err := io.ReadAll(r.Body); err != nil || len(body) != len(c.body) || sent.Buffered() > 0 {
			t.Errorf("%q: %v, a body of %d bytes that had %d, and %d more", raw, err, len(body), len(c.body), sent.Buffered())
		}
	})
}
