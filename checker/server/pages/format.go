package pages

import (
	"cmp"
	"fmt"
	"strings"

	"relcheck/checker/catalog"
	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

// unknown is shown in place of an unknown value.
const unknown = "–"

// nbsp is a no-break space, for use between a number and its unit.
const nbsp = "\u00a0"

// typography replaces the spaces and hyphens of a formatted number.
var typography = strings.NewReplacer(" ", nbsp, "-", "−")

func formatValue(k stats.Kind, value any) string {
	switch v := value.(type) {
	case string:
		return v
	case rollup.Day:
		return formatDay(v)
	}
	if text := stats.Show(k, value); text != "-" {
		return typography.Replace(text)
	}
	return unknown
}

// formatCount formats a count of a column of the kind Number or Mean.
func formatCount(c stats.Column, n float64) string {
	if c.Kind == stats.Mean {
		return formatValue(c.Kind, n)
	}
	return formatNumber(int64(n))
}

func formatDay(d rollup.Day) string { return d.Time().Format("2" + nbsp + "Jan" + nbsp + "2006") }

func formatNumber(n int64) string      { return typography.Replace(stats.ShowNumber(n)) }
func formatShare(share float64) string { return typography.Replace(stats.ShowShare(share)) }
func formatBytes(n float64) string     { return typography.Replace(stats.ShowBytes(n)) }

func plural(n int64, one, many string) string {
	if n == 1 {
		return "1" + nbsp + one
	}
	return formatNumber(n) + nbsp + many
}

// addReleases returns command lines that add releases to a product.
func addReleases(p catalog.Product) string {
	sync := "relcheck release sync " + p.Name
	if len(p.UpstreamList()) == 0 {
		sync = "relcheck product set " + p.Name + " --upstream github:" + cmp.Or(p.Repo, "OWNER/REPO") + " && " + sync
	}
	return fmt.Sprintf(`# from upstream:
%s
# or by hand:
relcheck release add %[2]s v1.0.0
# or from a file in GitHub's format:
relcheck release import %[2]s FILE`, sync, p.Name)
}
