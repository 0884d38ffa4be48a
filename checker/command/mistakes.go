package command

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"relcheck/checker/manual"
	"relcheck/checker/printable"
)

// unknownCommand returns an error about the first argument of a command that only holds
// other commands, with the command that is probably meant.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	below := strings.TrimPrefix(cmd.CommandPath()+" ", cmd.Root().Name()+" ")
	err := fmt.Errorf("unknown command %q", below+args[0])
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && slices.Contains(c.SuggestFor, args[0]) {
			return fmt.Errorf("%w: did you mean %q?", err, below+c.Name())
		}
	}
	names := namesBelow(cmd)
	if name := printable.Nearest(args[0], names); name != "" {
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
	names := namesBelow(root)
	for _, t := range manual.Topics() {
		names = append(names, t.Name)
	}
	if name := printable.Nearest(word, names); name != "" {
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

// refuseHelp returns an error if the arguments ask for help about a command that does not
// exist, and the command that should contain it. Cobra would print the help of that one.
func refuseHelp(root *cobra.Command, args []string) (*cobra.Command, error) {
	if !slices.Contains(args, "--help") && !slices.Contains(args, "-h") {
		return root, nil
	}
	cmd, rest, err := root.Find(args)
	if err == nil && cmd.HasSubCommands() && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		err = unknownCommand(cmd, rest)
	}
	return cmd, err
}

// namesBelow returns the names of the commands that a command holds.
func namesBelow(cmd *cobra.Command) (names []string) {
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return names
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

// misplacedStore is an error about the name of a store that is not the value of --db.
type misplacedStore struct{ name string }

func (m misplacedStore) Error() string { return fmt.Sprintf("unexpected argument %q", m.name) }

// suggest adds to the error the command that is probably meant, given the arguments.
func (m misplacedStore) suggest(args []string) error {
	command := "relcheck"
	for i, arg := range args {
		if arg == m.name && !slices.Contains(args[:i], arg) {
			command += " --db"
		}
		command += " " + printable.QuoteShell(arg)
	}
	return fmt.Errorf("%w: did you mean: %s", m, command)
}

// looksLikeStore reports whether an argument is probably the name of a store.
func looksLikeStore(arg string) bool {
	info, err := os.Stat(arg)
	return err == nil && info.Mode().IsRegular() || slices.Contains([]string{".db", ".sqlite", ".sqlite3"}, filepath.Ext(arg)) ||
		strings.HasPrefix(arg, "postgres://") || strings.HasPrefix(arg, "postgresql://")
}

// unknownFlag adds to an error about a flag what is probably meant.
func unknownFlag(cmd *cobra.Command, err error) error {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return err
	}
	if short, _, _ := strings.Cut(unknown.GetSpecifiedShortnames(), "="); short != "" {
		if cmd.Flags().Lookup(short) != nil {
			return fmt.Errorf("unknown flag -%s: did you mean --%[1]s?", short)
		}
		return err
	}
	name := unknown.GetSpecifiedName()
	err = fmt.Errorf("unknown flag --%s", name)
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if found := printable.Nearest(name, names); found != "" {
		return fmt.Errorf("%w: did you mean --%s?", err, found)
	}
	if !cmd.HasSubCommands() {
		return err
	}
	return fmt.Errorf("%w: flags follow a command, one of %s", err, strings.Join(namesBelow(cmd), ", "))
}
