package server

import (
	"net/url"
	"testing"
)

// TestTidied checks that empty parameters are removed, and that the two parameters for
// versions to compare are joined.
func TestTidied(t *testing.T) {
	for query, want := range map[string]string{
		"": "", "days=7": "days=7", "version=&os=linux&arch=": "os=linux", "old=v1&new=v2&days=7": "compare=v1..v2&days=7",
		"old=v1&new=&compare=a..b": "compare=v1..", "version=+v1.2+": "version=v1.2",
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		tidy, changed := tidied(values)
		if tidy.Encode() != want || changed != (query != want) {
			t.Errorf("tidied(%q) = %q, %t, want %q, %t", query, tidy.Encode(), changed, want, query != want)
		}
		if _, again := tidied(tidy); again {
			t.Errorf("tidied(%q) changes its own result", query)
		}
	}
}
