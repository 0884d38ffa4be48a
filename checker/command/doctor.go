package command

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"relcheck/db"
)

func doctorCommand(streams IO) *cobra.Command {
	var name string
	keep := retention(30 * 24 * time.Hour)
	var backups backupOptions
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check the integrity of a store or a backup.",
		Long: `Check a store or a backup, and print one line per check: ok, warning, or PROBLEM with
what to do about it. Nothing is changed, and a running server is not interrupted. The
command reads the whole store, which takes a few seconds per million reports.

The exit status is 1 if there is a problem.`,
		Example: `  relcheck doctor
  relcheck doctor --db /mnt/backup/relcheck-1f0c9a7be2d45386-20260131T000000Z.db
  relcheck doctor --db /var/lib/relcheck/relcheck.db --backup-dir /mnt/backup`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d := newDoctor(streams)
			d.environment(cmd.Root())
			for _, text := range processHazards() {
				d.tell(db.Finding{State: db.Warning, Check: "process", Text: text})
			}
			return d.examine(cmd.Context(), name, time.Duration(keep), backups)
		},
	}
	dbFlag(c, &name)
	c.Flags().Var(&keep, "keep-reports", "how long the server keeps reports")
	backups.scheduleFlags(c)
	return c
}

// doctor prints findings as soon as they are known.
type doctor struct {
	*screen
	progress
	streams  IO
	problems int64
	warnings int64
}

func newDoctor(streams IO) *doctor {
	return &doctor{screen: newScreen(streams.Out), progress: newProgress(streams.Err), streams: streams}
}

func (d *doctor) examine(ctx context.Context, name string, keep time.Duration, backups backupOptions) error {
	e := db.Examination{Keep: keep, Now: time.Now(), BackupDir: backups.folder, BackupEvery: time.Duration(backups.every), Tell: d.tell, Progress: d.bar}
	err := e.Examine(ctx, name)
	d.clear()
	switch {
	case err != nil:
		return err
	case d.problems > 0:
		return fmt.Errorf("%s, %s", count(d.problems, "problem"), count(d.warnings, "warning"))
	case d.warnings > 0:
		fmt.Fprintf(d.streams.Err, "no problem, %s\n", count(d.warnings, "warning"))
	}
	return nil
}

// marks are the words for the states of a finding, and their styles.
var marks = map[db.State]struct {
	word string
	as   style
}{db.OK: {"ok", faint}, db.Warning: {"warning", bold}, db.Problem: {"PROBLEM", bold}}

// tell prints one finding, wrapped to the width of a terminal.
func (d *doctor) tell(f db.Finding) {
	const wide, check = len("PROBLEM"), len("environment")
	d.clear()
	switch f.State {
	case db.Problem:
		d.problems++
	case db.Warning:
		d.warnings++
	}
	mark := marks[f.State]
	head := d.styled(newText(mark.word).padded(wide+gap, false), mark.as).plus(newText(f.Check).padded(check+gap, false))
	lines := []string{masked(f.Text)}
	if d.fancy {
		lines = wrap(lines[0], d.screen.width-head.width)
	}
	for i, line := range lines {
		if i > 0 {
			head = newText("").padded(head.width, false)
		}
		d.print(block{head.plus(newText(line))})
	}
	d.flush() // the next check may take a while
}

// environment warns about RELCHECK_ variables that belong to no flag.
func (d *doctor) environment(root *cobra.Command) {
	known := map[string]bool{}
	flagVariables(root, known)
	odd := 0
	for _, set := range os.Environ() {
		name, _, _ := strings.Cut(set, "=")
		if !strings.HasPrefix(name, "RELCHECK_") || known[name] {
			continue
		}
		odd++
		d.tell(db.Finding{State: db.Warning, Check: "environment", Text: name + " belongs to no flag: correct or unset it"})
	}
	if odd == 0 {
		d.tell(db.Finding{State: db.OK, Check: "environment", Text: "every RELCHECK_ variable belongs to a flag"})
	}
}

func flagVariables(c *cobra.Command, known map[string]bool) {
	c.Flags().VisitAll(func(f *pflag.Flag) { known[variable(f.Name)] = true })
	for _, sub := range c.Commands() {
		flagVariables(sub, known)
	}
}
