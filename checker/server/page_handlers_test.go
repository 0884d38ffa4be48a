package server

import (
	"net/url"
	"testing"
)

// Empty parameters must be removed, and two versions to compare joined.
func TestTidied(t *testing.T) {
	for given, want := range map[string]string{
		"": "", "days=7": "days=7", "version=&os=linux&arch=": "os=linux", "old=v1&new=v2&days=7": "compare=v1..v2&days=7",
		"old=v1&new=&compare=a..b": "compare=v1..", "version=+v1.2+": "version=v1.2",
	} {
		values, err := url.ParseQuery(given)
		if err != nil {
			t.Fatal(err)
		}
		tidy, changed := tidied(values)
		if tidy.Encode() != want || changed != (given != want) {
			t.Errorf("tidied(%q) = %q, %t, want %q, %t", given, tidy.Encode(), changed, want, given != want)
		}
		if _, again := tidied(tidy); again {
			t.Errorf("tidied(%q) changes its own result", given)
		}
	}
}
