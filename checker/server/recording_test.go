package server

import (
	"net/http/httptest"
	"testing"
)

// To tell programs from web pages takes no memory.
func TestOriginTakesNoMemory(t *testing.T) {
	s, p := &Server{}, &product{origins: []string{"https://app.example.org", "app:"}}
	program, page := httptest.NewRequest("POST", "/v1/version", nil), httptest.NewRequest("POST", "/v1/version", nil)
	page.Header.Set("Origin", "https://evil.example")
	page.Header.Set("Sec-Fetch-Site", "cross-site")
	n := testing.AllocsPerRun(100, func() {
		if s.isCrossOrigin(program, p) || !s.isCrossOrigin(page, p) {
			t.Error("wrong")
		}
	})
	if n > 0 {
		t.Errorf("there are %v allocations", n)
	}
}
