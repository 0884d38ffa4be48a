package server_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"relcheck/checker/catalog"
	"relcheck/checker/server"
)

// FuzzRequest sends complete requests to a server with a real store: paths, queries,
// cookies, tokens, Accept and Content-Type. No request may cause an internal error, and
// each error must have the documented format.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		"POST /v1/version HTTP/1.1\r\nHost: a\r\nContent-Length: 63\r\n\r\n{\"id\":\"08c1d850-6065-478a-b9b5-a8f9f464ad33\",\"version\":\"v1.0.0\"}",
		"GET /api/v1/products/opa/stats/versions?days=7&version=v1.2&format=csv HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /api/v1/products/opa/stats/heap_change?compare=v1..v2&compare=x HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n",
		"GET /products/opa?old=v1&new=v2&below=%zz HTTP/1.1\r\nHost: a\r\nAccept: text/html,*/*\r\nCookie: relcheck=a.1.b; relcheck=\"\r\n\r\n",
		"GET /p/opa/repos/a/b/releases/latest HTTP/1.0\r\nUser-Agent: Open Policy Agent/1.10.1 (linux, amd64)\r\nIf-None-Match: \"x\"\r\n\r\n",
		"GET /sign-in?link=rcl_b&next=/%2f%2fevil HTTP/1.1\r\nHost: a\r\nReferer: http://b/\r\n\r\n",
		"POST /sign-in HTTP/1.1\r\nHost: a\r\nOrigin: null\r\nCookie: relcheck-form=1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 12\r\n\r\ntoken=%&next",
		"GET /assets/%2e%2e/style.css HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip;q=0, *\r\nRange: bytes=-1\r\n\r\n",
		"GET /metrics HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer rcr_aaaaaaaa_b\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "GET http://b//healthz/../readyz HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	s := newServiceWith(f, serviceOptions{Options: server.Options{PublicStats: true, PublicThreshold: 10}}, catalog.Release{Tag: "v1.0.0"})
	handler := s.handler.Handler()
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			return
		}
		r.RemoteAddr = "192.0.2.1:1"
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Fatalf("got status %d, want less than 500: %s", w.Code, w.Body)
		}
		for name, values := range w.Header() {
			if strings.ContainsAny(strings.Join(values, ""), "\r\n\x00") {
				t.Errorf("got header %s: %q, want no line breaks", name, values)
			}
		}
		if to := w.Header().Get("Location"); to != "" && (!strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.HasPrefix(to, "/\\")) {
			t.Errorf("got redirect to %q, want a path on this server", to)
		}
		if w.Code >= 400 && !strings.HasPrefix(w.Header().Get("Content-Type"), "text/") {
			checkErrorFormat(t, w)
		}
	})
}

// checkErrorFormat checks the format of an error response.
func checkErrorFormat(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	var body struct {
		Error struct{ Code, Message string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.Error.Code == "" || body.Error.Message == "" {
		t.Errorf("status %d: got body %q (error %v), want a code and a message", w.Code, w.Body, err)
	}
	if w.Code == http.StatusMethodNotAllowed && w.Header().Get("Allow") == "" {
		t.Error("got status 405 without Allow")
	}
}
