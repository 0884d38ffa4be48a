package upstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"relcheck/checker"
	"relcheck/checker/catalog"
)

// TestExport checks that an exported list is read without loss.
func TestExport(t *testing.T) {
	full := catalog.Layer{
		Title:      new("The “first” release <b>&amp;</b>"),
		Notes:      new("https://example.com/?a=1&b=2#c"),
		Text:       new("# Title\n\n\ttab, “quotes”, \\u0000, \u00a0, 👨\u200d💻, \ufffd, \u2028\n"),
		Created:    new(time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC)),
		Published:  new(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)),
		Prerelease: new(true),
		Withdrawn:  new(true),
		Reason:     new(strings.Repeat("ü", maxReason)),
		Files: []catalog.File{
			{Platform: checker.Platform{OS: "linux", Arch: "arm64"}}, // the platform has no file
			{Name: "a", SHA256: emptySum},
			{Name: "a", Platform: checker.Platform{OS: "linux", Arch: "amd64"}, URL: "https://example.com/a?x=1&y=2"},
			{Name: "b", URL: "https://example.com/b", Size: 1 << 50, SHA256: emptySum, SHA512: emptySum + emptySum, MediaType: "application/gzip"},
		},
		List: "go:example.com/opa",
		Gone: true,
	}
	falsy := catalog.Layer{Title: new(""), Notes: new(""), Text: new(""), Prerelease: new(false), Withdrawn: new(false), Reason: new(""), Files: []catalog.File{}}
	entries := []catalog.Entry{
		{Tag: "v1.0.0+k3s1", Upstream: full, Operator: &falsy},
		{Tag: "v1.0.0+k3s2", Upstream: falsy, Operator: &full},
		{Tag: "cli/v1.2.3", Operator: &catalog.Layer{}},
		{Tag: "nightly"},
		{Tag: "2026-05-01", Draft: true},
		{Tag: `"<&>`, Upstream: catalog.Layer{Text: new(strings.Repeat("a", catalog.MaxText))}},
		{Tag: strings.Repeat("a", catalog.MaxTag)},
	}
	product := catalog.Product{Name: "opa", Title: "Open <Policy> Agent", Match: "<2", MinAge: 24 * time.Hour, RequireFiles: true, Prefixes: "cli/v"}
	var b bytes.Buffer
	if err := WriteExport(&b, product, each(entries)); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	got, err := ReadReleases(&b)
	if err != nil {
		t.Fatal(err)
	}
	// Drafts come last.
	settings := got.Settings // see below
	got.Settings = nil
	want := catalog.List{Name: "file", Whole: true, Entries: append(append(entries[:4:4], entries[5:]...), entries[4])}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	var file struct {
		Releases []struct {
			Operator struct{ Files []map[string]any }
		}
	}
	if err := json.Unmarshal([]byte(text), &file); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"name": "opa", "title": product.Title, "match": "<2", "min_age": "24h", "require_files": "true", "tag_prefixes": "cli/v", "repo": ""} {
		if got, ok := settings[name]; got != want || !ok {
			t.Errorf("product's %s: got %q, want %q", name, got, want)
		}
	}
	if got := file.Releases[1].Operator.Files[2]["platform"]; got != "linux/amd64" {
		t.Errorf("platform of a file: got %v, want linux/amd64", got)
	}
	if lines := strings.Count(text, "\n"); lines != len(entries)+2 {
		t.Errorf("got %d lines, want one for each of %d releases", lines, len(entries))
	}
}

func TestExportOfNothing(t *testing.T) {
	var b bytes.Buffer
	if err := WriteExport(&b, catalog.Product{Name: "opa"}, each(nil)); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadReleases(&b); err != nil || !got.Whole || got.Entries != nil || got.Settings["name"] != "opa" {
		t.Errorf("got %+v, error %v, want an empty whole list of opa", got, err)
	}
}

func TestExportToFullDisk(t *testing.T) {
	r, w := io.Pipe()
	full := errors.New("disk is full")
	r.CloseWithError(full)
	entries := []catalog.Entry{{Tag: "v1", Upstream: catalog.Layer{Text: new(strings.Repeat("a", catalog.MaxText))}}}
	if err := WriteExport(w, catalog.Product{Name: "opa"}, each(entries)); !errors.Is(err, full) {
		t.Errorf("got error %v, want %v", err, full)
	}
	if err := WriteExport(w, catalog.Product{Name: "opa"}, each(nil)); !errors.Is(err, full) {
		t.Errorf("short export: got error %v, want %v", err, full)
	}
}

// TestHostileExport checks what is ignored in an export that relcheck did not write.
func TestHostileExport(t *testing.T) {
	export := func(entry string) string {
		return `{"relcheck_export":1,"product":7,"x":"\ud83d","releases":[` + entry + `,{"tag":"v9"}]}`
	}
	tests := []struct {
		name, entry, skipped string
		taken                bool
	}{
		{"title", `{"tag":"v1","operator":{"title":"\u001b[31m"}}`, `entry 1 (tag "v1"): operator: title: `, false},
		{"notes", `{"tag":"v1","upstream":{"notes":"javascript:x"}}`, `entry 1 (tag "v1"): upstream: notes: `, false},
		{"list", `{"tag":"v1","upstream":{"list":"\u001b[31m"}}`, `entry 1 (tag "v1"): upstream: list: `, false},
		{"long text", `{"tag":"v1","upstream":{"body":"` + strings.Repeat("a", catalog.MaxText+1) + `"}}`, "", true},
		{"types", `{"tag":"v1","upstream":{"withdrawn":"yes"}}`, `entry 1 (tag "v1"): "/upstream/withdrawn" is a string, not true or false`, false},
		{"layer", `{"tag":"v1","operator":[]}`, `entry 1 (tag "v1"): "/operator" is an array, not an object`, false},
		{"date", `{"tag":"v1","upstream":{"published":"yesterday"}}`, `entry 1 (tag "v1"): "/upstream/published" is a string, not a date`, false},
		{"tag", `{"tag":"v1\u202e"}`, `entry 1 (tag "v1\u202e"): version: `, false},
		{"file", `{"tag":"v1","operator":{"files":[{"name":"a","url":"ftp://x"}]}}`, `entry 1 (tag "v1"): file "a": `, true},
		{"platform", `{"tag":"v1","operator":{"files":[{"name":"a","platform":"x"}]}}`, `entry 1 (tag "v1"): file "a": unknown platform "x/"`, true},
		{"files of one platform", `{"tag":"v1","operator":{"files":[{"platform":"linux/arm"},{"platform":"linux/arm"}]}}`, `file "": has the name of another file`, true},
		{"checksum", `{"tag":"v1","operator":{"files":[{"name":"a","sha256":"x","media_type":"\u001b"}]}}`, "", true},
		{"reason", `{"tag":"v1","operator":{"reason":"\u001b[31m\ud83d` + strings.Repeat("a", 1000) + `"}}`, "", true},
		{"null layers", `{"tag":"v1","upstream":null,"operator":null}`, "", true},
	}
	for _, test := range tests {
		got, err := ReadReleases(strings.NewReader(export(test.entry)))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if test.skipped == "" && got.Skipped != nil || test.skipped != "" && (len(got.Skipped) != 1 || !strings.Contains(got.Skipped[0], test.skipped)) {
			t.Errorf("%s: skipped %q, want %q", test.name, got.Skipped, test.skipped)
		}
		if got.Settings != nil {
			t.Errorf("%s: got settings %v, want none", test.name, got.Settings)
		}
		if taken := len(got.Entries) == 2; taken != test.taken {
			t.Errorf("%s: got %d entries, want v9 and v1: %t", test.name, len(got.Entries), test.taken)
		}
		for _, e := range got.Entries {
			checkLayer(t, &e.Upstream)
			if e.Operator != nil {
				checkLayer(t, e.Operator)
			}
		}
	}
}

// each returns a sequence of entries without errors.
func each(entries []catalog.Entry) iter.Seq2[catalog.Entry, error] {
	return func(yield func(catalog.Entry, error) bool) {
		for _, e := range entries {
			if !yield(e, nil) {
				return
			}
		}
	}
}
