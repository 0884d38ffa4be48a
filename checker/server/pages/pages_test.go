package pages

import (
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"relcheck/checker/catalog"
	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

// TestWithdrawnVersions checks that the page of a product shows which versions in use are
// withdrawn, if any are.
func TestWithdrawnVersions(t *testing.T) {
	day := rollup.Range{From: 20_000, To: 20_000}
	used := rollup.BuildTotals{Build: rollup.Build{Version: "1.1.0"}, Distinct: rollup.Distinct{Instances: 3, Exceed: []int64{0}}, Days: []rollup.Count{{Day: day.To, Instances: 3, Reports: 3}}}
	totals := &rollup.Totals{Range: day, Known: day, Builds: []rollup.BuildTotals{used}}
	for _, withdrawn := range []bool{true, false} {
		p := catalog.Product{Name: "app"}
		ranked := p.Rank([]catalog.Release{{Tag: "v1.0.0"}, {Tag: "v1.1.0", Withdrawn: withdrawn}})
		page, err := Product(Visitor{Reader: true}, ProductData{View: stats.NewView(p, ranked, stats.Query{Range: day}, totals, day.To), Section: "versions"})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(page), ">Withdrawn</th>"); got != withdrawn {
			t.Errorf("withdrawn %t: got column %t", withdrawn, got)
		}
	}
}

// TestInstallations checks that the pages of a product show installations if its programs
// remember, also if there are no instances.
func TestInstallations(t *testing.T) {
	const today = 20_100
	days := rollup.Range{From: today - 55, To: today}
	used := rollup.BuildTotals{Build: rollup.Build{Version: "1.1.0"}, Distinct: rollup.Distinct{Exceed: []int64{0}}}
	for d := days.From; d <= days.To; d++ {
		n := rollup.Installations{Daily: 40}
		if d == rollup.OneWeek.Start(d) {
			n = rollup.Installations{Daily: 40, Weekly: 40, Monthly: 10, New: 3}
		}
		used.Days = append(used.Days, rollup.Count{Day: d, Reports: 40})
		used.Installations = append(used.Installations, rollup.DayInstallations{Day: d, Installations: n})
		used.Reports += 40
	}
	totals := &rollup.Totals{Range: days, Known: days, Remembered: days, Builds: []rollup.BuildTotals{used}}
	p := catalog.Product{Name: "app"}
	view := stats.NewView(p, p.Rank([]catalog.Release{{Tag: "v1.0.0"}, {Tag: "v1.1.0"}}), stats.Query{Range: days}, totals, today)
	for section, want := range map[string][]string{
		"":          {"Installations per day", "Share of installations by", "Installations in the four weeks to", "12 are new.", "so charts can cover other days.", "Heaps, reports and checks include today.", "No installation runs anything below v1.1"},
		"versions":  {"40.0 installations a day (100.0 %)", "No installation runs anything below v1.1"},
		"platforms": {"architectures that installations run on", ">40.0<"},
		"activity":  {"Installations per day", "Installations per week", "Installations per four weeks"},
	} {
		page, err := Product(Visitor{Reader: true}, ProductData{View: view, Section: section})
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(page), nbsp, " ")
		for _, part := range want {
			if !strings.Contains(text, part) {
				t.Errorf("page %q: got no text %q", section, part)
			}
		}
		if strings.Contains(text, "Instances per") || strings.Contains(text, "no instances reported") {
			t.Errorf("page %q: got instances, want none", section)
		}
	}
	if tiles := NewProductSummary(view).Tiles; len(tiles) != 3 || tiles[0].Name != "Installations on "+formatDay(today-1) || tiles[0].Value != "40" {
		t.Errorf("got the summary %+v, want the installations of the last day, week and four weeks", tiles)
	}
}

// TestFirstDay checks that a product is described on its first day, before there are charts over
// time.
func TestFirstDay(t *testing.T) {
	const today = 20_100
	days := rollup.Range{From: today - 27, To: today}
	known := rollup.Range{From: today, To: today}
	used := rollup.BuildTotals{Build: rollup.Build{Version: "1.0.0"}, Distinct: rollup.Distinct{Exceed: []int64{0}}, Reports: 3,
		Days: []rollup.Count{{Day: today, Reports: 3}}, Installations: []rollup.DayInstallations{{Day: today, Installations: rollup.Installations{Daily: 3, Weekly: 3, Monthly: 3, New: 2}}}}
	totals := &rollup.Totals{Range: days, Known: known, Remembered: known, Builds: []rollup.BuildTotals{used}}
	p := catalog.Product{Name: "app"}
	view := stats.NewView(p, p.Rank([]catalog.Release{{Tag: "v1.0.0"}, {Tag: "v1.1.0"}}), stats.Query{Range: days}, totals, today)
	for section, want := range map[string][]string{
		"":         {"Installations today so far. 2 are new.", "Versions in use"},
		"activity": {"Today so far, 3 installations have reported.", "Charts over time begin tomorrow"},
	} {
		page, err := Product(Visitor{Reader: true}, ProductData{View: view, Section: section})
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(page), nbsp, " ")
		for _, part := range want {
			if !strings.Contains(text, part) {
				t.Errorf("page %q: got no text %q", section, part)
			}
		}
		if strings.Contains(text, "<svg class=\"area\"") || strings.Contains(text, "Charts and shares cover") {
			t.Errorf("page %q: got charts over time, want none", section)
		}
	}
	if o := NewProductSummary(view); len(o.Tiles) != 1 || o.Tiles[0] != (tile{"Installations today so far", "3", ""}) || !strings.Contains(o.Latest, "of the installations run the latest release, v1.1.0, or newer.") {
		t.Errorf("got the summary %+v, want the installations of today", o)
	}
}

// TestRows checks that an area shows its lines and an empty one.
func TestRows(t *testing.T) {
	for _, c := range []struct {
		field Field
		want  int
	}{
		{Field{}, 1}, {Field{Value: "a"}, 2}, {Field{Value: "a\nb\nc"}, 4}, {Field{Placeholder: "a\nb"}, 2}, {Field{Value: strings.Repeat("a\n", 30)}, 20}, {Field{MinRows: 3}, 3},
	} {
		if got := c.field.Rows(); got != c.want {
			t.Errorf("value %q, placeholder %q, at least %d rows: got %d rows, want %d", c.field.Value, c.field.Placeholder, c.field.MinRows, got, c.want)
		}
	}
}

func TestFormatValue(t *testing.T) {
	for _, c := range []struct {
		kind  stats.Kind
		value any
		want  string
	}{
		{stats.Number, int64(0), "0"}, {stats.Number, int64(999), "999"}, {stats.Number, int64(1234567), "1,234,567"}, {stats.Number, int64(-1000), "−1,000"},
		{stats.Number, nil, "–"}, {stats.Mean, 0.04, "<0.1"}, {stats.Mean, 13.36, "13.4"}, {stats.Mean, 999.96, "1,000"}, {stats.Text, "<b>", "<b>"}, {stats.Yes, true, "yes"}, {stats.Date, rollup.Day(20454), "1 Jan 2026"},
		{stats.Share, 0.0, "0.0 %"}, {stats.Share, 0.00001, "<0.1 %"}, {stats.Share, 0.1234, "12.3 %"}, {stats.Share, 0.99999, ">99.9 %"}, {stats.Share, 1.0, "100.0 %"}, {stats.Share, math.NaN(), "–"},
		{stats.Change, 0.123, "+12.3 %"}, {stats.Change, -0.5, "−50.0 %"}, {stats.Change, 0.0001, "0.0 %"}, {stats.Change, 12.0, "+1,200 %"},
		{stats.Bytes, 0.0, "0 B"}, {stats.Bytes, 1023.0, "1.00 KiB"}, {stats.Bytes, 1.5 * (1 << 20), "1.50 MiB"}, {stats.Bytes, 512.0 * (1 << 20), "512 MiB"}, {stats.Bytes, 64.0 * (1 << 30), "64 GiB"},
	} {
		if got := strings.ReplaceAll(formatValue(c.kind, c.value), nbsp, " "); got != c.want {
			t.Errorf("formatValue(%v, %v) = %q, want %q", c.kind, c.value, got, c.want)
		}
	}
}

// TestExplain checks that errors name the labels of form fields, not parameters.
func TestExplain(t *testing.T) {
	for given, want := range map[string]string{
		"to=2999-01-01 is in the future: use an earlier day":         "To: 2999-01-01 is in the future: use an earlier day.",
		"from=2026-05-02 is after to=2026-05-01: swap them":          "From: 2026-05-02 is after 2026-05-01: swap them.",
		`compare="v1..x" is not two versions such as v1.2.3..v1.3.0`: `Compare: "v1 and x" is not two versions such as v1.2.3 and v1.3.0.`,
		"days and from exclude each other":                           "Days and from exclude each other.",
		`above: "x" is not a number of bytes`:                        `More heap than: "x" is not a number of bytes.`,
		"something else":                                             "Something else.",
	} {
		name := given[:strings.IndexAny(given, "=: ")]
		if got := explain(name, given); got != want {
			t.Errorf("explain(%q, %q) = %q, want %q", name, given, got, want)
		}
	}
}

var variable = regexp.MustCompile(`--([a-z0-9-]+): (#[0-9a-f]{3,6});`)

// TestColors checks that the colors of charts are distinct from the background and from
// each other, in light and dark mode, even for color-blind people.
func TestColors(t *testing.T) {
	css, err := os.ReadFile("web/page.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark, _ := strings.Cut(strings.Split(string(css), "*,\n")[0], "@media")
	for name, text := range map[string]string{"light": light, "dark": dark} {
		colors := map[string]linear{}
		for _, m := range variable.FindAllStringSubmatch(text, -1) {
			colors[m[1]] = parseColor(t, m[2])
		}
		series := []string{"0", "1", "2", "3", "4", "5", "x"}
		for i, s := range series {
			c, ok := colors["c"+s]
			if !ok || contrast(c, colors["paper"]) < 3 {
				t.Errorf("%s: c%s has a contrast of %.2f to the background, want 3", name, s, contrast(c, colors["paper"]))
			}
			if got := contrast(c, colors["on"+s]); got < 4.5 {
				t.Errorf("%s: text on c%s has a contrast of %.2f, want 4.5", name, s, got)
			}
			for j := range i {
				least := 0.08
				if j == i-1 {
					least = 0.1 // neighbors in charts
				}
				for eye, sees := range eyes {
					if d := distance(sees.of(c), sees.of(colors["c"+series[j]])); d < least {
						t.Errorf("%s, %s: c%s and c%s have a distance of %.3f, want %.2f", name, eye, series[j], s, d, least)
					}
				}
			}
		}
		for i, s := range series[1 : len(series)-1] {
			if oklab(colors["c"+s])[0] >= oklab(colors["c"+series[i]])[0] {
				t.Errorf("%s: c%s is not darker than c%s, want older versions to be darker", name, s, series[i])
			}
		}
		for eye, sees := range eyes { // the parts of columns of installations
			if d := distance(sees.of(colors["accent"]), sees.of(colors["new"])); d < 0.1 || contrast(colors["new"], colors["paper"]) < 3 {
				t.Errorf("%s, %s: accent and new have a distance of %.3f, and new a contrast of %.2f to the background, want 0.1 and 3", name, eye, d, contrast(colors["new"], colors["paper"]))
			}
		}
		for _, ink := range []string{"ink", "soft", "accent", "good", "bad"} {
			if got := contrast(colors[ink], colors["paper"]); got < 4.5 {
				t.Errorf("%s: %s has a contrast of %.2f to the background, want 4.5", name, ink, got)
			}
		}
	}
}

// linear is a color as linear red, green and blue.
type linear [3]float64

func parseColor(t *testing.T, s string) (c linear) {
	t.Helper()
	s = strings.TrimPrefix(s, "#")
	if len(s) == 3 {
		s = s[:1] + s[:1] + s[1:2] + s[1:2] + s[2:] + s[2:]
	}
	for i := range c {
		n, err := strconv.ParseUint(s[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		if c[i] = float64(n) / 255 / 12.92; n > 10 {
			c[i] = math.Pow((float64(n)/255+0.055)/1.055, 2.4)
		}
	}
	return c
}

// contrast returns the contrast ratio of WCAG 2.
func contrast(a, b linear) float64 {
	light := func(c linear) float64 { return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2] + 0.05 }
	return max(light(a), light(b)) / min(light(a), light(b))
}

// matrix transforms a color into what an eye sees.
type matrix [3]linear

func (m matrix) of(c linear) (seen linear) {
	for i, row := range m {
		seen[i] = max(0, row[0]*c[0]+row[1]*c[1]+row[2]*c[2])
	}
	return seen
}

// eyes simulate normal vision and the three kinds of color blindness (Machado, Oliveira
// and Fernandes, IEEE TVCG 2009).
var eyes = map[string]matrix{
	"all cones":      {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
	"no red cones":   {{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}},
	"no green cones": {{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}},
	"no blue cones":  {{1.255528, -0.076749, -0.178779}, {-0.078411, 0.930809, 0.147602}, {0.004733, 0.691367, 0.303900}},
}

// distance returns the distance of two colors in the color space Oklab.
func distance(a, b linear) float64 {
	var sum float64
	x, y := oklab(a), oklab(b)
	for i := range x {
		sum += (x[i] - y[i]) * (x[i] - y[i])
	}
	return math.Sqrt(sum)
}

func oklab(c linear) linear {
	cones := matrix{{0.4122214708, 0.5363325363, 0.0514459929}, {0.2119034982, 0.6806995451, 0.1073969566}, {0.0883024619, 0.2817188376, 0.6299787005}}.of(c)
	for i := range cones {
		cones[i] = math.Cbrt(cones[i])
	}
	l, m, s := cones[0], cones[1], cones[2]
	return linear{0.2104542553*l + 0.7936177850*m - 0.0040720468*s, 1.9779984951*l - 2.4285922050*m + 0.4505937099*s, 0.0259040371*l + 0.7827717662*m - 0.8086757660*s}
}
