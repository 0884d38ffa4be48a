package stats

import (
	"math"
	"strconv"

	"relcheck/checker/stats/rollup"
)

// Show formats a value of a table for people: "-" if it is unknown.
func Show(k Kind, value any) string {
	switch v := value.(type) {
	case string:
		return v
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case rollup.Day:
		return v.String()
	case int64:
		return ShowNumber(v)
	case float64:
		return showFloat(k, v)
	}
	return "-"
}

func showFloat(k Kind, v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
	case k == Mean:
		return ShowMean(v)
	case k == Share:
		return ShowShare(v)
	case k == Change:
		return ShowChange(v)
	case k == Bytes:
		return ShowBytes(v)
	}
	return "-"
}

// ShowNumber formats 1234567 as 1,234,567.
func ShowNumber(n int64) string {
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

// ShowMean formats a mean with one decimal below 1,000, so that it fits its share of a sum. It
// does not round to 0.0, but uses <0.1.
func ShowMean(n float64) string {
	switch {
	case n > 0 && n < 0.05:
		return "<0.1"
	case n < 999.95:
		return strconv.FormatFloat(n, 'f', 1, 64)
	}
	return ShowNumber(int64(math.Round(n)))
}

// ShowShare formats a share with one decimal: 12.3 %. It does not round a share to 0.0 % or
// 100.0 %, but uses <0.1 % and >99.9 %.
func ShowShare(share float64) string {
	switch {
	case share > 0 && share < 0.0005:
		return "<0.1 %"
	case share < 1 && share >= 0.9995:
		return ">99.9 %"
	}
	return strconv.FormatFloat(100*share, 'f', 1, 64) + " %"
}

// ShowChange formats a change with one decimal and its sign: +4.1 %.
func ShowChange(change float64) string {
	text := strconv.FormatFloat(math.Abs(100*change), 'f', 1, 64)
	switch {
	case math.Abs(change) >= 10:
		text = ShowNumber(int64(math.Round(math.Abs(100 * change))))
	case text == "0.0":
		return text + " %"
	}
	if change < 0 {
		return "-" + text + " %"
	}
	return "+" + text + " %"
}

// ShowBytes formats a number of bytes with three digits, or fewer if that is exact:
// 12.3 MiB, 512 KiB.
func ShowBytes(n float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	unit := 0
	for ; n >= 999.5 && unit < len(units)-1; unit++ {
		n /= 1024
	}
	decimals := 0
	if unit > 0 && n != math.Trunc(n) {
		decimals = max(0, 2-int(math.Log10(math.Max(1, n))))
	}
	return strconv.FormatFloat(n, 'f', decimals, 64) + " " + units[unit]
}
