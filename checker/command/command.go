// Package command implements relcheck's command line, with one file per subcommand.
//
// All commands follow the same rules for output. Data goes to standard output.
// Results, progress (on terminals only) and errors go to standard error, one line
// each. The exit status is 0 on success, 1 on failure and 2 for invalid usage. Each
// flag can also be set by an environment variable: --base-url by RELCHECK_BASE_URL.
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
	"golang.org/x/term"

	"relcheck/db"
)

// Exit statuses. The last two belong to relcheck check --exit-code.
const (
	statusFailed   = 1
	statusUsage    = 2
	statusOutdated = 10
	statusNoAnswer = 11
)

// IO is what the commands need from their caller.
type IO struct {
	Schema   string   // the text of schema.sql
	Clock    db.Clock // decides when a server's reports and statistics have expired
	In       io.Reader
	Out, Err io.Writer
}

// done prints a line about what a command has done, unless err is an error. It returns err.
func (streams IO) done(err error, format string, args ...any) error {
	if err == nil {
		fmt.Fprintln(streams.Err, fmt.Sprintf(format, args...))
	}
	return err
}

// exit is an error that sets the exit status. Its message may be empty.
type exit struct {
	status int
	err    error
}

func (e exit) Error() string { return e.err.Error() }
func (e exit) Unwrap() error { return e.err }

// usageError returns an error about how a command was called.
func usageError(format string, args ...any) error {
	return exit{statusUsage, fmt.Errorf(format, args...)}
}

// errSilent makes a command fail without a message of its own.
var errSilent = errors.New("")

// Run executes one command and returns its exit status. The first SIGINT or SIGTERM
// cancels the command's context, the second kills the process.
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
		cmd, err = refuseHelp(root, args)
	}
	if err == nil {
		cmd, err = root.ExecuteContextC(ctx)
	}
	if err == nil {
		return 0
	}
	status := statusFailed
	if e, ok := errors.AsType[exit](err); ok {
		status = e.status
	} else if !started { // cobra did not accept the arguments
		status = statusUsage
	}
	if e, ok := errors.AsType[misplacedStore](err); ok {
		err, status = e.suggest(args), statusUsage
	}
	if cmd.Annotations[onlyFailed] != "" {
		status = statusFailed
	}
	if text := errorText(err); text != "" {
		fmt.Fprintf(streams.Err, "relcheck: %s\n", masked(strings.ReplaceAll(text, "\n", "; ")))
		if status == statusUsage {
			path := strings.TrimSuffix(cmd.CommandPath(), " help")
			fmt.Fprintf(streams.Err, "Run '%s --help' for usage and examples.\n", path)
		}
	}
	return status
}

// errorText returns an error's text, with a hint in place of package strconv's message.
func errorText(err error) string {
	number, ok := errors.AsType[*strconv.NumError](err)
	if !ok {
		return err.Error()
	}
	hint := "enter a whole number"
	switch {
	case number.Func == "ParseBool":
		hint = "enter true or false"
	case errors.Is(err, strconv.ErrRange):
		hint = "enter a smaller number"
	}
	return strings.Replace(err.Error(), number.Error(), hint, 1)
}

func newRoot(streams IO) *cobra.Command {
	root := group("relcheck", "Record anonymous version reports and answer with the latest release.", `
  relcheck serve                # start the service on localhost:8080
  relcheck release sync opa     # add the releases of Open Policy Agent
  OPA_TELEMETRY_SERVICE_URL=http://localhost:8080 opa run --server`)
	add := func(id, title string, commands ...*cobra.Command) {
		root.AddGroup(&cobra.Group{ID: id, Title: title})
		for _, c := range commands {
			c.GroupID = id
		}
		root.AddCommand(commands...)
	}
	add("service", "Service", serveCommand(streams), healthcheckCommand(streams), policyCommand(streams), backupCommand(streams), restoreCommand(streams), copyCommand(streams), doctorCommand(streams))
	add("catalog", "Products and releases", productCommand(streams), releaseCommand(streams), presetCommand(streams), dialectCommand(streams), fileCommand(streams), bundleCommand(streams), keyCommand(streams))
	add("statistics", "Statistics and access", statsCommand(streams), siteCommand(streams), exportCommand(streams), tokenCommand(streams), auditCommand(streams))
	add("client", "Client", checkCommand(streams), runCommand(streams), versionCommand(streams))
	add("other", "Other", simulateCommand(streams))
	b := thisBuild()
	root.Version = fmt.Sprintf("%s, commit %s, %s, %s", b.Version, b.Commit, b.Go, b.Platform)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	root.SetHelpFunc(printHelp)
	root.SetFlagErrorFunc(unknownFlag)
	root.SetHelpCommand(helpCommand(streams))
	root.SetHelpCommandGroupID("other")
	root.SetCompletionCommandGroupID("other")
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	if completion, _, err := root.Find([]string{"completion"}); err == nil {
		completion.Short = "Generate a completion script for a shell."
		for _, shell := range completion.Commands() {
			shell.Short += "."
			shell.Annotations = map[string]string{noEnvironment: "true"}
		}
	}
	prepare(root)
	return root
}

// checkArgs compares the arguments with the command's usage line.
func checkArgs(cmd *cobra.Command, args []string) error {
	var names []string
	for _, word := range strings.Fields(cmd.Use)[1:] {
		if word[0] == '-' {
			break
		}
		names = append(names, word)
	}
	usage := strings.Join(append([]string{cmd.CommandPath()}, names...), " ")
	if len(args) > len(names) {
		if flag := cmd.Flags().Lookup("db"); flag != nil && !flag.Changed && looksLikeStore(args[len(names)]) {
			return misplacedStore{args[len(names)]}
		}
		return fmt.Errorf("unexpected argument %q: usage: %s", args[len(names)], usage)
	}
	missing := slices.DeleteFunc(slices.Clone(names[len(args):]), func(word string) bool { return word[0] == '[' }) // optional
	if len(missing) > 0 {
		return fmt.Errorf("missing %s: usage: %s", strings.Join(missing, " and "), usage)
	}
	return nil
}

// group returns a command that only holds other commands.
func group(use, short, example string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Example: strings.TrimPrefix(example, "\n")}
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		cmd.SetOut(cmd.ErrOrStderr())
		cmd.Help()
		return exit{statusUsage, errSilent}
	}
	c.AddCommand(commands...)
	return c
}

// Annotations of commands.
const (
	noEnvironment = "noEnvironment" // the environment does not set its flags
	onlyFailed    = "onlyFailed"    // its exit status is 0 or 1
)

// refusePasswords returns an error if an argument contains a password: other users of
// the machine can read command lines.
func refusePasswords(args []string) error {
	for _, arg := range args {
		if value, ok := strings.CutPrefix(arg, "--"); ok {
			_, arg, _ = strings.Cut(value, "=")
		}
		if db.HasPassword(arg) {
			return usageError("a password on the command line is visible to all users of this machine: " +
				"remove it, and set PGPASSWORD, ~/.pgpass, or RELCHECK_DB with the whole URL")
		}
	}
	return nil
}

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
