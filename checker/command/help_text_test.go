package command

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

func eachCommand(cmd *cobra.Command, f func(*cobra.Command)) {
	f(cmd)
	for _, c := range cmd.Commands() {
		eachCommand(c, f)
	}
}

// TestHelp checks the help of all commands on terminals of two widths: it begins with what
// the command does and an example, and no line is too long.
func TestHelp(t *testing.T) {
	for _, width := range []int{80, 140} {
		eachCommand(newRoot(IO{}), func(c *cobra.Command) {
			text := helpText(c, width)
			for line := range strings.Lines(text) {
				if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > width {
					t.Errorf("%s, %d columns: line of %d: %s", c.CommandPath(), width, n, line)
				}
			}
			paragraphs := strings.Split(text, "\n\n")
			if strings.HasPrefix(c.CommandPath(), "relcheck completion") { // its texts are cobra's
				return
			}
			if !strings.HasPrefix(paragraphs[0], strings.TrimRight(strings.SplitAfter(c.Short, " ")[0], " ")) || !strings.HasPrefix(paragraphs[1], "Examples:\n  relcheck ") {
				t.Errorf("%s: help does not begin with a description and an example:\n%s", c.CommandPath(), text)
			}
			if lines := strings.Count(paragraphs[0], "\n") + 1; lines > 5 {
				t.Errorf("%s: %d lines before the example", c.CommandPath(), lines)
			}
		})
	}
}

// TestJSONFlag checks that the commands that list or show something have --json.
func TestJSONFlag(t *testing.T) {
	found := 0
	eachCommand(newRoot(IO{}), func(c *cobra.Command) {
		switch c.Name() {
		case "list", "show", "inspect", "audit", "stats", "version", "check", "simulate":
			if found++; c.Flags().Lookup("json") == nil {
				t.Errorf("%s has no --json", c.CommandPath())
			}
		}
	})
	if found < 15 {
		t.Errorf("got %d commands, want at least 15", found)
	}
}
