package server_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"relcheck/checker/server"
)

// paged asks for a page with a header, as it is or compressed.
func (s *service) paged(t *testing.T, url, encoding string, c credential) reply {
	t.Helper()
	r := httptest.NewRequest("GET", url, nil)
	r.Header.Set("Accept-Encoding", encoding)
	if c.header != "" {
		r.Header.Set(c.header, c.value)
	}
	return s.visit(t, r)
}

// Of those who ask for the same page, each gets his own, also when it is one that
// is kept: all figures, those and a way to sign out, or what everyone may see.
func TestKeptPagesAreOfOneAudience(t *testing.T) {
	s := newFleet(t, server.Options{PublicStats: true, PublicThreshold: 10})
	id, token := s.token(t)
	cookie, unknown := s.session(t, id), s.session(t, "aaaaaaaa")
	const url = "/products/opa?days=28"
	for round := range 3 {
		for who, c := range map[string]struct {
			credential
			all, signOut bool
		}{
			"a program":      {bearer(token), true, false},
			"a browser":      {withCookie(cookie), true, true},
			"anybody":        {credential{}, false, false},
			"a made-up name": {withCookie(unknown), false, false},
		} {
			got := s.paged(t, url, "identity", c.credential)
			all, signOut, signIn := strings.Contains(got.body, `name="version"`), strings.Contains(got.body, `action="/sign-out"`), strings.Contains(got.body, `href="/sign-in"`)
			if got.StatusCode != http.StatusOK || all != c.all || signOut != c.signOut || signIn == c.all {
				t.Errorf("round %d: %s has status %d, all figures: %v, can sign out: %v, can sign in: %v", round, who, got.StatusCode, all, signOut, signIn)
			}
			if got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("Referrer-Policy") != "no-referrer" || got.Header.Get("Content-Security-Policy") == "" {
				t.Errorf("round %d: the headers of %s are %v", round, who, got.Header)
			}
		}
	}
	if n, _ := s.handler.KeptPages(); n < 3 {
		t.Errorf("%d pages are kept", n)
	}
	s.revoke(t, id)
	time.Sleep(1100 * time.Millisecond) // a token is known for a second
	got := s.paged(t, url, "identity", bearer(token))
	if got.StatusCode != http.StatusUnauthorized || strings.Contains(got.body, `name="version"`) {
		t.Errorf("after the token was revoked: status %d", got.StatusCode)
	}
}

// A page is made once for all who ask for it in a moment, whatever parameters that
// mean nothing they add; and however many others are asked for, few are kept.
func TestPagesAreKept(t *testing.T) {
	s := newFleet(t, server.Options{})
	_, token := s.token(t)
	s.handler.Unpaced()
	kept := func(url string) int {
		if got := s.paged(t, url, "gzip", bearer(token)); got.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d", url, got.StatusCode)
		}
		n, _ := s.handler.KeptPages()
		return n
	}
	const url = "/products/opa?days=28"
	for attempt := 0; kept(url) != kept(url+fmt.Sprintf("&x=%d", attempt)); attempt++ { // its figures may be made anew just then
		if attempt == 4 {
			t.Fatal("each page is made anew")
		}
	}
	for days := range 40 {
		var all sync.WaitGroup // several make it at the same time
		for range 4 {
			all.Go(func() { kept(fmt.Sprintf("/products/opa?days=%d", days+2)) })
		}
		all.Wait()
	}
	if n, bytes := s.handler.KeptPages(); n > server.MaxPages || n < 2 || bytes > server.MaxPageBytes {
		t.Errorf("%d pages of %d bytes are kept", n, bytes)
	}
}

// A kept page is the same whether it is compressed or not, and says which.
func TestKeptPagesAreCompressed(t *testing.T) {
	s := newFleet(t, server.Options{PublicStats: true, PublicThreshold: 10})
	plain, zipped := s.paged(t, "/products/opa", "", credential{}), s.paged(t, "/products/opa", "br, gzip", credential{})
	z, err := gzip.NewReader(strings.NewReader(zipped.body))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil || string(text) != plain.body || len(text) < 2*len(zipped.body) {
		t.Errorf("%v: %d bytes, %d compressed, of %d", err, len(text), len(zipped.body), len(plain.body))
	}
	if plain.Header.Get("Content-Encoding") != "" || zipped.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("they are said to be %q and %q", plain.Header.Get("Content-Encoding"), zipped.Header.Get("Content-Encoding"))
	}
	if vary := fmt.Sprint(zipped.Header.Values("Vary")); !strings.Contains(vary, "Accept-Encoding") || !strings.Contains(vary, "Cookie") {
		t.Errorf("they vary by %s", vary)
	}
	for header, want := range map[string]bool{
		"": false, "gzip": true, "GZIP": true, "deflate, gzip;q=0.5": true, "gzip; q=1": true, "gzip;q=0": false, "gzip;\tQ=0": false, "gzip; q=0.000, br": false,
		"br": false, "x-gzip": false, "identity": false, "gzip;q=0.001": true, ";q=": false, ",,": false,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Encoding", header)
		if server.TakesGzip(r) != want {
			t.Errorf("%q: gzip is taken: %v", header, !want)
		}
	}
}

// Who reads without a pause waits for his turn.
func TestReadersArePaced(t *testing.T) {
	s := newFleet(t, server.Options{})
	_, token := s.token(t)
	begin, read := time.Now(), 0
	for read < server.BytesAtOnce+server.BytesASecond/2 {
		got := s.paged(t, "/products/opa", "identity", bearer(token))
		if got.StatusCode != http.StatusOK {
			t.Fatalf("status %d", got.StatusCode)
		}
		read += len(got.body)
	}
	if took := time.Since(begin); took < 450*time.Millisecond {
		t.Errorf("%d bytes took %s", read, took)
	}
}
