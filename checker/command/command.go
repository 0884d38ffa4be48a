// Package command is relcheck's command line, one file a subcommand.
//
// The rules of its output hold for every command. Data goes to standard output
// and everything else to standard error: what was done, progress (on terminals
// only), and errors, one line each. The exit status is 0 when it was done, 1
// when it failed and 2 when it was misused. Every flag can be set by an
// environment variable too: --base-url by RELCHECK_BASE_URL.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"relcheck/db"
)

// Exit statuses. The last two are those of relcheck check --exit-code.
const (
	statusFailed   = 1
	statusMisused  = 2
	statusOutdated = 10
	statusNoAnswer = 11
)

// IO is what the commands are given from outside.
type IO struct {
	Schema   string   // the text of schema.sql
	Clock    db.Clock // what a server decides by what is old
	In       io.Reader
	Out, Err io.Writer
}

// exit is an error that sets the exit status. Its message may be empty.
type exit struct {
	status int
	err    error
}

func (e exit) Error() string { return e.err.Error() }
func (e exit) Unwrap() error { return e.err }

// misused returns an error about how a command was called.
func misused(format string, args ...any) error {
	return exit{statusMisused, fmt.Errorf(format, args...)}
}

// errQuiet fails without a message, for all has been said.
var errQuiet = errors.New("")

// Run executes one command and returns its exit status. SIGINT and SIGTERM end
// the command in good order, a second one ends it at once.
func Run(ctx context.Context, args []string, streams IO) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	defer stop()

	root, started := newRoot(streams), false
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		started = true
		return fromEnvironment(cmd)
	}
	root.SetArgs(args)
	cmd, err := root, refusePasswords(args)
	if err == nil {
		cmd, err = root.ExecuteContextC(ctx)
	}
	if err == nil {
		return 0
	}
	status := statusFailed
	if e := (exit{}); errors.As(err, &e) {
		status = e.status
	} else if !started { // cobra did not accept the arguments
		status = statusMisused
	}
	if text := inWords(err); text != "" {
		fmt.Fprintf(streams.Err, "relcheck: %s\n", masked(strings.ReplaceAll(text, "\n", "; ")))
		if status == statusMisused {
			fmt.Fprintf(streams.Err, "Run '%s --help' to see how it is used.\n", cmd.CommandPath())
		}
	}
	return status
}

// inWords is an error's text, without the words of package strconv about a value.
func inWords(err error) string {
	number := (*strconv.NumError)(nil)
	if !errors.As(err, &number) {
		return err.Error()
	}
	wanted := "give a whole number"
	switch {
	case number.Func == "ParseBool":
		wanted = "give true or false"
	case errors.Is(err, strconv.ErrRange):
		wanted = "give a smaller number"
	}
	return strings.Replace(err.Error(), number.Error(), wanted, 1)
}

func newRoot(streams IO) *cobra.Command {
	root := group("relcheck", "Record anonymous version reports and answer with the latest release", `
  relcheck serve                                        start the service on localhost:8080
  relcheck release sync opa                             learn the releases of Open Policy Agent
  OPA_TELEMETRY_SERVICE_URL=http://localhost:8080 opa run --server`,
		serveCommand(streams), runCommand(streams), versionCommand(streams), checkCommand(streams),
		productCommand(streams), releaseCommand(streams), exportCommand(streams), statsCommand(streams), copyCommand(streams), tokenCommand(streams), auditCommand(streams),
		backupCommand(streams), restoreCommand(streams), doctorCommand(streams), simulateCommand(streams))
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	root.SetHelpTemplate(helpTemplate)
	wantArguments(root)
	return root
}

// wantArguments has commands that say nothing else take as many arguments as their
// usage line names.
func wantArguments(cmd *cobra.Command) {
	if cmd.Args == nil {
		cmd.Args = asNamed
	}
	for _, c := range cmd.Commands() {
		wantArguments(c)
	}
}

func asNamed(cmd *cobra.Command, given []string) error {
	var named []string
	for _, word := range strings.Fields(cmd.Use)[1:] {
		if word[0] == '-' {
			break
		}
		named = append(named, word)
	}
	usage := strings.Join(append([]string{cmd.CommandPath()}, named...), " ")
	missing := named[min(len(given), len(named)):]
	missing = slices.DeleteFunc(slices.Clone(missing), func(word string) bool { return word[0] == '[' }) // optional
	switch {
	case len(given) > len(named):
		return fmt.Errorf("%q is too much here: %s", given[len(named)], usage)
	case len(missing) == 1:
		return fmt.Errorf("%s is missing: %s", missing[0], usage)
	case len(missing) > 1:
		return fmt.Errorf("%s are missing: %s", strings.Join(missing, " and "), usage)
	}
	return nil
}

// group is a command that does nothing but hold others.
func group(use, short, example string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Example: strings.TrimPrefix(example, "\n")}
	c.Args = cobra.NoArgs
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		cmd.SetOut(cmd.ErrOrStderr())
		cmd.Help()
		return exit{statusMisused, errQuiet}
	}
	c.AddCommand(commands...)
	return c
}

const helpTemplate = `{{with .Example}}{{.}}

{{end}}{{with (or .Long .Short)}}{{. | trimTrailingWhitespaces}}

{{end}}Usage:
  {{if .HasAvailableSubCommands}}{{.CommandPath}} COMMAND{{else}}{{.UseLine}}{{end}}
{{if .HasAvailableSubCommands}}
Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding }} {{.Short}}{{end}}{{end}}
{{else}}
Flags, each also an environment variable (--db is RELCHECK_DB):
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}
{{end}}`

// variable is the environment variable of a flag.
func variable(flag string) string {
	return "RELCHECK_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// environment marks a flag that was set from there.
const environment = "environment"

// typed reports whether a flag stands on the command line itself.
func typed(cmd *cobra.Command, flag string) bool {
	f := cmd.Flags().Lookup(flag)
	_, set := f.Annotations[environment]
	return f.Changed && !set
}

// fromEnvironment sets the flags that were not given from the environment.
func fromEnvironment(cmd *cobra.Command) error {
	var err error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		value := os.Getenv(variable(f.Name))
		if f.Changed || f.Name == "help" || value == "" || err != nil {
			return
		}
		if e := cmd.Flags().Set(f.Name, value); e != nil {
			err = misused("%s=%s: %w", variable(f.Name), value, e)
		}
		cmd.Flags().SetAnnotation(f.Name, environment, nil)
	})
	return err
}

// refusePasswords refuses those given as arguments, wherever they stand: whoever
// is on the machine can read them there.
func refusePasswords(args []string) error {
	for _, arg := range args {
		if value, ok := strings.CutPrefix(arg, "--"); ok {
			_, arg, _ = strings.Cut(value, "=")
		}
		if db.HasPassword(arg) {
			return misused("everyone on this machine can read a password on a command line; leave it out there " +
				"and put it into PGPASSWORD or ~/.pgpass, or the whole URL into RELCHECK_DB")
		}
	}
	return nil
}

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
