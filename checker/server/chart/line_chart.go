package chart

import (
	"html/template"
	"math"
)

// LineChart draws series as lines over evenly spaced points. The first one is on top.
type LineChart struct {
	Frame
	Max    float64 // value at the top of the Y axis
	Series []Series
	Titles []string // exact values of each point
}

// SVG draws the chart.
func (c LineChart) SVG() template.HTML {
	return c.draw(func(s *svg) {
		n := len(c.Titles)
		if n == 0 {
			return
		}
		s.add(markup(`<svg y="`), c.top(), markup(`" width="100%" height="`), c.Height, markup(`" viewBox="0 0 `), n, markup(` `), c.Height,
			markup(`" preserveAspectRatio="none" aria-hidden="true">`))
		for i := len(c.Series) - 1; i >= 0; i-- {
			s.add(markup(`<path class="curve `), c.Series[i].Class, markup(`" d="`), c.path(c.Series[i].Values), markup(`"/>`))
		}
		s.add(markup(`</svg>`))
		c.drawEnds(s)
		c.drawMarks(s, c.Titles)
	})
}

// path returns the path through the known values.
func (c LineChart) path(values []float64) markup {
	s, command := new(svg), markup("M")
	for x, v := range values {
		if math.IsNaN(v) {
			command = "M"
			continue
		}
		s.add(command, float64(x)+0.5, markup(" "), float64(c.Height)*(1-v/c.Max))
		command = "L"
	}
	return markup(s.String())
}

// drawEnds draws a dot at the last known value of each line that ends early, with the name
// of the series.
func (c LineChart) drawEnds(s *svg) {
	for _, series := range c.Series {
		last := len(series.Values) - 1
		for last >= 0 && math.IsNaN(series.Values[last]) {
			last--
		}
		if last < 0 || last == len(series.Values)-1 {
			continue
		}
		x, y := percent((float64(last)+0.5)/float64(len(c.Titles))), c.y(series.Values[last]/c.Max)
		s.add(markup(`<circle class="`), series.Class, markup(`" cx="`), x, markup(`" cy="`), y, markup(`" r="4"/>`))
		s.add(markup(`<text aria-hidden="true" class="label start" dx="8" x="`), x, markup(`" y="`), y+4, markup(`">`), series.Name, markup(`</text>`))
	}
}
