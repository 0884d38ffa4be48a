package command

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"relcheck/checker/printable"
	"relcheck/db/backup"
	"relcheck/db/doctor"
)

func doctorCommand(streams IO) *cobra.Command {
	var name, files string
	keep := 30 * 24 * time.Hour
	var staleAfter time.Duration
	var backups backup.Schedule
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check the integrity of a store or a backup.",
		Long: `Check a store or a backup, and print one line per check: ok, warning, or PROBLEM with
what to do about it. Nothing is changed, and a running server is not interrupted. The
command reads the whole store, which takes a few seconds per million reports.

The exit status is 1 if there is a problem.`,
		Example: `  relcheck doctor
  relcheck doctor --db /mnt/backup/relcheck-1f0c9a7be2d45386-20260131T000000Z.db
  relcheck doctor --db /var/lib/relcheck/relcheck.db \
    --backup-dir /mnt/backup --files /srv/relcheck`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := requireFlags(cmd, [2]string{"backup-every", "backup-dir"}); err != nil {
				return err
			}
			d := newFindingPrinter(streams)
			d.environment(cmd.Root())
			for _, text := range processHazards() {
				d.report(doctor.Finding{Severity: doctor.Warning, Check: "process", Text: text})
			}
			return d.examine(cmd.Context(), name, doctor.Options{KeepReports: keep, Now: time.Now(), BackupDir: backups.Folder,
				BackupEvery: backups.Every, Files: files, StaleAfter: staleAfter, Report: d.report, Progress: d.bar})
		},
	}
	dbFlag(c, &name)
	filesFlag(c, &files)
	keepFlag(c, &keep, "keep-reports", "how long the server keeps reports")
	staleFlag(c, &staleAfter)
	scheduleFlags(c, &backups, "`folder` of scheduled backups to check (default: none)", "expected `time` between two scheduled backups")
	return c
}

// findingPrinter prints findings as soon as they are known.
type findingPrinter struct {
	*screen
	progress
	streams  IO
	problems int64
	warnings int64
}

func newFindingPrinter(streams IO) *findingPrinter {
	return &findingPrinter{screen: newScreen(streams.Out), progress: newProgress(streams.Err), streams: streams}
}

func (d *findingPrinter) examine(ctx context.Context, name string, o doctor.Options) error {
	err := doctor.Examine(ctx, name, o)
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
var marks = map[doctor.Severity]struct {
	word string
	as   style
}{doctor.OK: {"ok", faint}, doctor.Warning: {"warning", bold}, doctor.Problem: {"PROBLEM", bold}}

// report prints one finding, wrapped to the width of a terminal.
func (d *findingPrinter) report(f doctor.Finding) {
	const wide, check = len("PROBLEM"), len("environment")
	d.clear()
	switch f.Severity {
	case doctor.Problem:
		d.problems++
	case doctor.Warning:
		d.warnings++
	}
	mark := marks[f.Severity]
	head := d.styled(newText(mark.word).padded(wide+gap, false), mark.as).plus(newText(f.Check).padded(check+gap, false))
	lines := []string{masked(f.Text)}
	if d.fancy {
		lines = printable.Wrap(lines[0], d.screen.width-head.width)
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
func (d *findingPrinter) environment(root *cobra.Command) {
	for _, text := range unknownVariables(root) {
		d.report(doctor.Finding{Severity: doctor.Warning, Check: "environment", Text: text})
	}
	if d.warnings == 0 {
		d.report(doctor.Finding{Severity: doctor.OK, Check: "environment", Text: "every RELCHECK_ variable belongs to a flag"})
	}
}
