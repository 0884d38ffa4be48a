package chart

import (
	"math"
	"time"
)

// Count returns the words of an axis of whole numbers that begins at 0 and holds
// most, and the value at its end. Text says how to write them.
func Count(most float64, text func(float64) string) (ticks []Tick, end float64) {
	return Steps(math.Max(most, 4), 4, text)
}

// Steps is [Count] for any numbers, in up to n steps.
func Steps(most float64, n int, text func(float64) string) (ticks []Tick, end float64) {
	if most <= 0 || math.IsNaN(most) {
		most = 1
	}
	step := roundStep(most / float64(n))
	end = math.Ceil(most/step-1e-9) * step
	for i := 0; float64(i)*step <= end*(1+1e-9); i++ {
		value := float64(i) * step
		ticks = append(ticks, Tick{At: value / end, Text: text(value)})
	}
	return ticks, end
}

// roundStep is the least of 1, 2, 5, 10, 20 … that is no less than at.
func roundStep(at float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(at)))
	for _, n := range []float64{1, 2, 5} {
		if at <= n*power*(1+1e-9) {
			return n * power
		}
	}
	return 10 * power
}

// Days returns the words of an axis of days, each of which has the middle of its
// share of the width: some six at most where there is little room.
func Days(first time.Time, days int) (ticks []Tick) {
	for i := range days {
		day := first.AddDate(0, 0, i)
		if text, minor, ok := dayTick(day, days, i); ok {
			ticks = append(ticks, Tick{At: (float64(i) + 0.5) / float64(days), Text: text, Minor: minor})
		}
	}
	return ticks
}

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
