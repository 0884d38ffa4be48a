package command

import (
	"strings"
	"unicode"

	"relcheck/checker/printable"
	"relcheck/checker/stats"
)

// masked replaces characters that a terminal could interpret as commands, and those
// that hide or reorder text.
func masked(s string) string { return printable.Mask(s, unicode.ReplacementChar) }

// show formats a value of a table. Text is masked because clients choose it.
func show(k stats.Kind, value any) string {
	if text, ok := value.(string); ok {
		return masked(text)
	}
	return stats.Show(k, value)
}

// counted is count with digits in groups: "1,200 reports".
func counted(n int64, noun string) string {
	_, noun, _ = strings.Cut(count(n, noun), " ")
	return stats.ShowNumber(n) + " " + noun
}

// count formats a number with a noun: "1 report", "2 reports".
func count(n int64, noun string) string { return printable.Count(n, noun) }
