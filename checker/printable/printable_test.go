package printable_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"relcheck/checker/printable"
)

var texts = map[string]struct{ text, err, clean string }{
	"plain":                  {text: "Open Policy Agent"},
	"punctuation":            {text: `R2-D2's "tool" <v1.0> & co; 100 % {x} \`},
	"spaces":                 {text: " a  b "},
	"accents":                {text: "Größe, naïve, e\u0301"},
	"Chinese":                {text: "开放策略代理"},
	"Arabic":                 {text: "وكيل"},
	"Hebrew with points":     {text: "שָׁלוֹם"},
	"Hindi":                  {text: "नीति"},
	"emoji":                  {text: "🛠\ufe0f tools 🚀"},
	"empty":                  {text: ""},
	"color sequence":         {"\x1b[31mred", "character 1 (U+001B)", "[31mred"},
	"C1 control":             {"a\u009b2Jb", "character 2 (U+009B)", "a 2Jb"},
	"NUL":                    {"ab\x00", "character 3 (U+0000)", "ab"},
	"DEL":                    {"\x7f", "character 1 (U+007F)", ""},
	"backspaces":             {"good\b\b\b\bbad", "character 5 (U+0008)", "good bad"},
	"tab":                    {"a\tb", "character 2 (U+0009)", "a b"},
	"line break":             {"a\r\nb", "character 2 (U+000D)", "a b"},
	"next line":              {"a\u0085b", "character 2 (U+0085)", "a b"},
	"line separator":         {"ä\u2028b", "character 2 (U+2028)", "ä b"},
	"paragraph separator":    {"a\u2029b", "character 2 (U+2029)", "a b"},
	"right-to-left override": {"invoice\u202egpj.exe", "character 8 (U+202E)", "invoicegpj.exe"},
	"isolate":                {"a\u2066b\u2069", "character 2 (U+2066)", "ab"},
	"right-to-left mark":     {"a\u200fb", "character 2 (U+200F)", "ab"},
	"Arabic letter mark":     {"a\u061cb", "character 2 (U+061C)", "ab"},
	"zero-width space":       {"pass\u200bword", "character 5 (U+200B)", "password"},
	"joiner":                 {"👩\u200d💻", "character 2 (U+200D)", "👩💻"},
	"non-joiner":             {"می\u200cخواهم", "character 3 (U+200C)", "میخواهم"},
	"byte order mark":        {"\ufeffa", "character 1 (U+FEFF)", "a"},
	"soft hyphen":            {"a\u00adb", "character 2 (U+00AD)", "ab"},
	"word joiner":            {"a\u2060b", "character 2 (U+2060)", "ab"},
	"language tag":           {"a\U000e0061b", "character 2 (U+E0061)", "ab"},
	"Hangul filler":          {"a\u3164b", "character 2 (U+3164)", "ab"},
	"grapheme joiner":        {"a\u034fb", "character 2 (U+034F)", "ab"},
	"no-break space":         {"a\u00a0b", "character 2 (U+00A0)", "a b"},
	"ideographic space":      {"a\u3000b", "character 2 (U+3000)", "a b"},
	"private use":            {"a\ue000b", "character 2 (U+E000)", "a b"},
	"unassigned":             {"a\u0378b", "character 2 (U+0378)", "a b"},
	"noncharacter":           {"a\uffffb", "character 2 (U+FFFF)", "a b"},
	"replacement character":  {"a\ufffdb", "character 2 (U+FFFD)", "a b"},
	"not UTF-8":              {"ä\xffb", "byte 3 (0xFF)", "ä b"},
	"incomplete UTF-8":       {"a\xe2\x80", "byte 2 (0xE2)", "a"},
	"surrogate":              {"a\xed\xa0\x80", "byte 2 (0xED)", "a"},
	"only invisible":         {"\u200b\u2060\u202e", "character 1 (U+200B)", ""},
}

func TestTexts(t *testing.T) {
	for name, want := range texts {
		if want.err == "" {
			want.clean = want.text
		}
		err := printable.Check(want.text)
		if (err == nil) != (want.err == "") || err != nil && !strings.HasPrefix(err.Error(), want.err) {
			t.Errorf("%s: Check returns %v, want an error that starts with %q", name, err, want.err)
		}
		if got := printable.Clean(want.text); got != want.clean {
			t.Errorf("%s: Clean returns %q, want %q", name, got, want.clean)
		}
	}
}

func TestCheckLabel(t *testing.T) {
	for label, ok := range map[string]bool{
		"a": true, strings.Repeat("界", 10): true,
		"": false, "  ": false, strings.Repeat("a", 11): false, strings.Repeat("界", 11): false, "a\u202e": false,
	} {
		if err := printable.CheckLabel(label, 10); (err == nil) != ok {
			t.Errorf("CheckLabel(%q) = %v, want an error: %v", label, err, !ok)
		}
	}
}

// No printable text contains a character of the unprintable Unicode classes, and the
// results of Clean and Mask are printable.
func FuzzText(f *testing.F) {
	for _, c := range texts {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, s string) {
		err := printable.Check(s)
		for _, r := range s {
			if forbidden := unicode.In(r, unicode.C, unicode.Zl, unicode.Zp, unicode.Bidi_Control, unicode.Join_Control,
				unicode.Noncharacter_Code_Point, unicode.Other_Default_Ignorable_Code_Point) || unicode.IsSpace(r) && r != ' '; forbidden && err == nil {
				t.Errorf("Check(%q) = nil, want an error because of %U", s, r)
			}
		}
		if err == nil && !utf8.ValidString(s) {
			t.Errorf("Check(%q) = nil, want an error because it is not UTF-8", s)
		}
		if err != nil && printable.Check(err.Error()) != nil {
			t.Errorf("Check(%q) = %q, want a printable error", s, err)
		}
		clean := printable.Clean(s)
		if printable.Check(clean) != nil || printable.Clean(clean) != clean || err == nil && clean != s {
			t.Errorf("Clean(%q) = %q, want printable text that Clean does not change", s, clean)
		}
		if mask := printable.Mask(s, '?'); printable.Check(mask) != nil || err == nil && mask != s {
			t.Errorf("Mask(%q) = %q, want printable text, and no change of printable text", s, mask)
		}
	})
}
