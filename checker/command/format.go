package command

import (
	"fmt"
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

// count formats a number with a noun: "1 report", "2 reports".
func count(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
