package pages

import (
	"strings"

	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

// unknown is shown where nothing is known.
const unknown = "–"

// nbsp does not break a line: between a number and its unit.
const nbsp = "\u00a0"

// typography makes a number that was written plainly fit for a page.
var typography = strings.NewReplacer(" ", nbsp, "-", "−")

// formatValue writes a value of a table for people.
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

func formatDay(d rollup.Day) string { return d.Time().Format("2" + nbsp + "Jan" + nbsp + "2006") }

func formatNumber(n int64) string      { return typography.Replace(stats.ShowNumber(n)) }
func formatShare(share float64) string { return typography.Replace(stats.ShowShare(share)) }
func formatBytes(n float64) string     { return typography.Replace(stats.ShowBytes(n)) }

// plural writes how many there are of something.
func plural(n int64, one, many string) string {
	if n == 1 {
		return "1" + nbsp + one
	}
	return formatNumber(n) + nbsp + many
}
