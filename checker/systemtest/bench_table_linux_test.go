package systemtest

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"relcheck/checker/stats"
)

// ratiosFile holds how all compared to its floor at the last release.
const ratiosFile = "testdata/ratios.json"

var writeRatios = flag.Bool("write-ratios", false, "write down how all compares to its floor, for later runs to be held against")

// row is a line of the table.
type row struct {
	name   string
	figure float64
	unit   string
	ratio  float64 // to its floor; 0 of what has none
	small  bool    // the smaller the ratio, the better
	least  float64 // that the ratio has to be, or 0
	most   float64 // that the ratio may be, or 0
	note   string
}

// worse reports whether a ratio is more than a fifth worse than before.
func (r row) worse(was float64) bool {
	if r.small {
		return r.ratio > 1.2*was
	}
	return r.ratio < 0.8*was
}

// printTable prints all rows, and then says loudly what has become slower, and what
// is slower than it may be. Without the latter all is well.
func printTable(w io.Writer, rows []row, before map[string]float64) (well bool) {
	var loud strings.Builder
	well = true
	line := func(cells ...any) {
		fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%-52s %9s %-14s %8s %8s  %s", cells...), " "))
	}
	line("", "", "", "to floor", "before", "")
	for _, r := range rows {
		ratio, last := "", ""
		if r.ratio > 0 {
			ratio, last = digits(r.ratio), "-"
		}
		if was, known := before[r.name]; known && r.ratio > 0 {
			if last = digits(was); r.worse(was) {
				fmt.Fprintf(&loud, "SLOWER: %s: %s of its floor, where it was %s\n", r.name, ratio, last)
			}
		}
		if r.ratio < r.least {
			fmt.Fprintf(&loud, "TOO SLOW: %s: %s of its floor, and has to be %s\n", r.name, ratio, digits(r.least))
			well = false
		}
		if r.most > 0 && r.ratio > r.most {
			fmt.Fprintf(&loud, "TOO SLOW: %s: %s times its floor, and may be %s\n", r.name, ratio, digits(r.most))
			well = false
		}
		line(r.name, digits(r.figure), r.unit, ratio, last, r.note)
	}
	io.WriteString(w, loud.String())
	return well
}

// digits writes a number with about three of them.
func digits(f float64) string {
	switch {
	case f < 10:
		return strconv.FormatFloat(f, 'f', 2, 64)
	case f < 100:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return stats.ShowNumber(int64(f + 0.5))
}

func readRatios(t *testing.T) (before map[string]float64) {
	t.Helper()
	text, err := os.ReadFile(ratiosFile)
	if err == nil {
		err = json.Unmarshal(text, &before)
	}
	if err != nil {
		t.Fatal(err)
	}
	return before
}

// storeRatios stores the ratios with three digits.
func storeRatios(t *testing.T, rows []row) {
	t.Helper()
	ratios := map[string]json.Number{}
	for _, r := range rows {
		if r.ratio > 0 {
			ratios[r.name] = json.Number(strconv.FormatFloat(r.ratio, 'g', 3, 64))
		}
	}
	text, err := json.MarshalIndent(ratios, "", "\t")
	if err == nil {
		err = os.WriteFile(ratiosFile, append(text, '\n'), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestPrintTable checks that ratios that became more than a fifth worse are listed,
// whether more or less is better.
func TestPrintTable(t *testing.T) {
	before := map[string]float64{"rate": 0.5, "time": 2, "steady": 1}
	for _, c := range []struct {
		rows []row
		want string
	}{
		{[]row{{name: "rate", ratio: 0.41}, {name: "time", ratio: 2.3, small: true}, {name: "new", ratio: 0.1}, {name: "steady"}}, ""},
		{[]row{{name: "rate", ratio: 0.6, least: 0.6}, {name: "time", ratio: 1, small: true}}, ""},
		{[]row{{name: "rate", ratio: 0.39}, {name: "time", ratio: 2}}, "SLOWER: rate: 0.39 of its floor, where it was 0.50\n"},
		{[]row{{name: "time", ratio: 2.5, small: true}}, "SLOWER: time: 2.50 of its floor, where it was 2.00\n"},
		{[]row{{name: "new", ratio: 0.5, least: 0.6}}, "TOO SLOW: new: 0.50 of its floor, and has to be 0.60\n"},
	} {
		var out strings.Builder
		well := printTable(&out, c.rows, before)
		var loud strings.Builder
		for line := range strings.Lines(out.String()) {
			if strings.HasPrefix(line, "SLOWER") || strings.HasPrefix(line, "TOO SLOW") {
				loud.WriteString(line)
			}
		}
		if loud.String() != c.want || well == strings.Contains(c.want, "TOO") {
			t.Errorf("%+v: it says %q, want %q", c.rows, loud.String(), c.want)
		}
	}
}
