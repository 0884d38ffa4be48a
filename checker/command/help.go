package command

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const (
	// pipedWidth is the width of help texts without a terminal, in columns.
	pipedWidth = 80
	// maxProse is the maximum width of prose. Longer lines are hard to read.
	maxProse = 100
)

// synonyms are words that people use for verbs.
var synonyms = map[string][]string{
	"add": {"create", "new"}, "list": {"ls"}, "remove": {"delete", "del", "rm"}, "set": {"edit", "update"}, "show": {"get", "info", "view"},
}

// prepare completes the settings of a command and of those below it.
func prepare(cmd *cobra.Command) {
	if cmd.Args == nil {
		cmd.Args = checkArgs
	}
	if cmd.HasSubCommands() {
		cmd.Args = unknownCommand
	}
	cmd.SuggestFor = synonyms[cmd.Name()]
	cmd.Flags().BoolP("help", "h", false, "print this help")
	for _, c := range cmd.Commands() {
		prepare(c)
	}
}

// printHelp prints the help of a command: what it does, examples, and then the details.
func printHelp(cmd *cobra.Command, _ []string) {
	w := cmd.OutOrStdout()
	width := pipedWidth
	if isTerminal(w) {
		width = newScreen(w).width
	}
	fmt.Fprint(w, helpText(cmd, width))
}

func helpText(cmd *cobra.Command, width int) string {
	var b strings.Builder
	lead, more, _ := strings.Cut(cmp.Or(cmd.Long, cmd.Short), "\n\n")
	section := func(title, text string) {
		if text = strings.TrimRight(text, "\n"); text == "" {
			return
		}
		if b.Len() > 0 {
			b.WriteString("\n")
		}
		if title != "" {
			b.WriteString(title + ":\n")
		}
		b.WriteString(text + "\n")
	}
	prose := min(width, maxProse)
	section("", reflow(lead, prose))
	section("Examples", cmd.Example)
	section("", reflow(more, prose))
	if !cmd.HasAvailableSubCommands() {
		section("Usage", "  "+cmd.UseLine())
		title := "Flags, also set by environment variables (--db by RELCHECK_DB)"
		if cmd.Annotations[noEnvironment] != "" {
			title = "Flags"
		}
		section(title, cmd.LocalFlags().FlagUsagesWrapped(width))
		return b.String()
	}
	section("Usage", "  "+cmd.CommandPath()+" COMMAND")
	section("Commands", listCommands(cmd, "", width))
	for _, g := range cmd.Groups() {
		section(g.Title, listCommands(cmd, g.ID, width))
	}
	section("", reflow(fmt.Sprintf("%s COMMAND --help explains a command.", cmd.CommandPath()), prose))
	return b.String()
}

// listCommands lists the commands of a group of the help text.
func listCommands(cmd *cobra.Command, group string, width int) string {
	var b strings.Builder
	for _, c := range cmd.Commands() {
		if c.GroupID == group && c.IsAvailableCommand() {
			name := fmt.Sprintf("  %-*s ", cmd.NamePadding(), c.Name())
			for _, line := range wrap(c.Short, width-len(name)) {
				b.WriteString(name + line + "\n")
				name = strings.Repeat(" ", len(name))
			}
		}
	}
	return b.String()
}

// reflow breaks paragraphs into lines. Indented lines stay as they are.
func reflow(text string, width int) string {
	var paragraphs []string
	for p := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n\n") {
		if p = strings.TrimLeft(p, "\n"); !strings.HasPrefix(p, " ") && !strings.HasPrefix(p, "\t") {
			p = strings.Join(wrap(p, width), "\n")
		}
		paragraphs = append(paragraphs, p)
	}
	return strings.Join(paragraphs, "\n\n")
}

// helpName is the name of the command that explains others.
const helpName = "help"

// helpCommand is that command. Unlike cobra's, it fails if there is no such command.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     helpName + " [COMMAND...]",
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

// unknownCommand returns an error about the first argument of a command that only holds
// other commands, with the command that is probably meant.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	below := strings.TrimPrefix(cmd.CommandPath()+" ", cmd.Root().Name()+" ")
	err := fmt.Errorf("unknown command %q", below+args[0])
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
			if slices.Contains(c.SuggestFor, args[0]) {
				return fmt.Errorf("%w: did you mean %q?", err, below+c.Name())
			}
		}
	}
	if name := nearest(args[0], names); name != "" {
		return fmt.Errorf("%w: did you mean %q?", err, below+name)
	}
	if elsewhere := commandsNamed(cmd.Root(), args[0]); len(elsewhere) == 1 {
		return fmt.Errorf("%w: did you mean %q?", err, strings.TrimPrefix(elsewhere[0].CommandPath(), cmd.Root().Name()+" "))
	}
	if !cmd.HasParent() { // it has too many
		return err
	}
	return fmt.Errorf("%w: use one of %s", err, strings.Join(names, ", "))
}

// commandsNamed returns all commands with a name.
func commandsNamed(cmd *cobra.Command, name string) (all []*cobra.Command) {
	for _, c := range cmd.Commands() {
		if c.Name() == name {
			all = append(all, c)
		}
		all = append(all, commandsNamed(c, name)...)
	}
	return all
}

// unknownFlag adds to an error about a flag what is probably meant.
func unknownFlag(cmd *cobra.Command, err error) error {
	unknown := (*pflag.NotExistError)(nil)
	if !errors.As(err, &unknown) || unknown.GetSpecifiedShortnames() != "" {
		return err
	}
	name := unknown.GetSpecifiedName()
	err = fmt.Errorf("unknown flag --%s", name)
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if found := nearest(name, names); found != "" {
		return fmt.Errorf("%w: did you mean --%s?", err, found)
	}
	if !cmd.HasSubCommands() {
		return err
	}
	names = nil
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return fmt.Errorf("%w: flags follow a command, one of %s", err, strings.Join(names, ", "))
}

// nearest returns the word that is probably meant, or "".
func nearest(word string, known []string) (found string) {
	least := 2 // at most one mistake
	if len(word) > 5 {
		least = 3
	}
	for _, k := range known {
		if d := distance(word, k); d < least {
			least, found = d, k
		}
	}
	for _, k := range known {
		if found == "" && len(word) > 1 && strings.HasPrefix(k, word) {
			found = k
		}
	}
	return found
}

// distance returns the number of mistakes between two words: characters that are missing,
// added, replaced, or swapped with the next one.
func distance(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replaced := d[i-1][j-1]
			if a[i-1] != b[j-1] {
				replaced++
			}
			d[i][j] = min(replaced, d[i-1][j]+1, d[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
