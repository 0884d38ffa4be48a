package command

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"relcheck/checker/manual"
)

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

// unknownTopic returns an error about a word that names neither a command nor a topic of the
// manual, with what is probably meant, or the topics that mention it.
func unknownTopic(root *cobra.Command, word string) error {
	err := fmt.Errorf("unknown command or topic %q", word)
	var names []string
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	for _, t := range manual.Topics() {
		names = append(names, t.Name)
	}
	if name := nearest(word, names); name != "" {
		return fmt.Errorf("%w: did you mean %q?", err, name)
	}
	if elsewhere := commandsNamed(root, word); len(elsewhere) == 1 {
		return fmt.Errorf("%w: did you mean %q?", err, strings.TrimPrefix(elsewhere[0].CommandPath(), root.Name()+" "))
	}
	if found := manual.Mentioning(word); len(found) > 0 {
		return fmt.Errorf("%w: see relcheck help %s", err, strings.Join(found[:min(len(found), 3)], " or "))
	}
	return err
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
