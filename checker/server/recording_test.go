package server

import (
	"net/http/httptest"
	"testing"
)

func TestIsCrossOriginDoesNotAllocate(t *testing.T) {
	s, p := &Server{}, &product{origins: []string{"https://app.example.org", "app:"}}
	program, page := httptest.NewRequest("POST", "/v1/version", nil), httptest.NewRequest("POST", "/v1/version", nil)
	page.Header.Set("Origin", "https://evil.example")
	page.Header.Set("Sec-Fetch-Site", "cross-site")
	n := testing.AllocsPerRun(100, func() {
		if s.isCrossOrigin(program, p) || !s.isCrossOrigin(page, p) {
			t.Error("got a wrong result, want only the page cross-origin")
		}
	})
	if n > 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}
