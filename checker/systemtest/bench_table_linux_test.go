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

// ratiosFile contains the ratios of the last release.
const ratiosFile = "testdata/ratios.json"

var writeRatios = flag.Bool("write-ratios", false, "store the ratios, with which later runs are compared")

// row is a line of the table.
type row struct {
	name   string
	figure float64
	unit   string
	ratio  float64 // to its floor; 0 for none
	small  bool    // a smaller ratio is better
	other  bool    // not of relcheck: the ratio is not compared with that of the last release
	least  float64 // minimum ratio; 0 for none
	most   float64 // maximum ratio; 0 for none
	note   string
}

// worse reports whether a ratio is more than a fifth worse than before.
func (r row) worse(before float64) bool {
	if r.small {
		return r.ratio > 1.2*before
	}
	return r.ratio < 0.8*before
}

// printTable prints all rows, and then lists which ratios are worse than before and which
// are outside of their limits. It reports whether all are within their limits.
func printTable(w io.Writer, rows []row, before map[string]float64) (ok bool) {
	var warnings strings.Builder
	ok = true
	line := func(cells ...any) {
		fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%-52s %9s %-14s %8s %8s  %s", cells...), " "))
	}
	line("", "", "", "to floor", "before", "")
	for _, r := range rows {
		ratio, last := "", ""
		if r.ratio > 0 {
			ratio, last = digits(r.ratio), "-"
		}
		if was, known := before[r.name]; known && r.ratio > 0 && !r.other {
			if last = digits(was); r.worse(was) {
				fmt.Fprintf(&warnings, "SLOWER: %s: %s of its floor, before %s\n", r.name, ratio, last)
			}
		}
		if r.ratio < r.least {
			fmt.Fprintf(&warnings, "TOO SLOW: %s: %s of its floor, want at least %s\n", r.name, ratio, digits(r.least))
			ok = false
		}
		if r.most > 0 && r.ratio > r.most {
			fmt.Fprintf(&warnings, "TOO SLOW: %s: %s times its floor, want at most %s\n", r.name, ratio, digits(r.most))
			ok = false
		}
		line(r.name, digits(r.figure), r.unit, ratio, last, r.note)
	}
	io.WriteString(w, warnings.String())
	return ok
}

// digits formats a number with about three digits.
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
		if r.ratio > 0 && !r.other {
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

// TestPrintTable checks that ratios that are more than a fifth worse than before are
// listed, whether a larger or a smaller ratio is better.
func TestPrintTable(t *testing.T) {
	before := map[string]float64{"rate": 0.5, "time": 2, "steady": 1}
	for _, c := range []struct {
		rows []row
		want string
	}{
		{[]row{{name: "rate", ratio: 0.41}, {name: "time", ratio: 2.3, small: true}, {name: "new", ratio: 0.1}, {name: "steady"}}, ""},
		{[]row{{name: "rate", ratio: 0.6, least: 0.6}, {name: "time", ratio: 1, small: true}}, ""},
		{[]row{{name: "rate", ratio: 0.1, other: true}}, ""},
		{[]row{{name: "rate", ratio: 0.39}, {name: "time", ratio: 2}}, "SLOWER: rate: 0.39 of its floor, before 0.50\n"},
		{[]row{{name: "time", ratio: 2.5, small: true}}, "SLOWER: time: 2.50 of its floor, before 2.00\n"},
		{[]row{{name: "new", ratio: 0.5, least: 0.6}}, "TOO SLOW: new: 0.50 of its floor, want at least 0.60\n"},
	} {
		var out strings.Builder
		ok := printTable(&out, c.rows, before)
		var warnings strings.Builder
		for line := range strings.Lines(out.String()) {
			if strings.HasPrefix(line, "SLOWER") || strings.HasPrefix(line, "TOO SLOW") {
				warnings.WriteString(line)
			}
		}
		if warnings.String() != c.want || ok == strings.Contains(c.want, "TOO") {
			t.Errorf("%+v: got %q and ok %t, want %q", c.rows, warnings.String(), ok, c.want)
		}
	}
}
