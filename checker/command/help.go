package command

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"relcheck/checker/manual"
)

// helpCommand prints the help of a command or a topic of the manual. Unlike cobra's, it fails
// if there is neither.
func helpCommand(streams IO) *cobra.Command {
	var reference bool
	c := &cobra.Command{
		Use:     "help [COMMAND... | TOPIC]",
		Short:   "Explain a command, or print a topic of the manual.",
		Example: "  relcheck help release add\n  relcheck help quick-start",

		Annotations: map[string]string{noEnvironment: "true"},
		Args:        cobra.ArbitraryArgs,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, prefix string) (names []string, _ cobra.ShellCompDirective) {
			if about, rest, err := cmd.Root().Find(args); err == nil && len(rest) == 0 {
				for _, c := range about.Commands() {
					if c.IsAvailableCommand() && strings.HasPrefix(c.Name(), prefix) {
						names = append(names, cobra.CompletionWithDesc(c.Name(), c.Short))
					}
				}
			}
			if len(args) == 0 {
				for _, t := range manual.Topics() {
					names = append(names, cobra.CompletionWithDesc(t.Name, t.Title))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
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
			about, rest, err := cmd.Root().Find(args)
			switch {
			case err == nil && len(rest) > 0 && !about.HasParent():
				err = unknownTopic(about, rest[0])
			case err == nil && len(rest) > 0 && about.HasSubCommands():
				err = unknownCommand(about, rest)
			}
			if err != nil {
				return exit{statusUsage, err}
			}
			if err := about.Help(); err != nil || about.HasParent() {
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
