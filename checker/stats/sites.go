package stats

import (
	"slices"
	"strings"

	"relcheck/checker/stats/rollup"
)

// withSites are the tables whose counts of sites can be added to others.
var withSites = []string{"installations", "installations_daily", "installations_weekly", "installations_monthly", "installation_versions", "installation_platforms",
	"daily", "weekly", "monthly", "adoption", "adoption_curves", "adoption_speed", "checks", "heap_histogram"}

// site returns the site that the query selects, or nil.
func (v *View) site() *rollup.SiteTotals {
	i := slices.IndexFunc(v.Sites, func(s rollup.SiteTotals) bool { return s.Name == v.Query.Site })
	if i < 0 {
		return nil
	}
	return &v.Sites[i]
}

// sitesNote describes how a table counts sites, or returns "" if the view has none.
func (v *View) sitesNote(table string) string {
	var names []string
	for _, s := range v.Sites {
		if s.Included {
			names = append(names, s.Name+" (through "+s.Through.String()+")")
		}
	}
	sites := strings.Join(names, ", ")
	switch {
	case len(names) == 0:
		return ""
	case table == "lifetimes":
		return "without sites: " + sites
	case slices.Contains(withSites, table):
		return "with sites: " + sites
	}
	return "with sites: " + sites + "; of a site, distinct instances in a range are a lower bound: the largest count of a day, week or four weeks in it"
}
