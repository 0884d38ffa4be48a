// Package printable decides which untrusted text may appear on pages, on terminals and
// in logs.
//
// Printable text is one line of valid UTF-8 that consists of letters, marks, digits,
// punctuation, symbols and ASCII spaces. It contains none of these:
//
//   - control characters, including tabs, line breaks and C1 controls: a terminal may
//     execute them;
//   - format characters, such as bidirectional controls, zero-width spaces and joiners:
//     they hide text or change its order. This also excludes emoji joined by U+200D, and
//     U+200C in Persian, because a title does not justify the code that would
//     distinguish these from abuse;
//   - invisible letters and marks, such as U+3164;
//   - line and paragraph separators, and spaces other than the ASCII space;
//   - private-use and unassigned characters, and U+FFFD, which replaces lost text.
package printable

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Rune reports whether a character is printable.
func Rune(r rune) bool {
	if r < utf8.RuneSelf {
		return ' ' <= r && r <= '~'
	}
	return unicode.IsPrint(r) && r != utf8.RuneError && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

func unprintable(r rune) bool { return !Rune(r) }

// Check returns an error if s is not printable. The error names the first unprintable
// character and its position, counted from 1.
func Check(s string) error {
	i := strings.IndexFunc(s, unprintable)
	if i < 0 {
		return nil
	}
	r, size := utf8.DecodeRuneInString(s[i:])
	if r == utf8.RuneError && size == 1 {
		return fmt.Errorf("byte %d (0x%02X) is not valid UTF-8: encode the text in UTF-8", i+1, s[i])
	}
	return fmt.Errorf("character %d (%U) is not printable: remove it", utf8.RuneCountInString(s[:i])+1, r)
}

// CheckLabel returns an error unless s can be a title or a name: it must be printable,
// must not be blank, and must have at most maxChars characters.
func CheckLabel(s string, maxChars int) error {
	if strings.TrimSpace(s) == "" {
		return fmt.Errorf("text is blank: use 1 to %d characters", maxChars)
	}
	if n := utf8.RuneCountInString(s); n > maxChars {
		return fmt.Errorf("text has %d characters: use at most %d", n, maxChars)
	}
	return Check(s)
}

// Clean returns s unchanged if it is printable. Otherwise it removes format characters
// and invisible characters, and replaces each run of spaces and other unprintable
// characters by one space.
func Clean(s string) string {
	if strings.IndexFunc(s, unprintable) < 0 {
		return s
	}
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		switch {
		case Rune(r):
			return r
		case unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point):
			return -1
		}
		return ' '
	}, s)), " ")
}

// Mask replaces each unprintable character of s by mark.
func Mask(s string, mark rune) string {
	return strings.Map(func(r rune) rune {
		if Rune(r) {
			return r
		}
		return mark
	}, s)
}
