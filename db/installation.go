package db

import "relcheck/checker/stats/rollup"

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
