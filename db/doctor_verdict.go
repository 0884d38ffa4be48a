package db

import (
	"fmt"
	"strings"
	"time"
)

// tell tells of everything that was seen on the way through the log.
func (c *checking) tell() {
	c.tellStatistics()
	c.tellFold()
	c.tellRetention()
	if c.future > 0 {
		c.x.tell(Warning, "times", "there are reports of the future, up to %s: the clock of a server was ahead, or this one's is behind", asTime(c.future))
	}
}

func (c *checking) tellStatistics() {
	switch {
	case c.wrong > 0:
		c.x.tell(Problem, "statistics", "%d of them do not fit together or are not what the log says, among them %s; restore a backup, or take them for wrong", c.wrong, strings.Join(c.mistakes, "; "))
	case c.unknown > 0:
		c.x.tell(Problem, "statistics", "%d reports are of builds that the store does not know; restore a backup", c.unknown)
	case c.compared == 0:
		c.x.tell(OK, "statistics", "all fit together; no day is wholly in the log, to compare them with")
	default:
		c.x.tell(OK, "statistics", "all fit together; compared with the log, where it has whole days: %d", c.compared)
	}
}

func (c *checking) tellFold() {
	late := c.waiting > 0 && c.x.Now.Sub(time.Unix(c.since, 0)) > waitsLong
	switch {
	case late && c.x.serving:
		c.x.tell(Warning, "fold", "%d reports are not in the statistics yet, the first since %s: see the log of the server, or start one", c.waiting, asTime(c.since))
	case c.waiting > 0:
		c.x.tell(OK, "fold", "%d reports are not in the statistics yet; servers add them every few seconds", c.waiting)
	default:
		c.x.tell(OK, "fold", "every report is in the statistics")
	}
}

func (c *checking) tellRetention() {
	age := c.x.Now.Sub(time.Unix(c.oldest, 0))
	switch {
	case c.oldest == 0:
		c.x.tell(OK, "retention", "there is no report to remove")
	case c.x.Keep == 0:
		c.x.tell(OK, "retention", "reports are kept for good, the oldest is of %s", asTime(c.oldest))
	case age <= c.x.Keep+expiresLate:
		c.x.tell(OK, "retention", "the oldest report is of %s, and is kept until it is %s old", asTime(c.oldest), days(c.x.Keep))
	case c.x.serving:
		c.x.tell(Warning, "retention", "the oldest report is of %s, and should have been removed %s ago (--keep-reports): see the log of the server", asTime(c.oldest), days(age-c.x.Keep))
	default:
		c.x.tell(OK, "retention", "the oldest report is of %s, older by %s than it is kept; a server removes it an hour or two after its start", asTime(c.oldest), days(age-c.x.Keep))
	}
}

func asTime(seconds int64) string { return time.Unix(seconds, 0).UTC().Format(time.DateTime) }

// days writes a duration for people, to the hour.
func days(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= 2*day {
		return fmt.Sprintf("%d days", d.Round(day)/day)
	}
	return strings.TrimSuffix(d.Round(time.Hour).String(), "0m0s")
}
