// Package printable decides which text may be shown to people on pages, on
// terminals and in logs, whoever wrote it.
//
// Printable text is one line of valid UTF-8 made of letters, marks, digits,
// punctuation, symbols and the ASCII space. It holds none of these:
//
//   - control characters, with tabs, line breaks and the C1 controls: a terminal
//     may take them for commands;
//   - format characters, such as bidirectional controls, zero-width spaces and
//     joiners: they hide text or change the order in which it appears. This also
//     refuses emoji that are joined by U+200D, and U+200C in Persian: telling
//     these from abuse takes more than it is worth in a title;
//   - letters and marks that are invisible, such as U+3164;
//   - separators of lines and paragraphs, and all spaces but the ASCII space;
//   - characters for private use, unassigned ones, and U+FFFD, which stands for
//     text that is lost.
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

func notPrintable(r rune) bool { return !Rune(r) }

// Check returns an error that names the first character of s that is not
// printable, and its position from 1.
func Check(s string) error {
	at := strings.IndexFunc(s, notPrintable)
	if at < 0 {
		return nil
	}
	r, size := utf8.DecodeRuneInString(s[at:])
	if r == utf8.RuneError && size == 1 {
		return fmt.Errorf("byte %d is 0x%02X, which is not UTF-8: write the text in UTF-8", at+1, s[at])
	}
	return fmt.Errorf("character %d is %U, which cannot be shown: leave it out", utf8.RuneCountInString(s[:at])+1, r)
}

// CheckLabel returns an error unless s can be the title or the name of something:
// printable, not blank, and of at most so many characters.
func CheckLabel(s string, most int) error {
	if n := utf8.RuneCountInString(s); n > most || strings.TrimSpace(s) == "" {
		return fmt.Errorf("the text has %d characters: give 1 to %d, not only spaces", n, most)
	}
	return Check(s)
}

// Clean returns s if it is printable, and otherwise what of it is: format
// characters and invisible ones are removed, and a space takes the place of each
// run of spaces and other characters.
func Clean(s string) string {
	if strings.IndexFunc(s, notPrintable) < 0 {
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

// Mask returns s with a mark in place of each character that is not printable.
func Mask(s string, mark rune) string {
	return strings.Map(func(r rune) rune {
		if Rune(r) {
			return r
		}
		return mark
	}, s)
}
