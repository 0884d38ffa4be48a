package command

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"relcheck/checker/printable"
)

const (
	// pipedWidth is the width of help texts without a terminal, in columns.
	pipedWidth = 80
	// proseWidth is the maximum width of prose. Longer lines are hard to read.
	proseWidth = 100
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
	prose := min(width, proseWidth)
	section("", reflow(lead, prose))
	section("Examples", cmd.Example)
	section("", reflow(more, prose))
	if !cmd.HasAvailableSubCommands() {
		section("Usage", "  "+cmd.UseLine())
		title := "Flags"
		if example := environmentExample(cmd); example != "" {
			title = "Flags, also set by environment variables (" + example + ")"
		}
		section(title, cmd.LocalFlags().FlagUsagesWrapped(width))
		return b.String()
	}
	section("Usage", "  "+cmd.CommandPath()+" COMMAND")
	section("Commands", listCommands(cmd, "", width))
	for _, g := range cmd.Groups() {
		section(g.Title, listCommands(cmd, g.ID, width))
	}
	last := fmt.Sprintf("%s COMMAND --help explains a command.", cmd.CommandPath())
	if !cmd.HasParent() {
		last += " relcheck help lists the topics of the manual, and relcheck help TOPIC prints one."
	}
	section("", reflow(last, prose))
	return b.String()
}

// environmentExample names a flag of a command and its variable: --db by RELCHECK_DB. It is empty
// if the environment sets none of its flags.
func environmentExample(cmd *cobra.Command) (text string) {
	if cmd.Annotations[noEnvironment] != "" {
		return ""
	}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" && !f.Hidden && (text == "" || f.Name == "db") {
			text = "--" + f.Name + " by " + variable(f.Name)
		}
	})
	return text
}

// listCommands lists the commands of a group of the help text.
func listCommands(cmd *cobra.Command, group string, width int) string {
	var b strings.Builder
	for _, c := range cmd.Commands() {
		if c.GroupID == group && c.IsAvailableCommand() {
			name := fmt.Sprintf("  %-*s ", cmd.NamePadding(), c.Name())
			for _, line := range printable.Wrap(c.Short, width-len(name)) {
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
			p = strings.Join(printable.Wrap(p, width), "\n")
		}
		paragraphs = append(paragraphs, p)
	}
	return strings.Join(paragraphs, "\n\n")
}
