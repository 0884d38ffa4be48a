package systemtest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestRequestSmuggling sends requests with an ambiguous length. Each must get one
// response, and the server must then close the connection, so that the following bytes
// are not taken for another request.
func TestRequestSmuggling(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "relcheck.db")
	p := serve(t, file, "--metrics-listen", "127.0.0.1:0")
	token := strings.TrimSpace(relcheck(t, "token", "add", "reader", "--db", file))
	const (
		report  = `{"id":"08c1d850-6065-478a-b9b5-a8f9f464ad33","version":"v1.0.0"}`
		hidden  = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
		chunked = "Transfer-Encoding: chunked\r\n"
	)
	chunk := func(body string) string { return fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body) }
	for name, c := range map[string]struct {
		request string
		status  int
	}{
		"report":          {"POST /v1/version HTTP/1.1\r\nHost: a\r\n" + chunked + "\r\n" + chunk(report), 200},
		"bad report":      {"POST /v1/version HTTP/1.1\r\nHost: a\r\n" + chunked + "\r\n" + chunk("{"), 400},
		"unread body":     {"GET /healthz HTTP/1.1\r\nHost: a\r\n" + chunked + "\r\n" + chunk("x"), 200},
		"keep-alive":      {"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n" + chunked + "\r\n" + chunk("x"), 200},
		"page":            {"GET /privacy HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\nAccept-Encoding: gzip\r\n" + chunked + "\r\n" + chunk(""), 200},
		"page with token": {"GET /products/opa/releases HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\nAuthorization: Bearer " + token + "\r\n" + chunked + "\r\n" + chunk(""), 200},
		"sign-in":         {"POST /sign-in HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n" + chunked + "\r\n" + chunk("token=x"), 403},
		"API":             {"PUT /api/v1/products/opa HTTP/1.1\r\nHost: a\r\n" + chunked + "\r\n" + chunk("{}"), 401},
		"no route":        {"GET /none HTTP/1.1\r\nHost: a\r\n" + chunked + "\r\n" + chunk("x"), 404},
		"wrong method":    {"PUT /v1/version HTTP/1.1\r\nHost: a\r\n" + chunked + "\r\n" + chunk(report), 405},
		"large header":    {"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 9<<10) + "\r\n" + chunked + "\r\n" + chunk("x"), 431},
		"both, chunks":    {"POST /v1/version HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n" + chunked + "\r\n" + chunk(report), 200},
		"both, length":    {"POST /v1/version HTTP/1.1\r\nHost: a\r\n" + chunked + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(hidden)+5) + "0\r\n\r\n", 400},
		"in capitals":     {"GET /healthz HTTP/1.1\r\nHost: a\r\nTRANSFER-ENCODING: CHUNKED\r\n\r\n" + chunk("x"), 200},

		// The HTTP server refuses these itself.
		"identity":         {"GET /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 501},
		"gzip, chunked":    {"GET /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n" + chunk("x"), 501},
		"twice":            {"GET /healthz HTTP/1.1\r\nHost: a\r\n" + chunked + chunked + "\r\n" + chunk("x"), 501},
		"chunked, chunked": {"GET /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n" + chunk("x"), 501},
		"misspelled":       {"GET /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n" + chunk("x"), 501},
		"in quotes":        {"GET /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n" + chunk("x"), 501},
		"empty":            {"GET /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n" + chunk("x"), 501},
		"vertical tab":     {"GET /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \vchunked\r\n\r\n" + chunk("x"), 400},
		"space before":     {"GET /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n" + chunk("x"), 400},
		"folded":           {"GET /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n" + chunk("x"), 200},
		"two lengths":      {"POST /v1/version HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345", 400},

		// The HTTP server removes the header from these. It uses the length, or assumes
		// that there is no body.
		"HTTP/1.0":              {"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n" + chunked + "\r\n" + chunk("x"), 200},
		"HTTP/1.0, both":        {"POST /v1/version HTTP/1.0\r\nConnection: keep-alive\r\n" + chunked + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(report)) + report, 200},
		"HTTP/1.0, both, wrong": {"POST /v1/version HTTP/1.0\r\nConnection: keep-alive\r\n" + chunked + "Content-Length: 3\r\n\r\n" + chunk(report), 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantOneResponse(t, p.addr, c.request+hidden+hidden, c.status)
		})
	}
	t.Run("metrics", func(t *testing.T) {
		t.Parallel()
		wantOneResponse(t, metricsAddr(t, p), "GET /metrics HTTP/1.1\r\nHost: a\r\n"+chunked+"\r\n"+chunk("x")+hidden, 200)
	})
}

// metricsAddr returns the address of the metrics from the log.
func metricsAddr(t *testing.T, p *process) string {
	t.Helper()
	pattern := regexp.MustCompile(`"url":"http://([^/"]+)/metrics"`)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if found := pattern.FindStringSubmatch(p.errs.String()); found != nil {
			return found[1]
		}
	}
	t.Fatalf("got no address of the metrics in the log:\n%s", p.errs)
	return ""
}

// wantOneResponse sends bytes on one connection, and requires one response with the
// status and then the end of the connection.
func wantOneResponse(t *testing.T, addr, sent string, status int) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, sent) // the server may close the connection before it has read everything
	in := bufio.NewReader(c)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != status || !res.Close {
		t.Errorf("got status %d and Connection: %q, want %d and close", res.StatusCode, res.Header.Get("Connection"), status)
	}
	if rest, _ := io.ReadAll(in); len(rest) > 0 { // the connection may be reset
		t.Errorf("got %q after the response, want nothing", rest)
	}
}
