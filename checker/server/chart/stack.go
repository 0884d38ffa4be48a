package chart

import (
	"html/template"
	"math"
)

// Stack draws series on top of one another, as areas over evenly spaced points.
type Stack struct {
	Frame
	End    float64 // the value at the upper end of the Y axis
	Series []Series
	Titles []string // of each point, with its exact values
}

// Series is one area. The first is at the bottom.
type Series struct {
	Name   string
	Class  string    // one of the page's own words, such as c0
	Values []float64 // one for each point; not a number where nothing is known
}

// SVG draws it.
func (c Stack) SVG() template.HTML {
	return c.draw(func(s *svg) {
		n := len(c.Titles)
		if n == 0 {
			return
		}
		edges := c.edges()
		s.add(markup(`<svg y="`), headroom, markup(`" width="100%" height="`), c.Height, markup(`" viewBox="0 0 `), n, markup(` `), c.Height,
			markup(`" preserveAspectRatio="none" aria-hidden="true">`))
		for i, one := range c.Series {
			s.add(markup(`<path class="band `), one.Class, markup(`" d="`), c.path(edges[i], edges[i+1]), markup(`"/>`))
		}
		s.add(markup(`</svg>`))
		c.labels(s, edges)
		c.marks(s, c.Titles)
	})
}

// edges are the lines between the areas, from the bottom up: heights from 0 to 1.
func (c Stack) edges() [][]float64 {
	edges := [][]float64{make([]float64, len(c.Titles))}
	for i, one := range c.Series {
		above := make([]float64, len(c.Titles))
		for x, below := range edges[i] {
			above[x] = below + one.Values[x]/c.End
		}
		edges = append(edges, above)
	}
	return edges
}

// path goes around an area, in pieces where something is not known. It reaches
// from the left edge of its first point's column to the right one of its last.
func (c Stack) path(below, above []float64) markup {
	s := new(svg)
	for from := 0; from < len(above); from++ {
		to := from
		for to < len(above) && !math.IsNaN(above[to]) {
			to++
		}
		if to > from {
			c.piece(s, below, above, from, to)
			from = to
		}
	}
	return markup(s.String())
}

func (c Stack) piece(s *svg, below, above []float64, from, to int) {
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

// labels writes names into the areas that have room for them.
func (c Stack) labels(s *svg, edges [][]float64) {
	for i, one := range c.Series {
		if one.Name == "" {
			continue
		}
		for _, width := range []float64{narrow, wide} {
			at, middle, ok := c.room(edges[i], edges[i+1], (float64(len([]rune(one.Name)))*letter+14)/width)
			if !ok {
				continue
			}
			class := markup("label middle on-")
			if width == wide {
				class = "label middle wide on-"
			}
			s.add(markup(`<text aria-hidden="true" class="`), class, one.Class, markup(`" x="`), percent(at), markup(`" y="`), c.y(middle)+4, markup(`">`), one.Name, markup(`</text>`))
			break
		}
	}
}

// room finds where an area is highest over some part of the width, and whether a
// line of text has room there.
func (c Stack) room(below, above []float64, width float64) (at, middle float64, ok bool) {
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
