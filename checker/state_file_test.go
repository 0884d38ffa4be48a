package checker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
)

const absentLast = "absent"

// dayService is a transport without a network. It answers with a day and keeps the reports.
type dayService struct {
	mu     sync.Mutex
	day    string
	bodies []string
}

func (s *dayService) RoundTrip(r *http.Request) (*http.Response, error) {
	var body strings.Builder
	if err := r.Write(&body); err != nil {
		return nil, err
	}
	_, text, _ := strings.Cut(body.String(), "\r\n\r\n")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bodies = append(s.bodies, text)
	return respond(answerOf(s.day)), nil
}

func answerOf(day string) string {
	return fmt.Sprintf(`{"latest":{"latest_release":"v9.0.0"},"day":%q}`, day)
}

// lastOf returns the member last of a report's body as it was sent, or absentLast.
func lastOf(t *testing.T, body string) string {
	t.Helper()
	var report struct {
		Last json.RawMessage `json:"last"`
	}
	if err := json.Unmarshal([]byte(body), &report); err != nil {
		t.Fatalf("body %q: %v", body, err)
	}
	if report.Last == nil {
		return absentLast
	}
	return string(report.Last)
}

// check sends a report, which is answered with day, and returns its last. A preview must
// have shown it.
func (s *dayService) check(t *testing.T, c *Client, day string) string {
	t.Helper()
	c.Transport = s
	s.day = day
	before := snapshot(t, filepath.Dir(c.StateFile))
	preview, err := c.Preview()
	if err != nil {
		t.Fatal(err)
	}
	if after := snapshot(t, filepath.Dir(c.StateFile)); !maps.Equal(before, after) {
		t.Errorf("Preview changed files:\n%v\nbefore:\n%v", after, before)
	}
	if _, err := c.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, previewed, _ := strings.Cut(preview, "\r\n\r\n")
	last := lastOf(t, s.bodies[len(s.bodies)-1])
	if shown := lastOf(t, previewed); shown != last {
		t.Errorf("last = %s, preview shows %s", last, shown)
	}
	return last
}

// snapshot returns the contents of the files below a folder, by path.
func snapshot(t *testing.T, folder string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // there is no folder
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text := ""
		if info.Mode().IsRegular() {
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			b, err := io.ReadAll(io.LimitReader(f, 2*maxState))
			if err != nil {
				return err
			}
			text = string(b)
		}
		files[path] = fmt.Sprintf("%v %q", info.Mode(), text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func stateClient(path string) *Client {
	return &Client{Product: "foo", Version: "1.0.0", Platform: Platform{"linux", "amd64"}, URL: "https://example.com", StateFile: path}
}

// TestStateFile sends reports of one installation on several days.
func TestStateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	s := &dayService{}
	c := stateClient(path)
	for i, step := range []struct{ last, day, stored string }{
		{"null", "", "never"}, // not recorded
		{"null", "2026-11-28", "2026-11-28"},
		{`"2026-11-28"`, "2026-11-28", "2026-11-28"},
		{`"2026-11-28"`, "", "2026-11-28"},
		{`"2026-11-28"`, "2026-11-27", "2026-11-28"}, // by another server, around midnight
		{`"2026-11-28"`, "2026-11-29", "2026-11-29"},
		{`"2026-11-29"`, "2026-11-28", "2026-11-29"},
		{`"2026-11-29"`, "2026-11-27", "2026-11-27"}, // the service's clock was wrong
		{`"2026-11-27"`, "2027-01-01", "2027-01-01"},
		{`"2027-01-01"`, "9999-12-31", "9999-12-31"},
		{`"9999-12-31"`, "2027-01-02", "2027-01-02"},
		{`"2027-01-02"`, "1970-01-01", "2027-01-02"}, // not a day that can be sent
		{`"2027-01-02"`, "2027-1-3", "2027-01-02"},
		{`"2027-01-02"`, "2027-02-29", "2027-01-02"},
		{`"2027-01-02"`, "2027-01-03 example.com/p/bar\n2027-01-03", "2027-01-02"},
		{`"2027-01-02"`, strings.Repeat("9", 1000), "2027-01-02"},
	} {
		if last := s.check(t, c, step.day); last != step.last {
			t.Errorf("report %d: last = %s, want %s", i, last, step.last)
		}
		got, err := os.ReadFile(path)
		if want := step.stored + " example.com/p/foo\n"; string(got) != want {
			t.Errorf("report %d: stored %q (error %v), want %q", i, got, err, want)
		}
	}
	files := slices.Sorted(maps.Keys(snapshot(t, filepath.Dir(path))))
	if want := []string{filepath.Dir(path), path, path + ".lock"}; !slices.Equal(files, want) {
		t.Errorf("files %q, want %q", files, want)
	}
	for _, name := range files[1:] {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v (error %v), want readable by its owner only", name, info.Mode(), err)
		}
	}
}

// TestStateFileLost removes the file, and empties it.
func TestStateFileLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	s := &dayService{}
	c := stateClient(path)
	for _, lose := range []func() error{
		func() error { return nil },
		func() error { return os.Remove(path) },
		func() error { return os.Truncate(path, 0) },
		func() error { return errors.Join(os.Remove(path), os.Remove(path+".lock")) },
	} {
		if err := lose(); err != nil {
			t.Fatal(err)
		}
		first, second := s.check(t, c, "2026-11-28"), s.check(t, c, "2026-11-28")
		if first != "null" || second != `"2026-11-28"` {
			t.Errorf("last = %s and then %s, want null and then the day", first, second)
		}
	}
}

// TestStateFileShared uses one file for several products and services. Each has a day of
// its own.
func TestStateFileShared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	s := &dayService{}
	for _, test := range []struct{ product, channel, url, last string }{
		{"foo", "", "https://example.com", "null"},
		{"bar", "", "https://example.com", "null"},
		{"foo", "", "https://example.org", "null"},
		{"foo", "", "https://example.com/base", "null"},
		{"opa", "", "https://example.com", "null"},
		{"foo", "", "https://example.com:8443", "null"},
		{"foo", "", "https://example.com", `"2026-11-28"`},
		{"foo", "lts", "https://Example.com", `"2026-11-28"`},
		{"foo", "", "http://user:secret@example.com:80/p/foo@lts/as/1.0.0/linux-amd64/v1/version/", `"2026-11-28"`},
		{"opa", "", "https://example.com/p/opa", `"2026-11-28"`},
		{"opa", "", "https://example.com/v1/version", `"2026-11-28"`},
		{"foo", "", "https://example.com:8443/", `"2026-11-28"`},
	} {
		c := stateClient(path)
		c.Product, c.Channel, c.URL = test.product, test.channel, test.url
		if last := s.check(t, c, "2026-11-28"); last != test.last {
			t.Errorf("%s at %s: last = %s, want %s", test.product, test.url, last, test.last)
		}
	}
	got, _ := os.ReadFile(path)
	want := `2026-11-28 example.com/base/p/foo
2026-11-28 example.com/p/bar
2026-11-28 example.com/p/foo
2026-11-28 example.com/p/opa
2026-11-28 example.com:8443/p/foo
2026-11-28 example.org/p/foo
`
	if string(got) != want {
		t.Errorf("stored:\n%swant:\n%s", got, want)
	}
}

// othersFiles returns functions that make something that is not a state file, or that cannot
// be locked or replaced.
func othersFiles() map[string]func(path string) error {
	const old = "2026-11-01 example.com/p/foo\n"
	write := func(path, text string) error { return os.WriteFile(path, []byte(text), 0o600) }
	folder := func(path string) error { return os.Mkdir(path, 0o700) }
	withFile := func(others ...func(path string) error) func(string) error {
		return func(path string) error {
			err := write(path, old)
			for _, f := range others {
				err = errors.Join(err, f(path))
			}
			return err
		}
	}
	link := func(from, to string) func(string) error {
		return func(path string) error { return os.Symlink(path+to, path+from) }
	}
	files := map[string]func(path string) error{
		"folder":                  folder,
		"huge":                    withFile(func(path string) error { return os.Truncate(path, 1<<40) }),
		"link":                    withFile(func(path string) error { return os.Rename(path, path+".real") }, link("", ".real")),
		"dangling link":           link("", ".real"),
		"link to a device":        func(path string) error { return os.Symlink("/dev/zero", path) },
		"lock is a folder":        withFile(func(path string) error { return folder(path + ".lock") }),
		"lock is a link":          withFile(func(path string) error { return write(path+".real", "") }, link(".lock", ".real")),
		"lock is a dangling link": withFile(link(".lock", ".real")),
		"cannot write": withFile(
			func(path string) error { return folder(path + ".new") },
			func(path string) error { return write(path+".new/x", "") }),
	}
	for name, text := range map[string]string{
		"text":           "Dear diary,\n2026-11-28 was a Saturday.\n",
		"binary":         "\x7fELF\x02\x01\x01\x00" + strings.Repeat("\x00\xff", 100),
		"zeros":          strings.Repeat("\x00", 100),
		"date only":      "2026-11-28\n",
		"no service":     "2026-11-28 \n",
		"empty line":     "\n" + old,
		"day 0":          "1970-01-01 example.com/p/foo\n",
		"no such day":    "2026-02-30 example.com/p/foo\n",
		"one wrong line": old + "yesterday example.com/p/bar\n",
		"no space":       "2026-11-28 " + strings.Repeat("x", maxState-20) + "\n",
		"too long":       strings.Repeat("2026-11-01 abcde\n", 1000),
	} {
		files[name] = func(path string) error { return write(path, text) }
	}
	return files
}

// TestOthersFiles sends reports with files that cannot be used. They are sent without
// last, and the files stay as they are.
func TestOthersFiles(t *testing.T) {
	files := othersFiles()
	addPipes(files)
	for name, prepare := range files {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			path := filepath.Join(folder, "state")
			if err := prepare(path); err != nil {
				if os.Getenv("CI") == "true" {
					t.Fatalf("missing: a system on which this file can be made: %v", err)
				}
				t.Skipf("missing: a system on which this file can be made: %v", err)
			}
			before := snapshot(t, folder)
			checkForgets(t, path)
			after := snapshot(t, folder)
			if _, existed := before[path+".lock"]; !existed {
				delete(after, path+".lock")
			}
			if !maps.Equal(before, after) {
				t.Errorf("files:\n%v\nbefore:\n%v", after, before)
			}
		})
	}
}

// checkForgets checks that reports with a state file are sent without last.
func checkForgets(t *testing.T, path string) {
	t.Helper()
	s := &dayService{}
	for range 2 {
		if last := s.check(t, stateClient(path), "2026-11-28"); last != absentLast {
			t.Errorf("last = %s, want none", last)
		}
	}
}

func TestUnusableFolder(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", filepath.Join(folder, "missing", "state"), filepath.Join(file, "state"), "/proc/self/state", "nul\x00byte", strings.Repeat("x", 300)} {
		checkForgets(t, path)
	}
}

// TestStateFileLocked sends reports while another client reports.
func TestStateFileLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	c := stateClient(path)
	inner := &dayService{}
	var once sync.Once
	c.Transport = memory(func(r *http.Request) (*http.Response, error) {
		once.Do(func() {
			for range 2 {
				if last := inner.check(t, stateClient(path), "2026-11-28"); last != absentLast {
					t.Errorf("while another client reports: last = %s, want none", last)
				}
			}
		})
		return respond(answerOf("2026-11-29")), nil
	})
	if _, err := c.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if last := inner.check(t, stateClient(path), "2026-11-29"); last != `"2026-11-29"` {
		t.Errorf("after the other client's report: last = %s", last)
	}
}

// TestStateFileIsReplaced keeps the former file under a second name. The client replaces
// the file as a whole, so the former one does not change.
func TestStateFileIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	s := &dayService{}
	s.check(t, stateClient(path), "2026-11-28")
	former := filepath.Join(t.TempDir(), "former")
	if err := os.Link(path, former); err != nil {
		t.Fatal(err)
	}
	s.check(t, stateClient(path), "2026-11-30")
	got, err := os.ReadFile(former)
	if want := "2026-11-28 example.com/p/foo\n"; err != nil || string(got) != want {
		t.Errorf("the former file has %q (error %v), want %q", got, err, want)
	}
}

// TestUnstoredDays gives answers that must not be stored.
func TestUnstoredDays(t *testing.T) {
	const body = `{"latest":{"latest_release":"v9.0.0"},"day":"2026-11-28"}`
	response := func(status string, body string) func(net.Conn) {
		return reply(fmt.Sprintf("HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body))
	}
	for name, handle := range map[string]func(net.Conn){
		"503":             response("503 No", body),
		"507":             response("507 No", body),
		"201":             response("201 Created", body),
		"truncated":       reply(strings.TrimSuffix(ok(body), "}")),
		"too long":        response("200 OK", strings.Repeat(" ", maxAnswer)+body),
		"redirect away":   reply("HTTP/1.1 307 Go\r\nLocation: http://elsewhere.invalid/\r\nContent-Length: 0\r\n\r\n"),
		"invalid release": response("200 OK", strings.Replace(body, "v9", "v 9", 1)),
		"no day":          reply(ok(newer)),
		"day is a number": response("200 OK", strings.Replace(body, `"2026-11-28"`, "20261128", 1)),
		"hangs up":        func(net.Conn) {},
	} {
		t.Run(name, func(t *testing.T) {
			harmless(t)
			c := stateClient(filepath.Join(t.TempDir(), "state"))
			c.URL = serve(t, handle).url
			c.Check(t.Context())
			if last := peekStateFile(c.StateFile, serviceName(mustEndpoint(t, c))); last != NeverAnswered {
				t.Errorf("stored %v, want nothing", last)
			}
		})
	}
}

func mustEndpoint(t *testing.T, c *Client) *url.URL {
	t.Helper()
	u, err := c.endpoint()
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestStateFileRedirected redirects a report. Both requests have the same last.
func TestStateFileRedirected(t *testing.T) {
	c := stateClient(filepath.Join(t.TempDir(), "state"))
	var lasts []string
	c.Transport = memory(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		lasts = append(lasts, lastOf(t, string(body)))
		if len(lasts)%2 == 1 {
			return &http.Response{StatusCode: http.StatusPermanentRedirect, Body: http.NoBody, Header: http.Header{"Location": {"/elsewhere"}}}, nil
		}
		return respond(answerOf("2026-11-28")), nil
	})
	for range 2 {
		if _, err := c.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"null", "null", `"2026-11-28"`, `"2026-11-28"`}; !slices.Equal(lasts, want) {
		t.Errorf("last = %s, want %s", lasts, want)
	}
}

// TestAnonymous checks which reports have an instance ID.
func TestAnonymous(t *testing.T) {
	idOf := func(s *dayService, i int) uuid.UUID {
		var report Report
		if err := json.Unmarshal([]byte(s.bodies[i]), &report); err != nil {
			t.Fatal(err)
		}
		return report.ID
	}
	c := stateClient(filepath.Join(t.TempDir(), "state"))
	s := &dayService{}
	s.check(t, c, "2026-11-28")
	c.Anonymous = true
	s.check(t, c, "2026-11-28")
	c.StateFile = ""
	s.check(t, c, "2026-11-28")
	s.check(t, c, "2026-11-28")
	if id := idOf(s, 0); id != processID() {
		t.Errorf("ID = %v, want the process's", id)
	}
	if strings.Contains(s.bodies[1], `"id"`) {
		t.Errorf("an anonymous client sent an ID: %s", s.bodies[1])
	}
	one, two := idOf(s, 2), idOf(s, 3)
	if one == two || one == processID() || two == processID() || one.Version() != 4 || two.Version() != 4 {
		t.Errorf("anonymous reports without a file have the IDs %v and %v, want two random ones", one, two)
	}
}

// TestStartWithStateFile runs clients for 40 days. The service's day is the day that has
// passed in the test.
func TestStartWithStateFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "state")
		counted := map[string]int{} // reports that count as the first of their day, by day
		log := &records{}
		ctx, cancel := context.WithCancel(t.Context())
		for range 3 { // processes of one installation
			c := stateClient(path)
			c.Logger = slog.New(log)
			c.Transport = memory(func(r *http.Request) (*http.Response, error) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					return nil, err
				}
				day := time.Now().UTC().Format(time.DateOnly)
				if last := lastOf(t, string(body)); last != absentLast && last != `"`+day+`"` {
					counted[day]++
				}
				time.Sleep(time.Second)
				return respond(answerOf(day)), nil
			})
			c.Start(ctx)
		}
		time.Sleep(40 * 24 * time.Hour)
		cancel()
		synctest.Wait()
		if len(counted) < 40 || slices.Max(slices.Collect(maps.Values(counted))) != 1 {
			t.Errorf("firsts of a day: %v, want one on each of 40 days", counted)
		}
		if got := log.messages(t); got["version reported"] < 500 || got["state file not used"] == 0 {
			t.Errorf("logged %v, want reports and locks", got)
		}
	})
}

func FuzzStateFile(f *testing.F) {
	f.Add([]byte("2026-11-28 example.com/p/foo\n"))
	f.Add([]byte("never example.com/p/foo\r\n2026-11-28 [fe80::1%a b]:8443/base/p/opa"))
	f.Add([]byte("2026-11-28\n\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		days, err := parseState(text)
		if err != nil {
			if days != nil {
				t.Errorf("%q: days %v with error %v", text, days, err)
			}
			return
		}
		for service, last := range days {
			if last != NeverAnswered && !last.Known() || strings.ContainsAny(service, "\n") || service == "" {
				t.Errorf("%q: day %d of %q", text, last, service)
			}
		}
		encoded, err := days.encode()
		if err != nil {
			return // a line break at the end was missing
		}
		again, err := parseState([]byte(encoded))
		if err != nil || !maps.Equal(days, again) {
			t.Errorf("%q: days %v, and %v after encoding (error %v)", text, days, again, err)
		}
	})
}
