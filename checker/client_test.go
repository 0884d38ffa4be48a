package checker

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
)

// TestMain removes the environment variables that affect clients and replaces the
// name server by one that never answers.
func TestMain(m *testing.M) {
	silenceNames()
	for _, name := range []string{"DO_NOT_TRACK", "OPA_DISABLE_TELEMETRY", "OPA_TELEMETRY_SERVICE_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY"} {
		os.Unsetenv(name)
	}
	os.Exit(m.Run())
}

// TestGolden compares requests, byte by byte, to the privacy document and to what the
// client's fields StateFile and Anonymous say. If it fails because a header or a field was
// added, the addition is wrong.
func TestGolden(t *testing.T) {
	const rest = `"version":"0.70.0","heap_usage_bytes":"HEAP"`
	for name, test := range map[string]struct {
		state, anonymous bool
		bodies           [2]string // of two reports
	}{
		"default":             {false, false, [2]string{`{"id":"ID",` + rest + `}`, `{"id":"ID",` + rest + `}`}},
		"state":               {true, false, [2]string{`{"id":"ID",` + rest + `,"last":null}`, `{"id":"ID",` + rest + `,"last":"2026-11-28"}`}},
		"state, anonymous":    {true, true, [2]string{`{` + rest + `,"last":null}`, `{` + rest + `,"last":"2026-11-28"}`}},
		"no state, anonymous": {false, true, [2]string{`{"id":"ID",` + rest + `}`, `{"id":"ID",` + rest + `}`}},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			sent := make(chan []byte, 1)
			s := serve(t, func(conn net.Conn) {
				raw, _ := readRequest(conn)
				io.WriteString(conn, ok(strings.TrimSuffix(newer, "}")+`,"day":"2026-11-28"}`))
				rest, _ := io.ReadAll(conn)
				sent <- append(raw, rest...)
			})
			c := &Client{Product: "opa", Version: "0.70.0", Platform: Platform{"linux", "amd64"}, URL: s.url, Anonymous: test.anonymous}
			if test.state {
				c.StateFile = filepath.Join(t.TempDir(), "state")
			}
			for _, body := range test.bodies {
				answer, err := c.Check(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if want := "https://example.com/opa"; answer.Latest.Download != want || answer.Latest.LatestRelease != "v9.0.0" {
					t.Errorf("answer = %+v", answer)
				}
				checkGolden(t, string(<-sent), s.url, body)
			}
		})
	}
}

// checkGolden compares a request to a service. ID and HEAP in the body that is wanted stand
// for any valid value.
func checkGolden(t *testing.T, got, service, body string) {
	t.Helper()
	if id := regexp.MustCompile(`"id":"([^"]*)"`).FindStringSubmatch(got); id != nil {
		if u, err := uuid.Parse(id[1]); err != nil || u.Version() != 4 || u.Variant() != uuid.RFC4122 {
			t.Errorf("id %q is not a random UUID: %v", id[1], err)
		}
		body = strings.Replace(body, "ID", id[1], 1)
	}
	if heap := regexp.MustCompile(`"heap_usage_bytes":"(\d+)"`).FindStringSubmatch(got); heap != nil {
		body = strings.Replace(body, "HEAP", heap[1], 1)
	}
	want := "POST /v1/version HTTP/1.1\r\n" +
		"Host: " + strings.TrimPrefix(service, "http://") + "\r\n" +
		"User-Agent: Open Policy Agent/0.70.0 (linux, amd64)\r\n" +
		"Connection: close\r\n" +
		"Content-Length: " + strconv.Itoa(len(body)) + "\r\n" +
		"Content-Type: application/json\r\n" +
		"\r\n" + body
	if got != want {
		t.Errorf("sent:\n%s\nwant:\n%s", got, want)
	}
}

// TestPreview compares the preview to the request that is sent, and tests that it sends
// nothing.
func TestPreview(t *testing.T) {
	sent := make(chan string, 1)
	s := serve(t, func(conn net.Conn) {
		raw, _ := readRequest(conn)
		sent <- string(raw)
		io.WriteString(conn, ok(newer))
	})
	c := &Client{Product: "foo", Version: "1.0.0", URL: s.url, Platform: Platform{"linux", "amd64"}, Disabled: true}
	preview, err := c.Preview()
	if err != nil || s.asked() != 0 {
		t.Fatalf("Preview: %v, after %d connections", err, s.asked())
	}
	c.Disabled = false
	if _, err := c.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	variable := regexp.MustCompile(`"heap_usage_bytes":"\d+"|Content-Length: \d+`)
	if got, want := variable.ReplaceAllString(preview, ""), variable.ReplaceAllString(<-sent, ""); got != want {
		t.Errorf("preview:\n%s\nsent:\n%s", got, want)
	}
	if _, err := (&Client{}).Preview(); err == nil {
		t.Error("no error without a product")
	}
}

// TestHeap compares the reported heap to runtime.MemStats.
func TestHeap(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	ballast := make([]byte, 64<<20)
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	heap, want := float64(heapInUse()), float64(stats.Alloc)
	runtime.KeepAlive(ballast)
	if heap < 0.95*want || heap > 1.05*want {
		t.Errorf("heap = %.0f bytes, runtime.MemStats.Alloc = %.0f", heap, want)
	}
}

func TestDefaults(t *testing.T) {
	for _, test := range []struct {
		client Client
		agent  string
	}{
		{Client{Product: "opa", Version: "1.0.0", Platform: Platform{"linux", "arm64"}}, "Open Policy Agent/1.0.0 (linux, arm64)"},
		{Client{Product: "opa", Title: "EOPA", Version: "1.0.0", Platform: Platform{"linux", "arm64"}}, "EOPA/1.0.0 (linux, arm64)"},
		{Client{Product: "foo", URL: "http://h", Version: "v1"}, "foo/v1 (" + runtime.GOOS + ", " + runtime.GOARCH + ")"},
		{Client{Product: "foo", URL: "http://h", Platform: Platform{"js", "wasm"}}, "foo/" + buildVersion() + " (js, wasm)"},
	} {
		e, err := test.client.exchange()
		if err != nil {
			t.Errorf("%+v: %v", test.client, err)
		} else if e.agent != test.agent {
			t.Errorf("User-Agent = %q, want %q", e.agent, test.agent)
		}
	}
	if v := buildVersion(); !ValidVersion(v) {
		t.Errorf("default version %q cannot be reported", v)
	}
}

func TestIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var times []time.Time
		ids := map[uuid.UUID]bool{}
		c := &Client{Product: "opa", Version: "0.70.0", Transport: memory(func(r *http.Request) (*http.Response, error) {
			var report Report
			if err := json.NewDecoder(r.Body).Decode(&report); err != nil {
				t.Error(err)
			}
			ids[report.ID] = true
			times = append(times, time.Now())
			return respond(`{"latest":{}}`), nil
		})}
		ctx, cancel := context.WithCancel(t.Context())
		started := time.Now()
		c.Start(ctx)
		time.Sleep(400 * time.Hour)
		cancel()
		synctest.Wait()
		if len(times) < 200 || !times[0].Equal(started) {
			t.Fatalf("%d reports in 400 hours, the first after %v", len(times), times[0].Sub(started))
		}
		if len(ids) != 1 {
			t.Errorf("one process reported %d instance IDs, want 1", len(ids))
		}
		checkGaps(t, times)
		reports := len(times)
		time.Sleep(10 * time.Hour)
		if len(times) != reports {
			t.Error("a report was sent after the end of the context")
		}
	})
}

func checkGaps(t *testing.T, times []time.Time) {
	var gaps []time.Duration
	for i := range times[1:] {
		gaps = append(gaps, times[i+1].Sub(times[i]))
	}
	least, most := slices.Min(gaps), slices.Max(gaps)
	if least < time.Hour || most >= 2*time.Hour {
		t.Errorf("intervals from %v to %v, want [1h, 2h)", least, most)
	}
	if least > 70*time.Minute || most < 110*time.Minute {
		t.Errorf("intervals from %v to %v do not spread over [1h, 2h)", least, most)
	}
}

func TestNextInterval(t *testing.T) {
	for _, interval := range []time.Duration{1, time.Second, 1 << 62, 1<<63 - 1} {
		for range 100 {
			if p := nextInterval(interval); p < min(interval, 1<<62-1) {
				t.Fatalf("pause(%d) = %d", interval, p)
			}
		}
	}
}

// TestOnOutdated gives a running client a sequence of answers.
func TestOnOutdated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := []Latest{
			{LatestRelease: "v0.69.0"}, {LatestRelease: "v0.70.0"}, {LatestRelease: "v0.71.0"}, {LatestRelease: "v0.71.0"}, {}, {LatestRelease: "v0.71.0"},
			{LatestRelease: "v0.72.0"}, {LatestRelease: "v0.70.0"}, {LatestRelease: "v0.72.0"},
			{LatestRelease: "v0.72.0", Withdrawn: true}, {LatestRelease: "v0.69.0", Withdrawn: true}, {LatestRelease: "v0.69.0", Withdrawn: true}, {Withdrawn: true},
		}
		var announced []Latest
		c := &Client{Product: "opa", Version: "0.70.0", OnOutdated: func(l Latest) { announced = append(announced, l) }}
		i := 0
		c.Transport = memory(func(*http.Request) (*http.Response, error) {
			body, err := json.Marshal(Answer{Latest: answers[min(i, len(answers)-1)]})
			i++
			return respond(string(body)), err
		})
		ctx, cancel := context.WithCancel(t.Context())
		c.Start(ctx)
		time.Sleep(2 * time.Duration(len(answers)) * time.Hour)
		cancel()
		synctest.Wait()
		if want := []Latest{answers[2], answers[6], answers[9], answers[10]}; !slices.Equal(announced, want) {
			t.Errorf("announced %+v, want %+v", announced, want)
		}
	})
}

// records is a log handler that stores the records.
type records struct {
	mu  sync.Mutex
	all []slog.Record
}

func (r *records) Enabled(context.Context, slog.Level) bool { return true }
func (r *records) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r *records) WithGroup(string) slog.Handler            { return r }
func (r *records) Handle(_ context.Context, record slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, record)
	return nil
}

func (r *records) messages(t *testing.T) map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	count := map[string]int{}
	for _, record := range r.all {
		if record.Level != slog.LevelDebug {
			t.Errorf("%q is logged at level %v", record.Message, record.Level)
		}
		count[record.Message]++
	}
	return count
}

func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &records{}
		i := 0
		c := &Client{Product: "foo", URL: "http://service.invalid", Interval: time.Second, Logger: slog.New(log)}
		c.Transport = memory(func(*http.Request) (*http.Response, error) {
			if i++; i > 1 {
				return nil, errors.New("gone")
			}
			return respond(newer), nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		c.Start(ctx)
		time.Sleep(3 * time.Second)
		(&Client{Product: "foo", Logger: slog.New(log)}).Start(ctx)
		synctest.Wait()
		got := slices.Sorted(maps.Keys(log.messages(t)))
		if want := []string{"no version reports", "version report failed", "version reported"}; !slices.Equal(got, want) {
			t.Errorf("logged %q, want %q", got, want)
		}
	})
}

// panics is a log handler that panics.
type panics struct{ records }

func (*panics) Handle(context.Context, slog.Record) error { panic("in the log") }

func TestPanics(t *testing.T) {
	for name, spoil := range map[string]func(*Client){
		"Transport": func(c *Client) {
			c.Transport = memory(func(*http.Request) (*http.Response, error) { panic("in the transport") })
		},
		"OnOutdated": func(c *Client) { c.OnOutdated = func(Latest) { panic("in the callback") } },
		"Logger":     func(c *Client) { c.Logger = slog.New(&panics{}) },
		"all": func(c *Client) {
			c.OnOutdated = func(Latest) { panic("in the callback") }
			c.Logger = slog.New(&panics{})
		},
		"address and Logger": func(c *Client) {
			c.URL = "not a URL"
			c.Logger = slog.New(&panics{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &Client{Product: "opa", Version: "0.70.0"}
				c.Transport = memory(func(*http.Request) (*http.Response, error) { return respond(newer), nil })
				spoil(c)
				reports := 0
				inner := c.Transport
				c.Transport = memory(func(r *http.Request) (*http.Response, error) {
					reports++
					return inner.RoundTrip(r)
				})
				ctx, cancel := context.WithCancel(t.Context())
				c.Start(ctx)
				time.Sleep(10 * time.Hour)
				cancel()
				synctest.Wait()
				if reports < 4 && c.URL == "" {
					t.Errorf("%d reports in 10 hours: want more after the panic", reports)
				}
			})
		})
	}
}
