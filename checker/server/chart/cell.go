package chart

import (
	"html/template"
	"slices"
)

// Bar draws a share from 0 to 1 as a horizontal bar in a table cell.
func Bar(share float64, class string) template.HTML {
	return StackedBar([]Segment{{Share: share, Class: class}})
}

// Segment is a part of a stacked bar.
type Segment struct {
	Share float64 // of the bar's width, from 0 to 1
	Class string  // CSS class
	Title string  // may be empty
}

// StackedBar draws a horizontal bar that consists of segments.
func StackedBar(segments []Segment) template.HTML {
	s := new(svg)
	s.add(markup(`<svg class="bar" width="100%" height="10" aria-hidden="true">`))
	at := 0.0
	for _, p := range segments {
		s.add(markup(`<rect class="piece `), p.Class, markup(`" x="`), percent(at), markup(`" width="`), percent(p.Share), markup(`" height="10">`))
		if p.Title != "" {
			s.add(markup(`<title>`), p.Title, markup(`</title>`))
		}
		s.add(markup(`</rect>`))
		at += p.Share
	}
	s.add(markup(`</svg>`))
	return template.HTML(s.String())
}

// DotPlot draws a mark at each position from 0 to 1 and a line from the first position to the
// last, in a table cell. The last mark is a stroke across the line, the others are dots.
func DotPlot(at []float64) template.HTML {
	s := new(svg)
	s.add(markup(`<svg class="spread" width="100%" height="12" aria-hidden="true">`))
	if len(at) > 0 {
		s.add(markup(`<line x1="`), percent(at[0]), markup(`" x2="`), percent(at[len(at)-1]), markup(`" y1="6" y2="6"/>`))
	}
	for i, x := range at {
		if i > 0 && i == len(at)-1 {
			s.add(markup(`<line class="last" x1="`), percent(x), markup(`" x2="`), percent(x), markup(`" y1="1" y2="11"/>`))
			break
		}
		r := 3.0
		if i == 0 {
			r = 4.5
		}
		s.add(markup(`<circle class="p`), i, markup(`" cx="`), percent(x), markup(`" cy="6" r="`), r, markup(`"/>`))
	}
	s.add(markup(`</svg>`))
	return template.HTML(s.String())
}

// Sparkline draws values over time without axes, scaled to the full height. The label is
// its accessible name.
func Sparkline(values []float64, label string) template.HTML {
	const height = 40
	s := new(svg)
	s.add(markup(`<svg class="spark" width="100%" height="40" role="img" aria-label="`), label, markup(`">`))
	if len(values) > 1 && slices.Max(values) > 0 {
		n, maxValue := len(values)-1, slices.Max(values)
		s.add(markup(`<svg width="100%" height="40" viewBox="0 0 `), n, markup(` 40" preserveAspectRatio="none">`))
		line := new(svg)
		for i, v := range values {
			line.add(markup("L"), i, markup(" "), height-2-(height-6)*v/maxValue)
		}
		path := markup(line.String()[1:])
		s.add(markup(`<path class="under" d="M`), path, markup(`V40H0Z"/><path class="line" d="M`), path, markup(`"/></svg>`))
	}
	s.add(markup(`</svg>`))
	return template.HTML(s.String())
}
