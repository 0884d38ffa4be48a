package server

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"testing"

	"relcheck/checker/privacy"
)

// TestReportFieldsAreDeclared checks that the review sheet explains every field that is decoded
// from a report, and no others.
func TestReportFieldsAreDeclared(t *testing.T) {
	var want, got []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[reportFields]()) {
		if !f.Anonymous {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			want = append(want, cmp.Or(name, f.Name))
		}
	}
	for _, f := range privacy.ReportFields {
		got = append(got, f.Name)
	}
	if want = append(want, "User-Agent"); !slices.Equal(got, want) {
		t.Errorf("got explanations of %q, want %q", got, want)
	}
}
