package command

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"relcheck/checker/manual"
)

// printReference prints the help of a command, and then of the commands below it, in Markdown.
func printReference(out io.Writer, c *cobra.Command) error {
	if c.Hidden {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n%s\n", c.UseLine(), cmp.Or(c.Long, c.Short))
	if c.Example != "" {
		fmt.Fprintf(&b, "\n```sh\n%s\n```\n", strings.TrimSpace(strings.ReplaceAll(c.Example, "\n  ", "\n")))
	}
	c.InitDefaultHelpFlag()
	if usages := c.LocalFlags().FlagUsages(); !c.HasSubCommands() && usages != "" {
		fmt.Fprintf(&b, "\n```text\n%s```\n", usages)
	}
	b.WriteString("\n")
	if _, err := io.WriteString(out, b.String()); err != nil {
		return err
	}
	for _, below := range c.Commands() {
		if err := printReference(out, below); err != nil {
			return err
		}
	}
	return nil
}

// topicList lists the topics of the manual.
func topicList() string {
	var b strings.Builder
	b.WriteString("\nTopics of the manual:\n")
	for _, t := range manual.Topics() {
		fmt.Fprintf(&b, "  %-16s %s\n", t.Name, t.Title)
	}
	return b.String()
}

// printMarkdown prints a text in Markdown: rendered on a terminal, and as it is elsewhere.
func printMarkdown(out io.Writer, markdown string) error {
	if isTerminal(out) {
		return printRendered(out, markdown)
	}
	_, err := io.WriteString(out, markdown)
	return err
}

func printRendered(out io.Writer, markdown string) error {
	s := newScreen(out)
	heading := func(text string) string { return s.styled(newText(text), bold).string }
	_, err := io.WriteString(out, manual.Text(markdown, min(s.width, proseWidth), heading))
	return err
}
