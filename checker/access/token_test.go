package access_test

import (
	"strings"
	"testing"
	"time"

	"relcheck/checker/access"
)

func TestToken(t *testing.T) {
	now := time.Now()
	a, text := access.New("a", access.Read, now)
	b, other := access.New("a", access.Read, now)
	if a.ID == b.ID || text == other || a.Hash == b.Hash {
		t.Errorf("two tokens are alike: %s and %s", text, other)
	}
	if access.ID(text) != a.ID || !a.Is(text) || !a.Allows(access.Read) {
		t.Errorf("%s is not its own token %+v", text, a)
	}
	if a.Is(other) || a.Is("") || a.Is(text[:len(text)-1]) || a.Allows(access.Admin) {
		t.Errorf("%+v lets in what it should not", a)
	}
	if a.Revoked = now; a.Allows(access.Read) {
		t.Error("a revoked token allows to read")
	}
}

// Only admin takes in the others.
func TestScopes(t *testing.T) {
	for _, has := range append(access.Scopes, "", "write") {
		k, _ := access.New("a", has, time.Now())
		for _, asked := range append(access.Scopes, "", "write") {
			known := asked != "" && asked != "write"
			if want := known && (has == asked || has == access.Admin); k.Allows(asked) != want {
				t.Errorf("a token of scope %q allows %q: %v", has, asked, !want)
			}
		}
		if k.Revoked = time.Now(); k.Valid() || k.Allows(has) {
			t.Errorf("a revoked token of scope %q is valid", has)
		}
	}
}

func TestClean(t *testing.T) {
	_, text := access.New("a", access.Read, time.Now())
	for _, sent := range []string{text, " " + text + "\r\n", strings.ToUpper(text), text[:30] + "\n  " + text[30:]} {
		if got := access.Clean(sent); got != text {
			t.Errorf("%q became %q", sent, got)
		}
	}
}

func TestID(t *testing.T) {
	secret := strings.Repeat("a", 52)
	for text, want := range map[string]string{
		"rcr_abcdefg2_" + secret:        "abcdefg2",
		"rcr_abcdefg2_" + secret + "a":  "",
		"rcr_abcdefg2_" + secret[1:]:    "",
		"rcr_abcdefg2_" + secret + "\n": "",
		"rcr_abcdefg1_" + secret:        "",
		"rcx_abcdefg2_" + secret:        "",
		"rcr_abcdefg2":                  "",
		"abcdefg2":                      "",
		"":                              "",
	} {
		if got := access.ID(text); got != want {
			t.Errorf("%q has id %q, want %q", text, got, want)
		}
	}
}

func TestCheckName(t *testing.T) {
	for name, want := range map[string]bool{
		"grafana": true, "Zoë's laptop": true, strings.Repeat("界", 100): true,
		"": false, "  ": false, strings.Repeat("a", 101): false,
		"a\nb": false, "\x1b[31m": false, "a\u202eb": false, "a\u200bb": false, "a\u2028b": false, "\xff": false,
	} {
		if err := access.CheckName(name); (err == nil) != want {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func FuzzID(f *testing.F) {
	_, text := access.New("a", access.Read, time.Now())
	f.Add(text)
	f.Add("rcr__")
	f.Fuzz(func(t *testing.T, text string) {
		clean := access.Clean(text)
		if access.Clean(clean) != clean {
			t.Errorf("%q is not clean after one time", text)
		}
		if id := access.ID(clean); id != "" && !strings.Contains(clean, "_"+id+"_") {
			t.Errorf("%q has id %q", text, id)
		}
	})
}
