package chart

import (
	"math"
	"time"
)

// LinearTicks returns the ticks of an axis from 0 to at least maxValue, with up to n steps,
// and the value at the end of the axis. The function format formats a value.
func LinearTicks(maxValue float64, n int, format func(float64) string) (ticks []Tick, end float64) {
	if maxValue <= 0 || math.IsNaN(maxValue) {
		maxValue = 1
	}
	step := roundStep(maxValue / float64(n))
	end = math.Ceil(maxValue/step-1e-9) * step
	for i := 0; float64(i)*step <= end*(1+1e-9); i++ {
		value := float64(i) * step
		ticks = append(ticks, Tick{At: value / end, Text: format(value)})
	}
	return ticks, end
}

// roundStep returns the smallest of … 1, 2, 5, 10, 20 … that is at least atLeast.
func roundStep(atLeast float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(atLeast)))
	for _, n := range []float64{1, 2, 5} {
		if atLeast <= n*power*(1+1e-9) {
			return n * power
		}
	}
	return 10 * power
}

// DayTicks returns the ticks of an axis of days. A tick is in the middle of its day's
// part of the width. About six ticks at most are not minor.
func DayTicks(first time.Time, days int) (ticks []Tick) {
	for i := range days {
		day := first.AddDate(0, 0, i)
		if text, minor, ok := dayTick(day, days, i); ok {
			ticks = append(ticks, Tick{At: (float64(i) + 0.5) / float64(days), Text: text, Minor: minor})
		}
	}
	return ticks
}

// dayTick returns the tick of the i-th of a number of days, if it has one.
func dayTick(day time.Time, days, i int) (text string, minor, ok bool) {
	month, monday := int(day.Month()), day.Weekday() == time.Monday
	switch {
	case days <= 8:
		return day.Format("2 Jan"), i%2 == 1, true
	case days <= 45:
		return day.Format("2 Jan"), false, monday
	case days <= 120:
		if day.Day() == 1 {
			return day.Format("2 Jan"), false, true
		}
		return day.Format("2 Jan"), true, day.Day() == 15
	case days <= 500:
		return day.Format("Jan 06"), month%3 != 1, day.Day() == 1
	case days <= 1500:
		return day.Format("Jan 06"), month != 1, day.Day() == 1 && month%3 == 1
	}
	return day.Format("2006"), false, day.Day() == 1 && month == 1 && (days <= 2200 || day.Year()%2 == 0)
}
