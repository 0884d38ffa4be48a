package db_test

import "testing"

// testBaseURL checks that a store knows the server that has started last.
func testBaseURL(t *testing.T, name string) {
	s := open(t, name)
	for _, want := range []string{"", "http://localhost:8080", "https://releases.example.com/relcheck", "https://releases.example.com/relcheck"} {
		if want != "" {
			must(t, s.SetBaseURL(t.Context(), want))
		}
		if got, err := open(t, name).BaseURL(t.Context()); err != nil || got != want {
			t.Errorf("got base URL %q (error %v), want %q", got, err, want)
		}
	}
}
