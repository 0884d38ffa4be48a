package pages

import (
	"strings"

	"relcheck/checker/stats"
)

// unknown is shown where nothing is known.
const unknown = "–"

// space does not break a line: between a number and its unit.
const space = "\u00a0"

// typeset makes a number that was written plainly fit for a page.
var typeset = strings.NewReplacer(" ", space, "-", "−")

// show writes a value of a table for people.
func show(k stats.Kind, value any) string {
	switch v := value.(type) {
	case string:
		return v
	case stats.Day:
		return showDay(v)
	}
	if text := stats.Show(k, value); text != "-" {
		return typeset.Replace(text)
	}
	return unknown
}

func showDay(d stats.Day) string { return d.Time().Format("2" + space + "Jan" + space + "2006") }

func showNumber(n int64) string      { return typeset.Replace(stats.ShowNumber(n)) }
func showShare(share float64) string { return typeset.Replace(stats.ShowShare(share)) }
func showBytes(n float64) string     { return typeset.Replace(stats.ShowBytes(n)) }

// plural writes how many there are of something.
func plural(n int64, one, many string) string {
	if n == 1 {
		return "1" + space + one
	}
	return showNumber(n) + space + many
}
