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

// paged requests a page with an Accept-Encoding header and a credential.
func (s *service) paged(t *testing.T, url, encoding string, c credential) reply {
	t.Helper()
	r := httptest.NewRequest("GET", url, nil)
	r.Header.Set("Accept-Encoding", encoding)
	if c.header != "" {
		r.Header.Set(c.header, c.value)
	}
	return s.visit(t, r)
}

// TestPageCachePermissions checks that clients with different permissions get different
// pages: all statistics with or without a button to sign out, or public figures.
func TestPageCachePermissions(t *testing.T) {
	s := newFleet(t, server.Options{PublicStats: true, PublicThreshold: 10})
	id, token := s.token(t)
	cookie, unknown := s.session(t, id), s.session(t, "aaaaaaaa")
	const url = "/products/opa?days=28"
	for round := range 3 {
		for client, c := range map[string]struct {
			credential
			all, signOut bool
		}{
			"token":           {bearer(token), true, false},
			"session":         {withCookie(cookie), true, true},
			"anonymous":       {credential{}, false, false},
			"unknown session": {withCookie(unknown), false, false},
		} {
			got := s.paged(t, url, "identity", c.credential)
			all, signOut, signIn := strings.Contains(got.body, `name="version"`), strings.Contains(got.body, `action="/sign-out"`), strings.Contains(got.body, `href="/sign-in"`)
			if got.StatusCode != http.StatusOK || all != c.all || signOut != c.signOut || signIn == c.all {
				t.Errorf("round %d: %s: got status %d, all statistics %t, sign out %t, sign in %t; want 200, %t, %t, %t", round, client, got.StatusCode, all, signOut, signIn, c.all, c.signOut, !c.all)
			}
			if got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("Referrer-Policy") != "no-referrer" || got.Header.Get("Content-Security-Policy") == "" {
				t.Errorf("round %d: %s: got headers %v, want no caching, no referrer and a content security policy", round, client, got.Header)
			}
		}
	}
	if n, _ := s.handler.CachedPages(); n < 2 {
		t.Errorf("got %d cached pages, want at least 2", n)
	}
	s.revoke(t, id)
	got := s.paged(t, url, "identity", bearer(token)) // a verified token is cached for a second
	for deadline := time.Now().Add(20 * time.Second); got.StatusCode == http.StatusOK && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		got = s.paged(t, url, "identity", bearer(token))
	}
	if got.StatusCode != http.StatusUnauthorized || strings.Contains(got.body, `name="version"`) {
		t.Errorf("with a revoked token: got status %d, want 401 without statistics", got.StatusCode)
	}
}

// TestPageCacheLimits checks that requests share a cached page, even with unknown
// parameters, and that the cache stays within its limits.
func TestPageCacheLimits(t *testing.T) {
	s := newFleet(t, server.Options{})
	_, token := s.token(t)
	s.handler.DisablePageRateLimit()
	cachedPages := func(url string) int {
		if got := s.paged(t, url, "gzip", bearer(token)); got.StatusCode != http.StatusOK {
			t.Errorf("%s: got status %d, want 200", url, got.StatusCode)
		}
		n, _ := s.handler.CachedPages()
		return n
	}
	const url = "/products/opa?days=28"
	for attempt := 0; cachedPages(url) != cachedPages(url+fmt.Sprintf("&x=%d", attempt)); attempt++ { // the view may expire in between
		if attempt == 4 {
			t.Fatal("every request added a page to the cache, want the same page")
		}
	}
	for days := range 40 {
		var wg sync.WaitGroup // concurrent requests for the same page
		for range 4 {
			wg.Go(func() { cachedPages(fmt.Sprintf("/products/opa?days=%d", days+2)) })
		}
		wg.Wait()
	}
	if n, bytes := s.handler.CachedPages(); n > server.MaxPages || n < 2 || bytes > server.MaxPageBytes {
		t.Errorf("got %d cached pages of %d bytes, want 2 to %d of up to %d", n, bytes, server.MaxPages, server.MaxPageBytes)
	}
}

// TestPageCompression checks that a cached page is the same with and without compression,
// and has the right headers.
func TestPageCompression(t *testing.T) {
	s := newFleet(t, server.Options{})
	_, token := s.token(t)
	plain, gzipped := s.paged(t, "/products/opa?days=7", "", bearer(token)), s.paged(t, "/products/opa?days=7", "br, gzip", bearer(token))
	z, err := gzip.NewReader(strings.NewReader(gzipped.body))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil || string(text) != plain.body || len(text) < 2*len(gzipped.body) {
		t.Errorf("got %d bytes from %d compressed ones (error %v), want the %d of the uncompressed page from at most half", len(text), len(gzipped.body), err, len(plain.body))
	}
	if plain.Header.Get("Content-Encoding") != "" || gzipped.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("got encodings %q and %q, want none and gzip", plain.Header.Get("Content-Encoding"), gzipped.Header.Get("Content-Encoding"))
	}
	if vary := fmt.Sprint(gzipped.Header.Values("Vary")); !strings.Contains(vary, "Accept-Encoding") || !strings.Contains(vary, "Cookie") {
		t.Errorf("got Vary %s, want Accept-Encoding and Cookie", vary)
	}
	for header, want := range map[string]bool{
		"": false, "gzip": true, "GZIP": true, "deflate, gzip;q=0.5": true, "gzip; q=1": true, "gzip;q=0": false, "gzip;\tQ=0": false, "gzip; q=0.000, br": false,
		"br": false, "x-gzip": false, "identity": false, "gzip;q=0.001": true, ";q=": false, ",,": false,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Encoding", header)
		if server.AcceptsGzip(r) != want {
			t.Errorf("Accept-Encoding %q: got gzip %t, want %t", header, !want, want)
		}
	}
}

// TestPageRate checks that a client that loads pages without a pause is throttled.
func TestPageRate(t *testing.T) {
	s := newFleet(t, server.Options{})
	_, token := s.token(t)
	begin, read := time.Now(), 0
	for read < server.PageBurst+server.PageBytesPerSecond/2 {
		got := s.paged(t, "/products/opa", "identity", bearer(token))
		if got.StatusCode != http.StatusOK {
			t.Fatalf("got status %d, want 200", got.StatusCode)
		}
		read += len(got.body)
	}
	if took := time.Since(begin); took < 450*time.Millisecond {
		t.Errorf("got %d bytes in %s, want at least 450ms", read, took)
	}
}
