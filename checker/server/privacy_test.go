package server

import (
	"cmp"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"relcheck/checker/server/pages"
)

// TestPrivacyPageFields checks that the privacy page explains every field that is decoded
// from a report, and no others.
func TestPrivacyPageFields(t *testing.T) {
	var want, got []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[reportFields]()) {
		if !f.Anonymous {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			want = append(want, cmp.Or(name, f.Name))
		}
	}
	page, err := pages.Privacy(pages.Visitor{}, pages.PrivacyData{})
	if err != nil {
		t.Fatal(err)
	}
	section, _, _ := strings.Cut(string(page), "</dl>")
	for _, m := range regexp.MustCompile(`<dt><code>(.*?)</code>`).FindAllStringSubmatch(section, -1) {
		got = append(got, strings.Split(m[1], ", ")...)
	}
	if want = append(want, "User-Agent"); !slices.Equal(got, want) {
		t.Errorf("got explanations of %q, want %q", got, want)
	}
}
