package printable

import "fmt"

// Count formats a number with a noun whose plural ends in s: "1 report", "2 reports".
func Count(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
