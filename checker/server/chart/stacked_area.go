package chart

import (
	"html/template"
	"math"
)

// StackedArea draws series as areas on top of each other, over evenly spaced points.
type StackedArea struct {
	Frame
	Max    float64 // value at the top of the Y axis
	Series []Series
	Titles []string // exact values of each point
}

// Series is an area or a line. The first area is at the bottom.
type Series struct {
	Name   string
	Class  string    // CSS class, such as c0
	Values []float64 // of each point; NaN if the value is unknown
}

// SVG draws the chart.
func (c StackedArea) SVG() template.HTML {
	return c.draw(func(s *svg) {
		n := len(c.Titles)
		if n == 0 {
			return
		}
		edges := c.edges()
		s.add(markup(`<svg y="`), c.top(), markup(`" width="100%" height="`), c.Height, markup(`" viewBox="0 0 `), n, markup(` `), c.Height,
			markup(`" preserveAspectRatio="none" aria-hidden="true">`))
		for i, series := range c.Series {
			s.add(markup(`<path class="band `), series.Class, markup(`" d="`), c.path(edges[i], edges[i+1]), markup(`"/>`))
		}
		s.add(markup(`</svg>`))
		c.drawLabels(s, edges)
		c.drawMarks(s, c.Titles)
	})
}

// edges returns the lines between the areas, from the bottom up, as heights from 0 to 1.
func (c StackedArea) edges() [][]float64 {
	edges := [][]float64{make([]float64, len(c.Titles))}
	for i, series := range c.Series {
		above := make([]float64, len(c.Titles))
		for x, below := range edges[i] {
			above[x] = below + series.Values[x]/c.Max
		}
		edges = append(edges, above)
	}
	return edges
}

// path returns the path around an area. Unknown values divide it into several runs. A run
// extends from the left edge of its first point's column to the right edge of its last.
func (c StackedArea) path(below, above []float64) markup {
	s := new(svg)
	for from := 0; from < len(above); from++ {
		to := from
		for to < len(above) && !math.IsNaN(above[to]) {
			to++
		}
		if to > from {
			c.drawRun(s, below, above, from, to)
			from = to
		}
	}
	return markup(s.String())
}

// drawRun draws the area of the points from up to, but not including, to.
func (c StackedArea) drawRun(s *svg, below, above []float64, from, to int) {
	height := func(edge []float64, x int) float64 { return float64(c.Height) * (1 - edge[x]) }
	s.add(markup("M"), from, markup(" "), height(above, from))
	for x := from; x < to; x++ {
		s.add(markup("L"), float64(x)+0.5, markup(" "), height(above, x))
	}
	s.add(markup("H"), to, markup("V"), height(below, to-1))
	for x := to - 1; x >= from; x-- {
		s.add(markup("L"), float64(x)+0.5, markup(" "), height(below, x))
	}
	s.add(markup("H"), from, markup("Z"))
}

// drawLabels writes the names of the series into the areas that have room for them.
func (c StackedArea) drawLabels(s *svg, edges [][]float64) {
	for i, series := range c.Series {
		if series.Name == "" {
			continue
		}
		for _, width := range []float64{narrowWidth, wideWidth} {
			at, middle, ok := c.findSpace(edges[i], edges[i+1], (float64(len([]rune(series.Name)))*charWidth+14)/width)
			if !ok {
				continue
			}
			class := markup("label middle on-")
			if width == wideWidth {
				class = "label middle wide on-"
			}
			s.add(markup(`<text aria-hidden="true" class="`), class, series.Class, markup(`" x="`), percent(at), markup(`" y="`), c.y(middle)+4, markup(`">`), series.Name, markup(`</text>`))
			break
		}
	}
}

// findSpace returns the position where an area is highest over a share of the width, and
// whether a line of text has room there.
func (c StackedArea) findSpace(below, above []float64, width float64) (at, middle float64, ok bool) {
	const line = 17 // pixels
	n := len(above)
	span := int(math.Ceil(width * float64(n)))
	best := float64(line) / float64(c.Height)
	for from := 0; from+span <= n; from++ {
		floor, ceiling := 0.0, 1.0
		for x := from; x < from+span; x++ {
			if math.IsNaN(above[x]) {
				ceiling = 0
			}
			floor, ceiling = math.Max(floor, below[x]), math.Min(ceiling, above[x])
		}
		if ceiling-floor > best {
			best, ok = ceiling-floor, true
			at, middle = (float64(from)+float64(span)/2)/float64(n), (floor+ceiling)/2
		}
	}
	return at, middle, ok
}
