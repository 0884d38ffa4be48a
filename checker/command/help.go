package command

import (
	"strings"

	"github.com/spf13/cobra"
)

// helpCommand is the command help. Unlike cobra's, it fails if there is no such command.
func helpCommand(IO) *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND...]",
		Short:   "Explain a command.",
		Example: "  relcheck help release add",

		Annotations: map[string]string{noEnvironment: "true"},
		Args:        cobra.ArbitraryArgs,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, prefix string) (names []string, _ cobra.ShellCompDirective) {
			if about, rest, err := cmd.Root().Find(args); err == nil && len(rest) == 0 {
				for _, c := range about.Commands() {
					if c.IsAvailableCommand() && strings.HasPrefix(c.Name(), prefix) {
						names = append(names, c.Name()+"\t"+c.Short)
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err == nil && len(rest) > 0 && about.HasSubCommands() {
				err = unknownCommand(about, rest)
			}
			if err != nil {
				return exit{statusUsage, err}
			}
			return about.Help()
		},
	}
}
