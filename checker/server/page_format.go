package server

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"relcheck/checker/stats"
)

// unknown is shown where nothing is known.
const unknown = "–"

// space does not break a line: between a number and its unit.
const space = "\u00a0"

// show writes a value of a table for people.
func show(k stats.Kind, value any) string {
	switch v := value.(type) {
	case nil:
		return unknown
	case string:
		return v
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case stats.Day:
		return showDay(v)
	case int64:
		return showNumber(v)
	case float64:
		return showFloat(k, v)
	}
	return fmt.Sprint(value)
}

func showFloat(k stats.Kind, v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return unknown
	case k == stats.Share:
		return showShare(v)
	case k == stats.Change:
		return showChange(v)
	case k == stats.Bytes:
		return showBytes(v)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

func showDay(d stats.Day) string { return d.Time().Format("2" + space + "Jan" + space + "2006") }

// showNumber writes 1234567 as 1,234,567.
func showNumber(n int64) string {
	digits, sign := strconv.FormatInt(n, 10), ""
	if n < 0 {
		digits, sign = digits[1:], "−"
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return sign + b.String()
}

// showShare writes a share with one decimal. What is little is not nothing, and
// nearly all is not all.
func showShare(share float64) string {
	switch {
	case share > 0 && share < 0.0005:
		return "<" + space + "0.1" + space + "%"
	case share < 1 && share >= 0.9995:
		return ">" + space + "99.9" + space + "%"
	}
	return strconv.FormatFloat(share*100, 'f', 1, 64) + space + "%"
}

func showChange(c float64) string {
	percent := math.Abs(c * 100)
	text := strconv.FormatFloat(percent, 'f', 1, 64)
	switch {
	case percent >= 1000:
		text = showNumber(int64(math.Round(percent)))
	case text == "0.0":
		return "±" + "0" + space + "%"
	}
	if c < 0 {
		return "−" + text + space + "%"
	}
	return "+" + text + space + "%"
}

// showBytes writes a number of bytes with three digits: 12.3 MiB.
func showBytes(n float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	i := 0
	for math.Abs(n) >= 999.5 && i < len(units)-1 {
		n /= 1024
		i++
	}
	decimals := 0
	if i > 0 {
		decimals = max(0, 2-int(math.Floor(math.Log10(math.Max(1, n)))))
	}
	text := strconv.FormatFloat(n, 'f', decimals, 64)
	if decimals > 0 {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text + space + units[i]
}

// plural writes how many there are of something.
func plural(n int64, one, many string) string {
	if n == 1 {
		return "1" + space + one
	}
	return showNumber(n) + space + many
}
