package catalog_test

import (
	"errors"
	"strings"
	"testing"

	"relcheck/checker"
	"relcheck/checker/catalog"
)

// What is wrong is told by the field, with what to say instead.
func TestMistakes(t *testing.T) {
	var e catalog.ReleasePatch
	long := "https://example.com/" + strings.Repeat("a", 2000)
	for what, c := range map[string]struct {
		err   error
		field string
	}{
		"a date in words":      {e.SetDate("yesterday"), "date"},
		"a day that is none":   {e.SetDate("2026-02-30"), "date"},
		"the year 10000":       {e.SetDate("9999-12-31T23:59:59-01:00"), "date"},
		"no date":              {e.SetDate(""), "date"},
		"a script":             {e.SetNotes("javascript:alert(1)"), "notes"},
		"a password":           {e.SetNotes("https://me:secret@example.com"), "notes"},
		"a long URL":           {e.SetNotes(long), "notes"},
		"a line break":         {e.SetNotes("https://example.com/\n"), "notes"},
		"NUL":                  {e.SetNotes("https://example.com/\x00"), "notes"},
		"no platform":          {e.SetAsset("linux", "https://example.com"), "assets"},
		"an unknown platform":  {e.RemoveAsset("amiga/m68k"), "assets"},
		"no URL":               {e.SetAsset("linux/amd64", ""), "assets"},
		"a file":               {e.SetAsset("linux/amd64", "file:///etc/passwd"), "assets"},
		"no version":           {catalog.CheckVersion("nightly"), "version"},
		"a version with space": {catalog.CheckVersion("1.0.0 "), "version"},
		"a long version":       {catalog.CheckVersion("1.0.0-" + strings.Repeat("a", 80)), "version"},
		"a name in capitals":   {catalog.CheckProduct(catalog.Product{Name: "App", Title: "App"}), "name"},
		"a path for a name":    {catalog.CheckProduct(catalog.Product{Name: "..", Title: "App"}), "name"},
		"no title":             {catalog.CheckProduct(catalog.Product{Name: "app"}), "title"},
		"a title in color":     {catalog.CheckProduct(catalog.Product{Name: "app", Title: "\x1b[31m"}), "title"},
		"a title that turns":   {catalog.CheckProduct(catalog.Product{Name: "app", Title: "a\u202eb"}), "title"},
		"a title that hides":   {catalog.CheckProduct(catalog.Product{Name: "app", Title: "a\u200bb"}), "title"},
		"a title of two lines": {catalog.CheckProduct(catalog.Product{Name: "app", Title: "a\u2028b"}), "title"},
		"a title of spaces":    {catalog.CheckProduct(catalog.Product{Name: "app", Title: "  "}), "title"},
		"a long title":         {catalog.CheckProduct(catalog.Product{Name: "app", Title: strings.Repeat("界", 101)}), "title"},
		"a script on Windows":  {catalog.CheckProduct(catalog.Product{Name: "app", Title: "App", Download: "{linux:https}{windows:javascript}://h/"}), "download"},
		"a password on Plan 9": {catalog.CheckProduct(catalog.Product{Name: "app", Title: "App", Notes: "https://{plan9:u:p@}h/"}), "notes"},
		"a file's fragment":    {e.SetAsset("linux/amd64", "https://example.com/#a"), "assets"},
		"a link that turns":    {e.SetAsset("linux/amd64", "https://example.com/\u202e"), "assets"},
		"notes that hide":      {e.SetNotes("https://example.com/\u200b"), "notes"},
		"an empty user":        {e.SetNotes("https://@example.com/"), "notes"},
		"no host":              {e.SetNotes("https://:443/"), "notes"},
		"not UTF-8":            {catalog.CheckProduct(catalog.Product{Name: "app", Title: "\xff"}), "title"},
		"a long template":      {catalog.CheckProduct(catalog.Product{Name: "app", Title: "App", Notes: long}), "notes"},
	} {
		m := (*catalog.FieldError)(nil)
		if !errors.As(c.err, &m) || m.Field != c.field || m.Text == "" {
			t.Errorf("%s: %v, want a mistake in %s", what, c.err, c.field)
		}
	}
	if err := catalog.CheckProduct(catalog.Product{Name: "app", Title: strings.Repeat("界", 100), Notes: "https://example.com/#{tag}"}); err != nil {
		t.Errorf("a long title, and notes within a page: %v", err)
	}
	if r := e.Apply(catalog.Release{Version: "v1.0.0"}); r.Notes != "" || r.Assets != nil || !r.Date.IsZero() {
		t.Errorf("what was refused is applied: %+v", r)
	}
}

// Apply leaves what it is given as it was: it may be tried again.
func TestApplyKeepsTheGiven(t *testing.T) {
	old := catalog.Release{Assets: map[checker.Platform]string{{OS: "linux", Arch: "amd64"}: "https://example.com"}}
	var e catalog.ReleasePatch
	if err := errors.Join(e.RemoveAsset("linux/amd64"), e.SetAsset("linux/arm64", "https://example.com/2")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if r := e.Apply(old); len(r.Assets) != 1 || len(old.Assets) != 1 || old.Assets[checker.Platform{OS: "linux", Arch: "amd64"}] == "" {
			t.Fatalf("%v became %v", old.Assets, r.Assets)
		}
	}
}
