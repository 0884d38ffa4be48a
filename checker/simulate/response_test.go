package simulate

import (
	"bufio"
	"fmt"
	"strings"
	"testing"
)

func TestReadResponse(t *testing.T) {
	for text, want := range map[string]string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi":                                    "{200 false false } <nil>",
		"HTTP/1.1 200 OK\ncontent-length:2\n\nhi":                                           "{200 false false } <nil>",
		"HTTP/1.1 200 OK\r\nRelcheck-Recorded: no\r\nContent-Length: 0\r\n\r\n":             "{200 true false } <nil>",
		"HTTP/1.1 204 No Content\r\n\r\n":                                                   "{204 false false } <nil>",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n":         "{200 false false } <nil>",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nA: b\r\n\r\n": "{200 false false } <nil>",
		"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n":                 "{200 false true } <nil>",
		"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n":                                      "{200 false true } <nil>",
		"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n":            "{200 false false } <nil>",
		"HTTP/1.1 200 OK\r\n\r\nuntil it ends":                                              "{200 false true } <nil>",
		"HTTP/1.1 503 No\r\nContent-Length: 9\r\n\r\nnot\n\x1b[2Jw":                         "{503 false false not [2Jw} <nil>",
		"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n":         "{404 false false no} <nil>",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi":                                    "{0 false false } unexpected EOF",
		"HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\nhi":                                    "{0 false false } unexpected EOF",
		"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n":                                     `{0 false false } bad Content-Length "-5"`,
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n":                   `{0 false false } bad Content-Length "99999999999999999999"`,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n":                       "{0 false false } invalid byte in chunk length",
		"":                               "{0 false false } unexpected EOF",
		"HTTP/1.1 2":                     `{0 false false } malformed HTTP status code "2"`,
		"HTTP/1.1 -12 OK\r\n\r\n":        `{0 false false } malformed HTTP status code "-12"`,
		"SSH-2.0-OpenSSH_9.2p1 Debian\n": `{0 false false } malformed HTTP status code "Debian"`,
		"HTTP/1.1 101 Up\r\n\r\n":        `{0 false false } unexpected response: "HTTP/1.1 101 Up"`,
		"HTTP/2.0 200 OK\r\n\r\n":        `{0 false false } unexpected response: "HTTP/2.0 200 OK"`,
	} {
		res, err := readResponse(bufio.NewReaderSize(strings.NewReader(text), 8<<10))
		if got := fmt.Sprint(res, " ", err); got != want {
			t.Errorf("%.60q: got %s, want %s", text, got, want)
		}
	}
}

// readResponse must not panic on any input, and must keep only a limited, printable part of it.
func FuzzReadResponse(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
	f.Add("HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n")
	f.Add("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 500 No\r\n\r\nno")
	f.Fuzz(func(t *testing.T, text string) {
		res, err := readResponse(bufio.NewReader(strings.NewReader(text)))
		if err == nil && (res.status < 200 || len(res.errorText) > 4*maxErrorText || strings.ContainsAny(res.errorText, "\n\x1b")) {
			t.Errorf("%q: got %+v, want a status of at least 200 and a short, printable error text", text, res)
		}
	})
}
