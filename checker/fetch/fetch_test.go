package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// get requests a URL once and reads the response.
func get(ctx context.Context, client *http.Client, link string, patience time.Duration) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, link, nil)
	if err != nil {
		return "", err
	}
	resp, err := Do(client, req, patience)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

// With PublicOnly, a client does not connect to a private address, also if a redirect leads
// there or if the address of a name is private only when the connection is made.
func TestPublicOnly(t *testing.T) {
	var requests atomic.Int32
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		fmt.Fprint(w, "internal")
	}))
	defer inside.Close()
	outside := httptest.NewServer(http.RedirectHandler(inside.URL, http.StatusFound))
	defer outside.Close()
	named := strings.Replace(inside.URL, "127.0.0.1", "localhost", 1)
	client := NewClient()
	defer client.CloseIdleConnections()
	for _, link := range []string{inside.URL, named} {
		if text, err := get(t.Context(), client, link, Patience); text != "internal" || err != nil {
			t.Errorf("%s, chosen by the operator: got %q (error %v), want the response", link, text, err)
		}
	}
	requests.Store(0)
	for _, link := range []string{inside.URL, named} { // an idle connection to it exists
		if text, err := get(PublicOnly(t.Context()), client, link, Patience); !errors.As(err, new(*RefusedError)) || IsTemporary(err) {
			t.Errorf("%s: got %q (error %v), want a refused request", link, text, err)
		}
	}
	// The redirect passes the first check, as if its name had a public address then.
	client.CheckRedirect = nil
	client.Transport.(*transport).any.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, outside.Listener.Addr().String())
	}
	if text, err := get(t.Context(), client, "http://203.0.113.1/", Patience); !errors.As(err, new(*RefusedError)) {
		t.Errorf("redirect into a private network: got %q (error %v), want a refused request", text, err)
	}
	if requests.Load() != 0 {
		t.Errorf("got %d requests inside, want none", requests.Load())
	}
}

// A request fails if nothing arrives for a time. The time between two reads does not count.
func TestStall(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/header" {
			<-r.Context().Done()
		}
		w.Header().Set("Content-Length", "100000")
		io.WriteString(w, "begin")
		w.(http.Flusher).Flush()
		if r.URL.Path == "/body" {
			<-r.Context().Done()
		}
		io.WriteString(w, strings.Repeat("x", 100_000-len("begin")))
	}))
	defer s.Close()
	for _, path := range []string{"/header", "/body"} {
		if text, err := get(t.Context(), s.Client(), s.URL+path, 300*time.Millisecond); err == nil || !strings.Contains(err.Error(), "stalled") || !IsTemporary(err) {
			t.Errorf("%s: got %q (error %v), want a temporary error", path, text, err)
		}
	}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/slow reader", nil)
	resp, err := Do(s.Client(), req, 300*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	time.Sleep(600 * time.Millisecond)
	if text, err := io.ReadAll(resp.Body); len(text) != 100_000 || err != nil {
		t.Errorf("slow reader: got %d bytes (error %v), want all", len(text), err)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"5": "5s true", "0": "0s true", "-5": "-5s false", "": "0s false", "soon": "0s false", "99999999999": "596523h14m8s true",
		"Thu, 01 Jan 2026 00:00:30 GMT": "30s true", "Wed, 31 Dec 2025 00:00:00 GMT": "0s true",
	} {
		got, ok := RetryAfter(http.Header{"Retry-After": {text}}, now)
		if got := fmt.Sprint(got, " ", ok); got != want {
			t.Errorf("RetryAfter(%q) = %s, want %s", text, got, want)
		}
	}
}

// Attempts end after some failures in a row, or after a final error.
func TestAttempts(t *testing.T) {
	failure := errors.New("failure")
	for name, test := range map[string]struct {
		results []error
		want    int // calls
	}{
		"success":         {[]error{nil}, 1},
		"then a success":  {[]error{Temporary{Err: failure}, Temporary{Err: failure}, nil}, 3},
		"for good":        {[]error{Temporary{Err: failure}, Temporary{Err: failure}, Temporary{Err: failure}, nil}, 3},
		"a final error":   {[]error{failure, nil}, 1},
		"a wrapped error": {[]error{fmt.Errorf("wrapped: %w", Temporary{Err: failure}), nil}, 2},
		"asks to wait":    {[]error{Temporary{failure, time.Millisecond}, nil}, 2},
	} {
		calls := 0
		err := Attempts{Pause: time.Millisecond}.Do(t.Context(), func() (bool, error) {
			calls++
			return false, test.results[calls-1]
		})
		if calls != test.want || !errors.Is(err, test.results[calls-1]) {
			t.Errorf("%s: got %d calls, error %v, want %d and the last error", name, calls, err, test.want)
		}
	}
	calls := 0
	err := Attempts{Pause: time.Millisecond}.Do(t.Context(), func() (bool, error) {
		calls++
		return calls < 10, Temporary{Err: failure}
	})
	if calls != 12 || !errors.Is(err, failure) {
		t.Errorf("with progress: got %d calls, error %v, want 12", calls, err)
	}
}

func TestFollow(t *testing.T) {
	from, _ := url.Parse("https://203.0.113.1/api")
	to, _ := url.Parse("https://203.0.113.2/file")
	ctx, err := Follow(t.Context(), from, to)
	if err != nil || ctx.Value(publicOnly{}) == nil {
		t.Errorf("from a public server to another: got error %v, want a context for public addresses", err)
	}
	if ctx, err := Follow(t.Context(), from, from); err != nil || ctx.Value(publicOnly{}) != nil {
		t.Errorf("to the same server: got error %v, want no restriction", err)
	}
}

func TestPrivate(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1": true, "::1": true, "10.1.2.3": true, "172.16.0.1": true, "192.168.0.1": true, "169.254.169.254": true,
		"100.100.100.200": true, "fd00::1": true, "fe80::1": true, "0.0.0.0": true, "::ffff:10.0.0.1": true, "localhost": true,
		"203.0.113.1": false, "2001:db8::1": false, "172.32.0.1": false, "not a name": false,
	} {
		if got := Private(t.Context(), host); got != want {
			t.Errorf("Private(%s) = %v, want %v", host, got, want)
		}
	}
}

func TestReadAll(t *testing.T) {
	r := strings.NewReader(strings.Repeat("a", 1000))
	if _, err := ReadAll(r, 10); !errors.Is(err, ErrTooLong) || r.Len() < 1000-11 {
		t.Errorf("got error %v after %d bytes, want %v after 11", err, 1000-r.Len(), ErrTooLong)
	}
}
