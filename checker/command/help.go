package command

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"relcheck/checker/manual"
)

// helpCommand prints the help of a command or a topic of the manual.
func helpCommand(streams IO) *cobra.Command {
	var reference bool
	c := &cobra.Command{
		Use:         "help [COMMAND or TOPIC]",
		Short:       "Print the help of a command, or a topic of the manual.",
		Example:     "  relcheck help release sync\n  relcheck help quick-start",
		Annotations: map[string]string{noEnvironment: "true"},
		Args:        cobra.ArbitraryArgs,
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
