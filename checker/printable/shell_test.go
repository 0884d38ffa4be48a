package printable_test

import (
	"testing"

	"relcheck/checker/printable"
)

func TestQuoteShell(t *testing.T) {
	for _, c := range []struct{ arg, want string }{
		{"", "''"},
		{"v1.2.3+a_b/c@d-e", "v1.2.3+a_b/c@d-e"},
		{"http://localhost:8080", "http://localhost:8080"},
		{"$(id)", "'$(id)'"},
		{"`id`;é", "'`id`;é'"},
		{"it's", `'it'\''s'`},
		{"http://[::1]/?a&b", "'http://[::1]/?a&b'"},
	} {
		if got := printable.QuoteShell(c.arg); got != c.want {
			t.Errorf("QuoteShell(%q) = %s, want %s", c.arg, got, c.want)
		}
	}
}
