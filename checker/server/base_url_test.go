package server_test

import (
	"testing"

	"relcheck/checker/server"
)

func TestCheckBase(t *testing.T) {
	for _, base := range []string{
		"http://localhost:8080", "https://example.com/", "https://example.com/releases", "https://example.com/releases/", "https://[::1]:8080/a.b/v1",
	} {
		if err := server.CheckBase(base); err != nil {
			t.Errorf("CheckBase(%q): got %v, want no error", base, err)
		}
	}
	for _, base := range []string{
		"", "example.com", "ftp://example.com", "https://", "https://me@example.com", "https://example.com?", "https://example.com/?a=b", "https://example.com/#", "https://example.com/a#b",
		"https://example.com/a//b", "https://example.com/a/../b", "https://example.com/.", "https://example.com/%61", "https://example.com/a;b", "https://example.com/a b", "https://example.com/ü", "https://example.com/\"",
		"https://example.com/p", "https://example.com/products/x", "https://example.com/v1", "https://example.com/repos", "https://example.com/assets", "https://example.com/sign-in/", "https://example.com/healthz", "https://example.com/api/v3",
	} {
		if err := server.CheckBase(base); err == nil {
			t.Errorf("CheckBase(%q): got no error", base)
		}
	}
}
