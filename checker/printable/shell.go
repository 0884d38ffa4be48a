package printable

import "strings"

// QuoteShell quotes an argument of a printed command, so that a shell passes it on
// unchanged. Arguments without special characters stay as they are.
func QuoteShell(arg string) string {
	special := func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune("._/@-:+,", r)
	}
	if arg != "" && strings.IndexFunc(arg, special) < 0 {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}
