package command

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"relcheck/checker/manual"
)

// maxProse is the maximum width of prose in columns. Longer lines are hard to read.
const maxProse = 100

// helpCommand prints the help of a command or a topic of the manual.
func helpCommand(streams IO) *cobra.Command {
	var reference bool
	c := &cobra.Command{
		Use:     "help [COMMAND or TOPIC]",
		Short:   "Print the help of a command, or a topic of the manual.",
		Example: "  relcheck help release sync\n  relcheck help quick-start",
		Args:    cobra.ArbitraryArgs,
		ValidArgsFunction: func(*cobra.Command, []string, string) (all []cobra.Completion, _ cobra.ShellCompDirective) {
			for _, t := range manual.Topics() {
				all = append(all, cobra.CompletionWithDesc(t.Name, t.Title))
			}
			return all, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if reference {
				return printReference(streams.Out, cmd.Root())
			}
			if len(args) == 1 {
				if t, ok := manual.Find(args[0]); ok {
					return printRendered(streams.Out, t.Text)
				}
			}
			found, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usageError("no such command or topic: %s: relcheck help lists all", strings.Join(args, " "))
			}
			found.InitDefaultHelpFlag()
			if err := found.Help(); err != nil || found.HasParent() {
				return err
			}
			_, err = io.WriteString(streams.Out, topicList())
			return err
		},
	}
	c.Flags().BoolVar(&reference, "reference", false, "print a reference of all commands in Markdown")
	c.Flags().MarkHidden("reference") // it is for man pages
	return c
}

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
	_, err := io.WriteString(out, manual.Text(markdown, min(s.width, maxProse), heading))
	return err
}
