package checker

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"relcheck/checker/printable"
)

// patience is how long tests wait for a service that hangs.
const patience = 200 * time.Millisecond

// hang sends the start of a response and keeps the connection open.
func hang(response string) func(net.Conn) {
	return func(conn net.Conn) {
		readRequest(conn)
		io.WriteString(conn, response)
		io.Copy(io.Discard, conn)
	}
}

// endless sends a response whose end is repeated without limit.
func endless(response, repeated string) func(net.Conn) {
	return func(conn net.Conn) {
		readRequest(conn)
		_, err := io.WriteString(conn, response)
		for err == nil {
			_, err = io.WriteString(conn, repeated)
		}
	}
}

// drip sends a response slowly, byte by byte.
func drip(response string) func(net.Conn) {
	return func(conn net.Conn) {
		readRequest(conn)
		for i := range len(response) {
			if _, err := io.WriteString(conn, response[i:i+1]); err != nil {
				return
			}
			time.Sleep(patience / 10)
		}
	}
}

// padded returns an answer of exactly size bytes.
func padded(size int) string {
	body := `{"latest":{},"x":""}`
	return strings.Replace(body, `""`, `"`+strings.Repeat("x", size-len(body))+`"`, 1)
}

// bomb is 16 MB of spaces, compressed by gzip.
var bomb = func() string {
	var b strings.Builder
	z := gzip.NewWriter(&b)
	for range 16 << 10 {
		io.WriteString(z, strings.Repeat(" ", 1<<10))
	}
	z.Close()
	return b.String()
}()

// hostile lists invalid responses, each with a part of the error that Check returns.
var hostile = map[string]struct {
	handle func(net.Conn)
	want   string
}{
	"closes at once":      {func(net.Conn) {}, "EOF|reset|broken pipe"},
	"hangs":               {hang(""), "deadline exceeded"},
	"never reads":         {func(conn net.Conn) { time.Sleep(2 * patience) }, "deadline exceeded"},
	"hangs in the status": {hang("HTTP/1.1 20"), "deadline exceeded"},
	"hangs in the header": {hang("HTTP/1.1 200 OK\r\nContent-Type: appl"), "deadline exceeded"},
	"hangs in the body":   {hang("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"latest\":"), "deadline exceeded"},
	"hangs after chunks":  {hang("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"), "deadline exceeded"},
	"drips":               {drip(ok(newer)), "deadline exceeded"},
	"500":                 {reply("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"), "service answered 500 Internal Server Error"},
	"404 with an error":   {reply(strings.Replace(ok(`{"error":{"message":"product opa has no channel \"\u001b[31m\""}}`), "200 OK", "404 Not Found", 1)), `service answered 404 Not Found: product opa has no channel "?[31m"`},
	"404 without one":     {reply(strings.Replace(ok(`{"error":"none"}`), "200 OK", "404 Not Found", 1)), "service answered 404 Not Found; the product may not exist there"},
	"500 with an answer":  {reply(strings.Replace(ok(newer), "200 OK", "500 Oh No", 1)), "service answered 500 Internal Server Error"},
	"204":                 {reply("HTTP/1.1 204 No Content\r\n\r\n"), "service answered 204 No Content"},
	"201 with an answer":  {reply(strings.Replace(ok(newer), "200 OK", "201 Created", 1)), "service answered 201 Created"},
	"escapes in status":   {reply("HTTP/1.1 599 \x1b[2J\x1b]0;x\x07\r\nContent-Length: 0\r\n\r\n"), "service answered 599"},
	"only 100s":           {endless("", "HTTP/1.1 100 Continue\r\n\r\n"), "1xx|exceeded"},
	"101":                 {reply("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), "service answered 101"},
	"garbage":             {reply("\x16\x03\x01\x1b[2J\x00\xff\r\n\r\n"), "malformed"},
	"garbage in a header": {reply("HTTP/1.1 200 OK\r\n\x1b[31mred\r\n\r\n{}"), "malformed"},
	"endless garbage":     {endless("", "\x1b[2J"), "exceeded|malformed"},
	"SMTP":                {reply("220 mail.example.com ESMTP\r\n"), "malformed"},
	"HTML":                {reply(ok("<!DOCTYPE html>\n<title>Sign in</title>")), "invalid answer"},
	"empty body":          {reply(ok("")), "invalid answer"},
	"no JSON":             {reply(ok("{\"latest\":\x1b}")), "invalid answer"},
	"two answers":         {reply(ok(newer + newer)), "invalid answer"},
	"an array":            {reply(ok("[]")), "invalid answer"},
	"a number as version": {reply(ok(`{"latest":{"latest_release":9}}`)), "invalid answer"},
	"a word as judgement": {reply(ok(`{"latest":{"latest_release":"v9.0.0","opa_up_to_date":"no"}}`)), "invalid answer"},
	"a list as latest":    {reply(ok(`{"latest":["v9.0.0"]}`)), "invalid answer"},
	"deep nesting":        {reply(ok(strings.Repeat("[", 60000))), "invalid answer"},
	"gzip":                {reply("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x00"), "invalid answer"},
	"a gzip bomb":         {reply("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + bomb), "invalid answer|longer than 64 KB"},
	"length too long":     {reply(strings.Replace(ok(newer), "Length: ", "Length: 9", 1)), "unexpected EOF"},
	"length too short":    {reply("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + newer), "invalid answer"},
	"length of nothing":   {reply("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" + newer), "invalid answer"},
	"negative length":     {reply("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n" + newer), "Content-Length"},
	"two lengths":         {reply(strings.Replace(ok(newer), "\r\n\r\n", "\r\nContent-Length: 1\r\n\r\n", 1)), "Content-Length"},
	"length in words":     {reply("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n" + newer), "Content-Length"},
	"garbage for chunks":  {reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\x1b[2J\r\n{}"), "chunk"},
	"a chunk of 2^64":     {reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n{}"), "chunk"},
	"no end of chunks":    {reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"), "unexpected EOF"},
	"unknown encoding":    {reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: x\r\n\r\n" + newer), "transfer encoding"},
	"escapes in version":  {reply(ok(`{"latest":{"latest_release":"v9.0.0\u001b[2J"}}`)), "invalid latest release"},
	"lines in version":    {reply(ok(`{"latest":{"latest_release":"v9.0.0\r\nWARNING: x"}}`)), "invalid latest release"},
	"space in version":    {reply(ok(`{"latest":{"latest_release":"v9.0.0 is bad"}}`)), "invalid latest release"},
	"long version":        {reply(ok(`{"latest":{"latest_release":"v9.0.0-` + strings.Repeat("a", 3000) + `"}}`)), "invalid latest release"},
	"64 KB and a byte":    {reply(ok(padded(maxAnswer + 1))), "longer than 64 KB"},
	"endless body":        {endless("HTTP/1.1 200 OK\r\n\r\n{", strings.Repeat(" ", 4096)), "longer than 64 KB"},
	"endless chunks":      {endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", strings.Repeat("1\r\n \r\n", 1000)), "longer than 64 KB"},
	"claims a terabyte":   {endless("HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n", strings.Repeat(" ", 4096)), "longer than 64 KB"},
	"huge header":         {reply("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n" + newer), "exceeded"},
	"endless header":      {endless("HTTP/1.1 200 OK\r\n", "X: x\r\n"), "exceeded"},
	"redirect loop":       {reply("HTTP/1.1 307 Go\r\nLocation: /v1/version\r\n\r\n"), "redirected more than 3 times"},
	"redirect to a file":  {reply("HTTP/1.1 302 Go\r\nLocation: file:///etc/passwd\r\n\r\n"), "redirected to another host"},
	"redirect to garbage": {reply("HTTP/1.1 302 Go\r\nLocation: http://\x1b[2J/\r\n\r\n"), "Location"},
	"see other":           {reply("HTTP/1.1 303 Go\r\nContent-Length: 0\r\nLocation: https://u:secret@other.example/x\r\n\r\n"), "https://other.example/x"},
	"redirect nowhere":    {reply("HTTP/1.1 302 Go\r\nContent-Length: 0\r\n\r\n"), "service answered 302 Found"},
}

func TestInvalidResponses(t *testing.T) {
	for name, test := range hostile {
		t.Run(name, func(t *testing.T) {
			harmless(t)
			checkHostile(t, serve(t, test.handle).url, test.want)
		})
	}
	t.Run("absent", func(t *testing.T) {
		harmless(t)
		checkHostile(t, absent, "refused")
	})
	t.Run("hangs in the TLS handshake", func(t *testing.T) {
		harmless(t)
		s := serve(t, func(conn net.Conn) { io.Copy(io.Discard, conn) })
		checkHostile(t, strings.Replace(s.url, "http:", "https:", 1), "deadline exceeded")
	})
	t.Run("certificate of another host", func(t *testing.T) {
		harmless(t)
		server := httptest.NewUnstartedServer(http.NotFoundHandler())
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.StartTLS()
		defer server.Close()
		checkHostile(t, server.URL, "certificate")
	})
}

// absent is the URL of a service that does not exist. The system never assigns its port
// to a listener on port 0.
const absent = "http://127.0.0.1:1"

// checkHostile tests a single check, and then a running client. The text of the error
// must match one of the alternatives in want.
func checkHostile(t *testing.T, address, want string) {
	t.Helper()
	c := &Client{Product: "opa", Version: "0.70.0", URL: strings.Replace(address, "://", "://user:secret@", 1)}
	wait := timeout
	if want == "deadline exceeded" {
		wait = patience
	}
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	answer, err := c.Check(ctx)
	if err == nil || answer != (Answer{}) {
		t.Fatalf("Check: %+v, %v", answer, err)
	}
	text := err.Error()
	found := false
	for alternative := range strings.SplitSeq(want, "|") {
		found = found || strings.Contains(text, alternative)
	}
	if !found || !strings.HasPrefix(text, "check "+address+"/v1/version: ") {
		t.Errorf("got no error with %q: %v", want, err)
	}
	if printable.Check(text) != nil || len(text) > 400 || strings.Contains(text, "user") || strings.Contains(text, "secret") {
		t.Errorf("the error is not printable: %q", text)
	}

	ctx, cancel = context.WithTimeout(t.Context(), patience/4)
	defer cancel()
	c.Interval = time.Millisecond
	c.OnOutdated = func(l Latest) { t.Errorf("announced %+v", l) }
	c.Start(ctx)
	<-ctx.Done()
}

// TestValidResponses is the control of TestInvalidResponses: valid responses are accepted.
func TestValidResponses(t *testing.T) {
	chunked := fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(newer), newer)
	for name, response := range map[string]string{
		"length":        ok(newer),
		"until close":   "HTTP/1.1 200 OK\r\n\r\n" + newer,
		"chunked":       chunked,
		"HTTP/1.0":      strings.Replace(ok(newer), "1.1", "1.0", 1),
		"100 before it": "HTTP/1.1 100 Continue\r\n\r\n" + ok(newer),
		"unknown keys":  ok(strings.Replace(newer, "{", `{"x":[1,{"y":null}],`, 1)),
		"no judgement":  ok(strings.Replace(newer, `,"opa_up_to_date":false`, "", 1)),
		"with newline":  ok(newer + "\n"),
	} {
		t.Run(name, func(t *testing.T) {
			harmless(t)
			c := &Client{Product: "opa", Version: "0.70.0", URL: serve(t, reply(response)).url}
			answer, err := c.Check(t.Context())
			if err != nil || !answer.Latest.Outdated("0.70.0") {
				t.Errorf("Check: %+v, %v", answer, err)
			}
		})
	}
	for name, body := range map[string]string{"nothing": "{}", "null": `{"latest":null}`, "64 KB": padded(maxAnswer), "a link and no release": `{"latest":{"download":"https://h/"}}`} {
		t.Run(name, func(t *testing.T) {
			c := &Client{Product: "opa", Version: "0.70.0", URL: serve(t, reply(ok(body))).url}
			if answer, err := c.Check(t.Context()); err != nil || answer != (Answer{}) {
				t.Errorf("Check: %+v, %v", answer, err)
			}
		})
	}
}

// TestNoNewRelease tests well-formed answers that announce nothing: answers without a
// verdict whose release is not newer, and answers that name the running release.
func TestNoNewRelease(t *testing.T) {
	for name, test := range map[string]struct{ latest, version string }{
		"up to date":            {`"latest_release":"v0.71.0","opa_up_to_date":true`, "0.70.0"},
		"older":                 {`"latest_release":"v0.69.0"`, "0.70.0"},
		"equal":                 {`"latest_release":"v0.70.0"`, "0.70.0"},
		"equal, but outdated":   {`"latest_release":"v0.70.0","opa_up_to_date":false`, "0.70.0"},
		"equal, of a build":     {`"latest_release":"0.70.0+build.2"`, "v0.70.0+build.1"},
		"of ten digits":         {`"latest_release":"v0.0070.9999999999"`, "0.70.0"},
		"its pre-release":       {`"latest_release":"v0.70.0-rc.1"`, "0.70.0"},
		"to a vendor's":         {`"latest_release":"v0.21.0"`, "0.21.0-istio"},
		"to an unknown version": {`"latest_release":"v9.0.0"`, "unknown"},
		"not a version":         {`"latest_release":"newest"`, "0.70.0"},
		"only withdrawn":        {`"withdrawn":true,"opa_up_to_date":false`, "0.70.0"},
	} {
		t.Run(name, func(t *testing.T) {
			harmless(t)
			s := serve(t, reply(ok(`{"latest":{"download":"https://example.com/old",`+test.latest+`}}`)))
			c := &Client{Product: "opa", Version: test.version, URL: s.url, Interval: time.Millisecond}
			answer, err := c.Check(t.Context())
			if err != nil || answer.Latest.Outdated(test.version) {
				t.Errorf("Check: %+v, %v", answer, err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			c.OnOutdated = func(l Latest) { t.Errorf("announced %+v", l) }
			c.Start(ctx)
			<-ctx.Done()
		})
	}
}

func TestUnprintableLinks(t *testing.T) {
	body := `{"latest":{"latest_release":"v9.0.0","download":"https://example.com/\u001b]8;;x\u0007","release_notes":"javascript:alert(1)"}}`
	c := &Client{Product: "opa", Version: "0.70.0", URL: serve(t, reply(ok(body))).url}
	answer, err := c.Check(t.Context())
	if want := (Latest{LatestRelease: "v9.0.0"}); err != nil || answer.Latest != want {
		t.Errorf("Check: %+v, %v", answer, err)
	}
}

// TestTimeout tests the timeout in real time.
func TestTimeout(t *testing.T) {
	t.Parallel()
	s := serve(t, hang("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"))
	_, err := (&Client{Product: "opa", URL: s.url}).Check(t.Context())
	if err == nil || !strings.HasSuffix(err.Error(), ": no answer within 5 s") {
		t.Errorf("Check: %v", err)
	}
}

// TestTimeoutIsExact tests the timeout with synctest's clock.
func TestTimeoutIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &Client{Product: "opa", Transport: memory(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})}
		start := time.Now()
		_, err := c.Check(t.Context())
		if took := time.Since(start); !errors.Is(err, errTimeout) || took != 5*time.Second {
			t.Errorf("Check: %v after %v", err, took)
		}
	})
}

// closing is an endless body that records whether it was closed.
type closing struct{ closed bool }

func (c *closing) Read(p []byte) (int, error) { return len(p), nil }
func (c *closing) Close() error               { c.closed = true; return nil }

// TestBodyIsClosed tests that the client closes the response of the host's transport.
func TestBodyIsClosed(t *testing.T) {
	for _, status := range []int{200, 500} {
		body := &closing{}
		c := &Client{Product: "opa", Transport: memory(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Body: body}, nil
		})}
		if _, err := c.Check(t.Context()); err == nil || !body.closed {
			t.Errorf("status %d: closed is %v, error %v", status, body.closed, err)
		}
	}
}

// TestContextEndsReport tests that the end of the context ends a report that hangs.
func TestContextEndsReport(t *testing.T) {
	harmless(t)
	s := serve(t, hang("HTTP/1.1 200 OK\r\n"))
	ctx, cancel := context.WithCancel(t.Context())
	(&Client{Product: "opa", URL: s.url}).Start(ctx)
	for s.asked() == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
}

func TestRedirects(t *testing.T) {
	harmless(t)
	other := serve(t, reply(ok(newer)))
	elsewhere := serve(t, reply("HTTP/1.1 307 Go\r\nLocation: "+other.url+"/v1/version\r\n\r\n"))
	_, err := (&Client{Product: "opa", Version: "0.70.0", URL: elsewhere.url}).Check(t.Context())
	if err == nil || !strings.Contains(err.Error(), "redirected to another host") {
		t.Errorf("Check: %v", err)
	}
	if n := other.asked(); n != 0 {
		t.Errorf("the other host got %d requests, want 0", n)
	}

	for _, status := range []string{"301", "302", "307", "308"} {
		var second []byte
		same := serve(t, func(conn net.Conn) {
			raw, _ := readRequest(conn)
			if strings.HasPrefix(string(raw), "POST /v1/version ") {
				io.WriteString(conn, "HTTP/1.1 "+status+" Go\r\nContent-Length: 0\r\nLocation: /moved#here\r\n\r\n")
				return
			}
			second = raw
			io.WriteString(conn, ok(newer))
		})
		answer, err := (&Client{Product: "opa", Version: "0.70.0", URL: same.url}).Check(t.Context())
		if err != nil || answer.Latest.LatestRelease != "v9.0.0" {
			t.Errorf("%s: Check: %+v, %v", status, answer, err)
		}
		if got := string(second); !strings.HasPrefix(got, "POST /moved ") || strings.Contains(got, "Referer") || !strings.Contains(got, `"version":"0.70.0"`) {
			t.Errorf("%s: redirected request:\n%s", status, got)
		}
	}
}

func TestRedirectTarget(t *testing.T) {
	for _, test := range []struct {
		status         int
		from, to, want string // want is "" for an error
	}{
		{301, "http://h/a", "http://h/b", "http://h/b"},
		{302, "http://h/a", "b?x=1", "http://h/b?x=1"},
		{307, "http://h/a", "//H/b", "http://H/b"},
		{308, "http://h/a", "https://h/a", "https://h/a"},
		{308, "http://h:80/a", "https://h:443/a", "https://h:443/a"},
		{308, "https://h/a", "https://h:443/b", "https://h:443/b"},
		{302, "http://u:p@h/a", "/b", "http://u:p@h/b"},
		{302, "http://h/a", "http://u:p@h/b", "http://h/b"},
		{303, "http://h/a", "/b", ""},
		{302, "https://h/a", "http://h/a", ""},
		{302, "http://h/a", "http://h:81/a", ""},
		{302, "http://h:8080/a", "https://h/a", ""},
		{302, "http://h/a", "http://i/a", ""},
		{302, "http://h/a", "http://h.example.com/a", ""},
		{302, "http://h/a", "http://h@i/a", ""},
		{302, "http://h/a", "ftp://h/a", ""},
		{302, "http://h/a", "http://h:x/", ""},
	} {
		from, _ := url.Parse(test.from)
		got, err := redirectTarget(from, &http.Response{StatusCode: test.status, Header: http.Header{"Location": {test.to}}})
		if (err == nil) != (test.want != "") || err == nil && got.String() != test.want {
			t.Errorf("%d from %s to %s: got %v, %v, want %q", test.status, test.from, test.to, got, err, test.want)
		}
	}
	for _, status := range []int{200, 300, 304, 404} {
		if got, err := redirectTarget(&url.URL{}, &http.Response{StatusCode: status, Header: http.Header{"Location": {"http://h/"}}}); got != nil || err != nil {
			t.Errorf("%d: got %v, %v, want no redirect", status, got, err)
		}
	}
}

// TestResponseBeforeRequest tests a service that sends a response before the request, which
// net/http would log. The pause before the request makes sure that it has arrived.
func TestResponseBeforeRequest(t *testing.T) {
	harmless(t)
	early := func(conn net.Conn) {
		io.WriteString(conn, ok(newer))
		readRequest(conn)
	}
	pair := httptest.NewUnstartedServer(nil)
	pair.StartTLS()
	defer pair.Close()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", pair.TLS)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(pair.Certificate())

	for _, address := range []string{serve(t, early).url, serveOn(t, listener, "https", early).url} {
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			GotConn: func(httptrace.GotConnInfo) { time.Sleep(patience / 4) },
		})
		c := &Client{Product: "opa", Version: "0.70.0", URL: address, Transport: newTransport(&tls.Config{RootCAs: roots})}
		if answer, err := c.Check(ctx); err != nil || answer.Latest.LatestRelease != "v9.0.0" {
			t.Errorf("Check: %+v, %v", answer, err)
		}
	}
}

// TestBombInHostsTransport tests a transport of the host that decompresses responses.
func TestBombInHostsTransport(t *testing.T) {
	harmless(t)
	unpacking := &http.Transport{}
	defer unpacking.CloseIdleConnections()
	s := serve(t, hostile["a gzip bomb"].handle)
	c := &Client{Product: "opa", Version: "0.70.0", URL: s.url, Transport: unpacking}
	if _, err := c.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "longer than 64 KB") {
		t.Errorf("Check: %v", err)
	}
}
