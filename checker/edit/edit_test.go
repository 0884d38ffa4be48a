package edit_test

import (
	"errors"
	"strings"
	"testing"

	"relcheck/checker"
	"relcheck/checker/edit"
)

// What is wrong is told by the field, with what to say instead.
func TestMistakes(t *testing.T) {
	var e edit.Release
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
		"an unknown platform":  {e.TakeAsset("amiga/m68k"), "assets"},
		"no URL":               {e.SetAsset("linux/amd64", ""), "assets"},
		"a file":               {e.SetAsset("linux/amd64", "file:///etc/passwd"), "assets"},
		"no version":           {edit.CheckVersion("nightly"), "version"},
		"a version with space": {edit.CheckVersion("1.0.0 "), "version"},
		"a long version":       {edit.CheckVersion("1.0.0-" + strings.Repeat("a", 80)), "version"},
		"a name in capitals":   {edit.CheckProduct(checker.Product{Name: "App", Title: "App"}), "name"},
		"a path for a name":    {edit.CheckProduct(checker.Product{Name: "..", Title: "App"}), "name"},
		"no title":             {edit.CheckProduct(checker.Product{Name: "app"}), "title"},
		"a title in color":     {edit.CheckProduct(checker.Product{Name: "app", Title: "\x1b[31m"}), "title"},
		"not UTF-8":            {edit.CheckProduct(checker.Product{Name: "app", Title: "\xff"}), "title"},
		"a long template":      {edit.CheckProduct(checker.Product{Name: "app", Title: "App", Notes: long}), "notes"},
	} {
		m := (*edit.Mistake)(nil)
		if !errors.As(c.err, &m) || m.Field != c.field || m.Text == "" {
			t.Errorf("%s: %v, want a mistake in %s", what, c.err, c.field)
		}
	}
	if r := e.Apply(checker.Release{Version: "v1.0.0"}); r.Notes != "" || r.Assets != nil || !r.Date.IsZero() {
		t.Errorf("what was refused is applied: %+v", r)
	}
}

// Apply leaves what it is given as it was: it may be tried again.
func TestApplyKeepsTheGiven(t *testing.T) {
	old := checker.Release{Assets: map[checker.Platform]string{{OS: "linux", Arch: "amd64"}: "https://example.com"}}
	var e edit.Release
	if err := errors.Join(e.TakeAsset("linux/amd64"), e.SetAsset("linux/arm64", "https://example.com/2")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if r := e.Apply(old); len(r.Assets) != 1 || len(old.Assets) != 1 || old.Assets[checker.Platform{OS: "linux", Arch: "amd64"}] == "" {
			t.Fatalf("%v became %v", old.Assets, r.Assets)
		}
	}
}
