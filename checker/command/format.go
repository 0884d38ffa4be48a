package command

import (
	"math"
	"strconv"

	"relcheck/checker/stats"
)

// show writes a value of a table for people; "-" is what is not known.
func show(k stats.Kind, value any) string {
	switch v := value.(type) {
	case string:
		return printable(v)
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case stats.Day:
		return v.String()
	case int64:
		return showNumber(v)
	case float64:
		switch {
		case math.IsNaN(v) || math.IsInf(v, 0):
		case k == stats.Share:
			return showShare(v)
		case k == stats.Change:
			return showChange(v)
		case k == stats.Bytes:
			return showBytes(v)
		}
	}
	return "-"
}

// showNumber writes 1234567 as 1,234,567.
func showNumber(n int64) string {
	digits := strconv.FormatInt(n, 10)
	first := 0
	if n < 0 {
		first = 1
	}
	for i := len(digits) - 3; i > first; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// showShare writes a share with one decimal. What is little is not nothing, and
// nearly all is not all.
func showShare(share float64) string {
	switch {
	case share > 0 && share < 0.0005:
		return "<0.1 %"
	case share < 1 && share >= 0.9995:
		return ">99.9 %"
	}
	return strconv.FormatFloat(100*share, 'f', 1, 64) + " %"
}

func showChange(change float64) string {
	text := strconv.FormatFloat(math.Abs(100*change), 'f', 1, 64)
	switch {
	case math.Abs(change) >= 10:
		text = showNumber(int64(math.Round(math.Abs(100 * change))))
	case text == "0.0":
		return text + " %"
	}
	if change < 0 {
		return "-" + text + " %"
	}
	return "+" + text + " %"
}

// showBytes writes a number of bytes with three digits, or fewer if it is that
// exactly: 12.3 MiB, 512 KiB.
func showBytes(n float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	unit := 0
	for ; n >= 999.5 && unit < len(units)-1; unit++ {
		n /= 1024
	}
	decimals := 0
	if unit > 0 && n != math.Trunc(n) {
		decimals = max(0, 2-int(math.Floor(math.Log10(math.Max(1, n)))))
	}
	return strconv.FormatFloat(n, 'f', decimals, 64) + " " + units[unit]
}
