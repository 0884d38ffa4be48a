package command

import (
	"regexp"
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

// TestHelpNamesFlags checks that each flag that a help text names exists: in the command itself,
// or in the command that the same sentence or example names before it.
func TestHelpNamesFlags(t *testing.T) {
	words := regexp.MustCompile(`\bopa [a-z]+ --[a-z]+|relcheck((?: [a-z]+)+)|--[a-z][a-z-]*|\. |: |; |\n\n`)
	checked := 0
	eachCommand(newRoot(IO{}), func(c *cobra.Command) {
		if strings.HasPrefix(c.CommandPath(), "relcheck completion") { // its texts are cobra's
			return
		}
		text := strings.Join([]string{c.Short, c.Long, c.Example, c.LocalFlags().FlagUsages(), environmentExample(c)}, "\n\n")
		named := c
		for _, word := range words.FindAllString(text, -1) {
			flag, isFlag := strings.CutPrefix(word, "--")
			switch {
			case isFlag:
				checked++
				if c.Flags().Lookup(flag) == nil && named.Flags().Lookup(flag) == nil {
					t.Errorf("%s: its help names --%s, which neither it nor %s has", c.CommandPath(), flag, named.CommandPath())
				}
			case strings.HasPrefix(word, "relcheck"):
				if found, _, err := c.Root().Find(strings.Fields(word)[1:]); err == nil {
					named = found
				}
			default:
				named = c
			}
		}
	})
	if checked < 300 {
		t.Errorf("checked %d flags, want at least 300", checked)
	}
}
