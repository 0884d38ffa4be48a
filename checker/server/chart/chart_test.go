package chart_test

import (
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"html/template"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"relcheck/checker/server/chart"
)

var update = flag.Bool("update", false, "write the golden files")

func shares(v float64) string { return fmt.Sprintf("%.0f %%", v*100) }

// TestGolden compares charts with the golden files.
func TestGolden(t *testing.T) {
	y, end := chart.LinearTicks(1, 2, shares)
	frame := chart.Frame{Label: "Shares", Height: 100, X: chart.DayTicks(time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC), 4), Y: y}
	gap, marked := math.NaN(), frame
	marked.Marks = []chart.Tick{{At: 0.1, Text: "v0"}, {At: 0.12, Text: "v1"}, {At: 0.8, Text: "v2"}}
	for name, got := range map[string]template.HTML{
		"stacked_area": chart.StackedArea{Frame: frame, Max: end, Titles: []string{"a", "b", "c", "d"}, Series: []chart.Series{
			{Name: "v1", Class: "c0", Values: []float64{0.25, 0.5, gap, 1}}, {Name: "v0", Class: "c1", Values: []float64{0.75, 0.5, gap, 0}}}}.SVG(),
		"column_chart": chart.ColumnChart{Frame: frame, Max: end, Columns: []chart.Column{{Value: 0.5, Class: "c0", Title: "one"}, {Value: 0.5, Class: "c1", Title: "two", Above: 0.5, AboveClass: "c2"}},
			Rules: []chart.Tick{{At: 0.3, Text: "p50"}, {At: 0.4, Text: "p99"}}}.SVG(),
		"line_chart": chart.LineChart{Frame: marked, Max: end, Titles: []string{"a", "b", "c", "d"}, Series: []chart.Series{
			{Name: "v1", Class: "c0", Values: []float64{0.25, 0.5, gap, gap}}, {Name: "v0", Class: "c1", Values: []float64{gap, 0.5, gap, 1}}}}.SVG(),
		"stacked_bar": chart.StackedBar([]chart.Segment{{0.25, "c0", "a quarter"}, {0.75, "c1", ""}}),
		"dot_plot":    chart.DotPlot([]float64{0.1, 0.5, 0.9}),
		"sparkline":   chart.Sparkline([]float64{1, 3, 2}, "three days"),
	} {
		golden(t, name, string(got))
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".svg")
	got = strings.ReplaceAll(got, "><", ">\n<") + "\n"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(file); err != nil || got != string(want) {
		t.Errorf("%s: got another chart than the golden file (error %v); go test ./checker/server/chart -update replaces the file:\n%s", name, err, got)
	}
}

// TestMarkup checks that, for any input, the markup is well-formed, contains no styles or
// scripts, and has all numbers within bounds.
func TestMarkup(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"</svg><script>", `" onload="x`, "'", "]]>", "a\u202eb", "\x00"}))
	rapid.Check(t, func(t *rapid.T) {
		n, titles := rapid.IntRange(0, 40).Draw(t, "points"), []string{}
		series := make([]chart.Series, rapid.IntRange(1, 7).Draw(t, "series"))
		left := make([]float64, n)
		for i := range n {
			titles, left[i] = append(titles, text.Draw(t, "title")), 1
		}
		for i := range series {
			series[i] = chart.Series{Name: text.Draw(t, "name"), Class: "c0", Values: make([]float64, n)}
			for x := range n {
				series[i].Values[x] = rapid.Float64Range(0, left[x]).Draw(t, "value")
				left[x] -= series[i].Values[x]
				if rapid.IntRange(0, 9).Draw(t, "gap") == 0 {
					series[i].Values[x] = math.NaN()
				}
			}
		}
		y, end := chart.LinearTicks(1, 4, shares)
		frame := chart.Frame{Label: text.Draw(t, "label"), Height: 200, Y: y, X: []chart.Tick{{At: 0.5, Text: text.Draw(t, "tick")}}}
		checkMarkup(t, chart.StackedArea{Frame: frame, Max: end, Series: series, Titles: titles}.SVG())
		bars := chart.ColumnChart{Frame: frame, Max: end, Rules: frame.X}
		for _, title := range titles {
			bars.Columns = append(bars.Columns, chart.Column{Value: rapid.Float64Range(0, end).Draw(t, "bar"), Class: "c1", Title: title})
		}
		checkMarkup(t, bars.SVG())
		frame.Marks = frame.X
		checkMarkup(t, chart.LineChart{Frame: frame, Max: end, Series: series, Titles: titles}.SVG())
		checkMarkup(t, chart.Sparkline(left, frame.Label))
		checkMarkup(t, chart.StackedBar([]chart.Segment{{Share: rapid.Float64Range(0, 1).Draw(t, "part"), Class: "c0", Title: frame.Label}}))
	})
}

var numbers = regexp.MustCompile(`-?\d+(\.\d+)?`)

// checkMarkup parses a chart and checks its elements and attributes.
func checkMarkup(t *rapid.T, drawing template.HTML) {
	d := xml.NewDecoder(strings.NewReader(string(drawing)))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, drawing)
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if !strings.Contains(" div svg g line path rect circle text title ", " "+e.Name.Local+" ") {
			t.Fatalf("got element <%s>, want only drawing elements", e.Name.Local)
		}
		for _, a := range e.Attr {
			if a.Name.Local == "style" || strings.HasPrefix(a.Name.Local, "on") {
				t.Fatalf("got attribute %s in <%s>, want no styles or scripts", a.Name.Local, e.Name.Local)
			}
			if strings.HasSuffix(a.Value, "%") || a.Name.Local == "d" || a.Name.Local == "height" {
				checkBounds(t, a)
			}
		}
	}
}

func checkBounds(t *rapid.T, a xml.Attr) {
	for _, s := range numbers.FindAllString(a.Value, -1) {
		if n, err := strconv.ParseFloat(s, 64); err != nil || n < -0.01 || n > 300 {
			t.Fatalf("%s=%q", a.Name.Local, a.Value)
		}
	}
	if strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") {
		t.Fatalf("%s=%q", a.Name.Local, a.Value)
	}
}

// TestTicks checks that the ticks of an axis start at 0, cover all values, and are few.
func TestTicks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := math.Exp(rapid.Float64Range(-5, 25).Draw(t, "log"))
		ticks, end := chart.LinearTicks(most, 4, func(v float64) string { return strconv.FormatFloat(v, 'g', 12, 64) })
		if end < most*(1-1e-9) || end > most*2.51 || len(ticks) < 2 || len(ticks) > 6 || ticks[0].At != 0 || math.Abs(ticks[len(ticks)-1].At-1) > 1e-9 {
			t.Fatalf("values up to %g: got %d ticks up to %g, want 2 to 6 from 0 to the end of the axis, which is at most 2.51 times as large: %v", most, len(ticks), end, ticks)
		}
	})
	for _, days := range []int{1, 2, 7, 8, 9, 28, 45, 90, 120, 121, 365, 500, 900, 1500, 2000, 3660} {
		for offset := range 40 {
			at := -1.0
			all := chart.DayTicks(time.Date(2024, 1, 1+offset*11, 0, 0, 0, 0, time.UTC), days)
			major := 0
			for _, tick := range all {
				if tick.At <= at || tick.At >= 1 {
					t.Fatalf("%d days: got ticks %v, want ascending positions between 0 and 1", days, all)
				}
				if at = tick.At; !tick.Minor {
					major++
				}
			}
			if days >= 7 && len(all) == 0 || major > 7 || len(all) > 17 {
				t.Errorf("%d days: got %d ticks, %d of them major, want at most 17 and 7, and some from 7 days on", days, len(all), major)
			}
		}
	}
}

var label = regexp.MustCompile(`<text class="([^"]*)" x="([^"%]*)%" y="[^"]*">([^<]*)</text>`)

// TestLabelsDoNotOverlap checks that the labels of an axis do not overlap in narrow and
// wide charts, and that some remain.
func TestLabelsDoNotOverlap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ticks []chart.Tick
		n := rapid.IntRange(1, 30).Draw(t, "ticks")
		for i := range n {
			ticks = append(ticks, chart.Tick{At: (float64(i) + 0.5) / float64(n), Text: strings.Repeat("w", rapid.IntRange(1, 40).Draw(t, "letters")), SecondLine: i%2 == 1, Minor: i > 0 && rapid.Bool().Draw(t, "minor")})
		}
		drawing := string(chart.ColumnChart{Frame: chart.Frame{Height: 100, X: ticks}, Max: 1}.SVG())
		for _, width := range []float64{280, 720} {
			ends := map[bool]float64{false: -100, true: -100} // by whether the label is on the second line
			for _, m := range label.FindAllStringSubmatch(drawing, -1) {
				if width == 280 && strings.Contains(m[1], "wide") {
					continue
				}
				at, err := strconv.ParseFloat(m[2], 64)
				size := 7.4 * float64(len([]rune(m[3])))
				switch at *= width / 100; {
				case err != nil:
					t.Fatal(err)
				case strings.HasPrefix(m[1], "end"):
					at -= size
				case strings.HasPrefix(m[1], "middle"):
					at -= size / 2
				}
				low := width == 280 && strings.Contains(m[1], "low")
				if at < ends[low] {
					t.Fatalf("%g pixels: got %q from %g, want it from %g, the end of the label before", width, m[3], at, ends[low])
				}
				ends[low] = at + size
			}
			if ends[false] < 0 {
				t.Fatalf("%g pixels: got no labels of %v, want some", width, ticks)
			}
		}
	})
}
