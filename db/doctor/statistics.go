package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"relcheck/checker/printable"
	"relcheck/db"
)

const (
	// maxFoldDelay is after which time reports should be in the statistics.
	maxFoldDelay = time.Minute
	// maxExpiryDelay is how long reports may outlive their retention: servers remove them
	// once an hour, and not in their first hour.
	maxExpiryDelay = 3 * time.Hour
)

// checkStatistics compares the statistics with the log that they were computed from.
func (x *examination) checkStatistics(ctx context.Context) {
	c, err := x.CheckStatistics(ctx, x.Now, x.Progress)
	if err != nil {
		x.report(Problem, "statistics", "cannot be compared with the log: %v", err)
		return
	}
	switch {
	case c.Mismatches > 0:
		x.report(Problem, "statistics", "%d are inconsistent with each other or with the log, including %s; restore a backup, or treat them as unreliable", c.Mismatches, strings.Join(c.Examples, "; "))
	case c.UnknownBuilds > 0:
		x.report(Problem, "statistics", "%s of builds that are missing from the store; restore a backup", printable.Count(c.UnknownBuilds, "report"))
	case c.Compared == 0:
		x.report(OK, "statistics", "consistent; the log has no complete day to compare them with")
	default:
		x.report(OK, "statistics", "consistent; %d compared with complete days of the log", c.Compared)
	}
	x.reportFold(c)
	x.reportRetention(c)
	if c.Newest.Sub(x.Now) > maxClockAhead {
		x.report(Warning, "times", "there are reports from the future, up to %s: the clock of a server was ahead, or this one is behind", c.Newest.Format(time.DateTime))
	}
}

func (x *examination) reportFold(c *db.StatisticsCheck) {
	switch late := c.Unfolded > 0 && x.Now.Sub(c.UnfoldedSince) > maxFoldDelay; {
	case late && x.serving:
		x.report(Warning, "fold", "%s not in the statistics yet, the first since %s: see the log of the server, or start one", printable.Count(c.Unfolded, "report"), c.UnfoldedSince.Format(time.DateTime))
	case c.Unfolded > 0:
		x.report(OK, "fold", "%s not in the statistics yet; servers add them every few seconds", printable.Count(c.Unfolded, "report"))
	default:
		x.report(OK, "fold", "every report is in the statistics")
	}
}

func (x *examination) reportRetention(c *db.StatisticsCheck) {
	age, oldest := x.Now.Sub(c.Oldest), c.Oldest.Format(time.DateTime)
	switch {
	case c.Oldest.IsZero():
		x.report(OK, "retention", "there is no report to remove")
	case x.KeepReports == 0:
		x.report(OK, "retention", "reports are kept forever; the oldest is from %s", oldest)
	case age <= x.KeepReports+maxExpiryDelay:
		x.report(OK, "retention", "the oldest report is from %s; reports are kept for %s", oldest, formatDuration(x.KeepReports))
	case x.serving:
		x.report(Warning, "retention", "the oldest report is from %s, and should have been removed %s ago (--keep-reports): see the log of the server", oldest, formatDuration(age-x.KeepReports))
	default:
		x.report(OK, "retention", "the oldest report is from %s, and is %s past its retention; a server removes it an hour or two after its start", oldest, formatDuration(age-x.KeepReports))
	}
}

// formatDuration rounds to days, or to hours below two days.
func formatDuration(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= 2*day {
		return fmt.Sprintf("%d days", d.Round(day)/day)
	}
	return strings.TrimSuffix(d.Round(time.Hour).String(), "0m0s")
}
