package db

import (
	"relcheck/checker"
	"relcheck/checker/stats/rollup"
)

// installationCounts has what a batch adds to the counts of installations, by build.
type installationCounts map[buildID]rollup.Installations

func (c installationCounts) add(id buildID, n rollup.Installations) {
	if n.IsZero() {
		return
	}
	sum := c[id]
	sum.Add(n)
	c[id] = sum
}

// addInstallations ends inserts into installation_count.
const addInstallations = ` ON CONFLICT (product, day, build, node) DO UPDATE SET
	daily = installation_count.daily + excluded.daily, weekly = installation_count.weekly + excluded.weekly,
	monthly = installation_count.monthly + excluded.monthly, new = installation_count.new + excluded.new,
	back7 = installation_count.back7 + excluded.back7, back28 = installation_count.back28 + excluded.back28`

// logged is what the log and the counts get of an entry, besides its build.
type logged struct {
	installations rollup.Installations
	remembers     bool // the client remembers its last answer; without an instance ID, it always does
	heap          *int64
}

func (l *logged) first() bool { return l.installations.Daily > 0 }

// on returns what is recorded of the entry on a day. Exact heaps could link the reports of an
// installation that sends no instance ID, so only the first one of a day is recorded, and only
// as exactly as it is counted.
func (e *entry) on(day int64) (l logged) {
	anonymous := e.instance == [16]byte{}
	if e.last == checker.CannotRemember && !anonymous {
		return logged{heap: e.heap}
	}
	l = logged{rollup.CountLast(e.last, rollup.Day(day)), anonymous || rollup.Remembers(e.last, rollup.Day(day)), e.heap}
	if anonymous && e.heap != nil {
		l.heap = nil
		if l.first() {
			rounded := int64(rollup.HeapOf(rollup.HeapBucket(*e.heap)))
			l.heap = &rounded
		}
	}
	return l
}
