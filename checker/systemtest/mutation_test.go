package systemtest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// specimens are the valid requests that are mutated. %s is an instance ID.
var specimens = []string{
	post("/v1/version", `{"id":"%s","version":"0.70.0","heap_usage_bytes":"596000"}`),
	post("/v1/version", `{"heap_usage_bytes":2664880,"id":"%s","version":"v1.2.3-rc.1+x","min_compatible_version":{"a":[1,null,"é"]}}`),
	post("/p/relcheck/v1/version", `{"id":"%s","version":"1.0.0"}`),
	"POST /v1/version HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" +
		"2c\r\n{\"id\":\"%s\"\r\n6\r\n,\"vers\r\n10\r\nion\":\"0.70.0\"} \n\r\n0\r\n\r\n",
	"GET /repos/open-policy-agent/opa/releases/latest HTTP/1.1\r\nHost: a\r\nUser-Agent: Open Policy Agent/1.10.1 (linux, amd64)\r\nAccept: application/vnd.github.v3+json\r\nX-Id: %s\r\n\r\n",
	"GET /products/opa?days=7&version=v1.2&compare=v1.0..v1.2 HTTP/1.1\r\nHost: a\r\nCookie: relcheck=%s.1795000000.AAAA\r\nAccept: text/html\r\nAccept-Encoding: gzip\r\n\r\n",
	"GET /api/v1/products/opa/stats/versions?days=28&format=csv HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer rcr_%s_x\r\nIf-None-Match: \"x\"\r\n\r\n",
	"POST /sign-in HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nCookie: relcheck-form=1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 55\r\n\r\ntoken=%s&next=/products/opa",
}

func post(path, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nUser-Agent: Open Policy Agent/0.70.0 (linux, amd64)\r\nContent-Length: %d\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n%s",
		path, len(body)-len("%s")+36, body)
}

// oddities are inserted, or replace parts of a request.
var oddities = []string{
	"\x00", "\xff", "\r", "\n", "\r\n", "\r\n\r\n", "\t", " ", ":", ";", ",", "/", "//", "/../", "%", "%00", "%2f", "%zz", "?", "#", "&", "=", "+", "\\", "'", "''--", "\"", "<b>", "{{.}}",
	"{", "}", "[", "]", "{}", "null", "true", "-1", "0", "00", "1e999", "0x10", "9223372036854775808", "18446744073709551616", "\\u0000", "\\ud800", "\xed\xa0\x80", "\xef\xbb\xbf", "\u202e", "\x1b[2J",
	"PUT", "HEAD", "OPTIONS", "CONNECT", "TRACE", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.0", "HTTP/2.0", "HTTP/1.1.1", "http://a/", "*",
	"Content-Length: 3\r\n", "Content-Length: -3\r\n", "Content-Length: 99999999999999999999\r\n", "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip, chunked\r\n", "Content-Encoding: gzip\r\n",
	"Expect: 100-continue\r\n", "Expect: x\r\n", "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: \r\n", "Connection: close\r\n", "Trailer: X\r\n", "Host: b\r\n", "Host: \r\n", " folded\r\n",
	"Content-Type: text/plain\r\n", "Range: bytes=0-1\r\n", "\r\n0\r\n\r\n", "ffffffffffffffff\r\n", "1;x=y\r\n", `"id":1,`, `"version":null,`, `"heap_usage_bytes":{},`, `"x":`,
}

// mutate returns a specimen with a few mutations.
func mutate(r *rand.Rand) []byte {
	b := specimen(r)
	for range 1 + r.IntN(4) {
		b = mutation(r, b)
	}
	return b
}

func specimen(r *rand.Rand) []byte {
	return fmt.Appendf(nil, specimens[r.IntN(len(specimens))], randomID(r))
}

// mutation changes one thing in a request. The result has up to about 50 KB.
func mutation(r *rand.Rand, b []byte) []byte {
	at := r.IntN(len(b) + 1)
	end := at + r.IntN(min(len(b)-at, 40)+1)
	odd := []byte(oddities[r.IntN(len(oddities))])
	switch r.IntN(12) {
	case 0, 1: // flip bits
		for range 1 + r.IntN(8) {
			if len(b) > 0 {
				b[r.IntN(len(b))] ^= 1 << r.IntN(8)
			}
		}
		return b
	case 2: // truncate
		return b[:at]
	case 3: // remove a part
		return slices.Delete(b, at, end)
	case 4: // repeat a part
		return slices.Insert(b, at, slices.Clone(b[at:end])...)
	case 5, 6:
		return slices.Insert(b, at, odd...)
	case 7, 8:
		return slices.Replace(b, at, end, odd...)
	case 9: // insert an oddity at the start of a line
		if i := bytes.IndexByte(b[at:], '\n'); i >= 0 {
			at += i + 1
		}
		return slices.Insert(b, at, odd...)
	case 10: // append the end of another specimen
		other := specimen(r)
		return append(b[:at:at], other[r.IntN(len(other)):]...)
	}
	size := 1 << r.IntN(10)
	if r.IntN(50) == 0 { // sometimes, exceed the size limits
		size = 40 << 10
	}
	return slices.Insert(b, at, []byte(strings.Repeat(string("aA0 \x00[{\"\xff"[r.IntN(9)]), size))...)
}
