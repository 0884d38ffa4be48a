package access_test

import (
	"strings"
	"testing"
	"time"

	"relcheck/checker/access"
)

func TestToken(t *testing.T) {
	now := time.Now()
	a, text := access.NewToken("a", access.Read, now)
	b, other := access.NewToken("a", access.Read, now)
	if a.ID == b.ID || text == other || a.Hash == b.Hash {
		t.Errorf("got tokens %s and %s, want different IDs, texts and hashes", text, other)
	}
	if access.TokenID(text) != a.ID || !a.Matches(text) || !a.Allows(access.Read) {
		t.Errorf("%s: got token %+v, want one that matches and allows reading", text, a)
	}
	if a.Matches(other) || a.Matches("") || a.Matches(text[:len(text)-1]) || a.Allows(access.Admin) {
		t.Errorf("%+v matches another text or allows administration, want neither", a)
	}
	if a.Revoked = now; a.Allows(access.Read) {
		t.Error("revoked token allows reading, want it to allow nothing")
	}
}

// A scope permits only itself; Admin permits all.
func TestScopes(t *testing.T) {
	for _, has := range append(access.Scopes, "", "write") {
		token, _ := access.NewToken("a", has, time.Now())
		for _, needed := range append(access.Scopes, "", "write") {
			known := needed != "" && needed != "write"
			if want := known && (has == needed || has == access.Admin); token.Allows(needed) != want {
				t.Errorf("token of scope %q: got %v for Allows(%q), want %v", has, !want, needed, want)
			}
		}
		if token.Revoked = time.Now(); token.Valid() || token.Allows(has) {
			t.Errorf("revoked token of scope %q: got Valid %v, Allows(%[1]q) %v, want false", has, token.Valid(), token.Allows(has))
		}
	}
}

func TestNormalize(t *testing.T) {
	_, text := access.NewToken("a", access.Read, time.Now())
	for _, pasted := range []string{text, " " + text + "\r\n", strings.ToUpper(text), text[:30] + "\n  " + text[30:]} {
		if got := access.Normalize(pasted); got != text {
			t.Errorf("Normalize(%q) = %q, want %q", pasted, got, text)
		}
	}
}

func TestTokenID(t *testing.T) {
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
		if got := access.TokenID(text); got != want {
			t.Errorf("TokenID(%q) = %q, want %q", text, got, want)
		}
	}
}

// TestNamed checks that the newest valid token of a name or ID is found.
func TestNamed(t *testing.T) {
	var all []access.Token
	for _, name := range []string{"a", "b", "a", "a"} {
		token, _ := access.NewToken(name, access.Read, time.Now())
		all = append(all, token)
	}
	all[3].Revoked = time.Now()
	for name, want := range map[string]*access.Token{"a": &all[2], "b": &all[1], all[0].ID: &all[0], all[3].ID: nil, "c": nil, "": nil} {
		if got := access.Named(all, name); got != want {
			t.Errorf("Named(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestParseScope(t *testing.T) {
	for name, valid := range map[string]bool{"read": true, "release": true, "admin": true, "": false, "Read": false, "root": false} {
		if got, err := access.ParseScope(name); (err == nil) != valid || valid && got != access.Scope(name) {
			t.Errorf("ParseScope(%q) = %q, %v, want valid %t", name, got, err, valid)
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
			t.Errorf("CheckName(%q) = %v, want an error: %v", name, err, !want)
		}
	}
}

func FuzzTokenID(f *testing.F) {
	_, text := access.NewToken("a", access.Read, time.Now())
	f.Add(text)
	f.Add("rcr__")
	f.Fuzz(func(t *testing.T, text string) {
		clean := access.Normalize(text)
		if access.Normalize(clean) != clean {
			t.Errorf("Normalize(%q) = %q, and normalizing that again gives %q", text, clean, access.Normalize(clean))
		}
		if id := access.TokenID(clean); id != "" && !strings.Contains(clean, "_"+id+"_") {
			t.Errorf("TokenID(%q) = %q, want a part of it", clean, id)
		}
	})
}
