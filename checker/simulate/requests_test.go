package simulate

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"relcheck/checker"
	"relcheck/checker/useragent"
)

var service = &url.URL{Scheme: "http", Host: "releases.example.com:8080", Path: "/below/"}

// firstN returns the first n requests of a sequence.
func firstN(n int, all iter.Seq[Request]) (first []Request) {
	for r := range all {
		r.Bytes = slices.Clone(r.Bytes)
		if first = append(first, r); len(first) == n {
			break
		}
	}
	return first
}

func sameRequests(a, b []Request) bool {
	return slices.EqualFunc(a, b, func(a, b Request) bool {
		return bytes.Equal(a.Bytes, b.Bytes) && a.ID == b.ID && a.Build == b.Build && a.Number == b.Number
	})
}

// The same seed must produce the same requests in the same order, and another seed others.
func TestSeed(t *testing.T) {
	const n = 40_000 // more than a week of 1,000 instances
	reports := func(seed uint64) []Request { return firstN(n, Reports(seed, 1000, nil, "opa", service)) }
	replay := func(seed uint64) []Request {
		return firstN(n, Replay(captures(t), seed, 1000, service))
	}
	for name, source := range map[string]func(uint64) []Request{"reports": reports, "replay": replay} {
		if !sameRequests(source(7), source(7)) {
			t.Errorf("%s: got two sequences for one seed, want one", name)
		}
		if sameRequests(source(7)[:10], source(8)[:10]) {
			t.Errorf("%s: got one sequence for two seeds, want two", name)
		}
	}
}

// Reports must generate the requests of a real client. That a real server
// accepts them is tested elsewhere.
func TestReports(t *testing.T) {
	ids, numbers := map[int64]uuid.UUID{}, map[uuid.UUID]int64{}
	platforms := map[string]int{}
	for _, request := range firstN(30_000, Reports(1, 1000, nil, "myapp", service)) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(request.Bytes)))
		if err != nil {
			t.Fatalf("%v\n%s", err, request.Bytes)
		}
		var report checker.Report
		d := json.NewDecoder(r.Body)
		d.DisallowUnknownFields()
		if err := d.Decode(&report); err != nil {
			t.Fatalf("%v\n%s", err, request.Bytes)
		}
		version, platform := useragent.Parse(r.UserAgent())
		if report.ID != request.ID || report.Version != request.Build.Version || version != request.Build.Version || platform != request.Build.Platform || !checker.ValidVersion(version) {
			t.Fatalf("got a request with other contents than %+v:\n%s", request, request.Bytes)
		}
		if r.Method != "POST" || r.URL.Path != "/below/p/myapp/v1/version" || r.Host != service.Host {
			t.Fatalf("got\n%s\nwant POST /below/p/myapp/v1/version for host %s", request.Bytes, service.Host)
		}
		if id, known := ids[request.Number]; known && id != request.ID {
			t.Fatalf("got number %d for %s and %s, want it for one of them", request.Number, id, request.ID)
		}
		if n, known := numbers[request.ID]; known && n != request.Number {
			t.Fatalf("got numbers %d and %d for %s, want one", n, request.Number, request.ID)
		}
		ids[request.Number], numbers[request.ID] = request.ID, request.Number
		platforms[platform.String()]++
	}
	if n, most := int64(len(ids)), slices.Max(slices.Collect(maps.Keys(ids))); most > n+n/10+10 {
		t.Errorf("got numbers up to %d for %d instances, want at most %d", most, n, n+n/10+10)
	}
	if len(platforms) < 5 || platforms["linux/amd64"] < 10_000 {
		t.Errorf("got platforms %v, want at least 5, and linux/amd64 at least 10000 times", platforms)
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

// Replay may change only the address of a captured request and the instance ID.
func TestReplay(t *testing.T) {
	names := captureFiles(t)
	root := &url.URL{Scheme: "http", Host: "127.0.0.1:9955"} // the host in the captures
	own := firstN(2*len(names), Replay(captures(t), 1, 2*len(names), root))
	uuids := regexp.MustCompile(`\w{8}(-\w{4}){3}-\w{12}`)
	seen := map[uuid.UUID]bool{}
	for i, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want := normalize(t, raw)
		for _, r := range []Request{own[i], own[i+len(names)]} {
			if strings.HasPrefix(want, "GET") {
				if r.ID != uuid.Nil || normalize(t, r.Bytes) != want {
					t.Errorf("%s: got\n%s\nwant\n%s", name, r.Bytes, want)
				}
				continue
			}
			if seen[r.ID] || r.ID.Version() != 4 || r.ID.Variant() != uuid.RFC4122 {
				t.Errorf("%s: got instance ID %s, want a new random UUID", name, r.ID)
			}
			seen[r.ID] = true
			if got := strings.Replace(normalize(t, r.Bytes), r.ID.String(), uuids.FindString(want), 1); got != want {
				t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
			}
		}
	}
	if len(seen) != 6 {
		t.Errorf("got %d instance IDs, want 6: three of the captures are reports, and each is sent twice", len(seen))
	}
}

// normalize parses a request and writes it in the format of net/http.
func normalize(t *testing.T, raw []byte) string {
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

// ReadCapture must refuse what is not a request or cannot be replayed, and must leave out
// the fields of the header that describe the connection or the length of the body.
func TestReadCapture(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "not an HTTP request",
		"hello":                              "not an HTTP request",
		"{\"id\": 1}\n":                      "not an HTTP request",
		"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n": "cannot replay a HEAD request",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhi":            "captured body is incomplete",
		"POST / HTTP/1.1\r\nHost: a\r\n\r\n" + strings.Repeat("a", maxCapture): "larger than 1 MB",
	} {
		if _, err := ReadCapture(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got error %v, want %q", text, err, want)
		}
	}
	c, err := ReadCapture(strings.NewReader("POST /v1/version?a=b HTTP/1.1\r\nhost: a\r\nUser-agent: x/1.0 (linux, arm64)\r\nConnection: close\r\nX: y\r\n" +
		"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := string(firstN(1, Replay([]Capture{c}, 1, 1, service))[0].Bytes)
	want := "POST /below/v1/version?a=b HTTP/1.1\r\nHost: releases.example.com:8080\r\nUser-agent: x/1.0 (linux, arm64)\r\nX: y\r\nContent-Length: 2\r\n\r\n{}"
	if got != want || c.build.Version != "1.0" || c.build.Arch != "arm64" {
		t.Errorf("got\n%s\nwant\n%s\ngot build %v, want 1.0 on arm64", got, want, c.build)
	}
}

// Replay must produce exactly one valid request from each capture that ReadCapture accepts.
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
		sent := bufio.NewReader(bytes.NewReader(firstN(1, Replay([]Capture{c}, 1, 1, service))[0].Bytes))
		r, err := http.ReadRequest(sent)
		if err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		if body, err := io.ReadAll(r.Body); err != nil || len(body) != len(c.body) || sent.Buffered() > 0 {
			t.Errorf("%q: got error %v, a body of %d bytes and %d extra bytes, want a body of %d bytes", raw, err, len(body), sent.Buffered(), len(c.body))
		}
	})
}
