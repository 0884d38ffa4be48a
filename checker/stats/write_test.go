package stats_test

import (
	"encoding/csv"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"relcheck/checker/stats"
	"relcheck/checker/stats/rollup"
)

// everyKind is a table with a column of each kind.
func everyKind(rows ...[]any) *stats.Table {
	return &stats.Table{Name: "versions", Title: "Versions", Note: "Distinct instances.", Rows: rows, Columns: []stats.Column{
		{Name: "version", Kind: stats.Text}, {Name: "released", Kind: stats.Date}, {Name: "instances", Kind: stats.Number},
		{Name: "share", Kind: stats.Share}, {Name: "change", Kind: stats.Change}, {Name: "p95", Kind: stats.Bytes},
		{Name: "latest", Kind: stats.Yes}}}
}

func day(t testing.TB, s string) rollup.Day {
	t.Helper()
	d, err := rollup.ParseDay(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestCSV(t *testing.T) {
	table := everyKind(
		[]any{"v1.2.3", day(t, "2026-01-31"), int64(12345), 0.25, -0.041, 610304.4, true},
		[]any{"-1+1", nil, int64(-3), 1.0, 1.0 / 3, 1e15, false},
		[]any{nil, nil, nil, nil, nil, nil, nil},
		[]any{"+cmd", nil, int64(0), 0.0, math.NaN(), 0.0, nil},
		[]any{"=1", nil, int64(0), 0.0, math.Copysign(0, -1), math.Inf(1), nil},
		[]any{"@a,\"b\"", nil, int64(0), 0.0, 0.0, 0.0, nil})
	var b strings.Builder
	if err := table.WriteCSV(&b); err != nil {
		t.Fatal(err)
	}
	want := `version,released,instances,share,change,p95,latest
v1.2.3,2026-01-31,12345,0.25,-0.041,610304,true
'-1+1,,-3,1,0.333333,1000000000000000,false
,,,,,,
'+cmd,,0,0,,0,
'=1,,0,0,0,,
"'@a,""b""",,0,0,0,0,
`
	if got := b.String(); got != strings.ReplaceAll(want, "\n", "\r\n") {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestJSON(t *testing.T) {
	query := stats.Query{Range: rollup.Range{From: day(t, "2026-01-01"), To: day(t, "2026-01-31")}, Filter: stats.Filter{OS: "linux"}}
	d := stats.Document{Product: "opa", Query: query, AsOf: time.Date(2026, 1, 31, 10, 0, 0, 0, time.UTC), Table: everyKind(
		[]any{"v1.2.3", day(t, "2026-01-31"), int64(12345), 0.25, -0.041, 610304.4, true},
		[]any{"\x1b]0;x\a\u009b2J</script>\U000e0041", nil, nil, nil, math.NaN(), nil, nil})}
	var b strings.Builder
	if err := d.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	want := `{"product":"opa","table":"versions","title":"Versions","note":"Distinct instances.","from":"2026-01-01","to":"2026-01-31",` +
		`"filter":{"version":null,"os":"linux","arch":null,"site":null},"as_of":"2026-01-31T10:00:00Z",
"columns":[{"name":"version","kind":"text"},{"name":"released","kind":"date"},{"name":"instances","kind":"number"},` +
		`{"name":"share","kind":"share"},{"name":"change","kind":"change"},{"name":"p95","kind":"bytes"},{"name":"latest","kind":"boolean"}],
"rows":[
{"version":"v1.2.3","released":"2026-01-31","instances":12345,"share":0.25,"change":-0.041,"p95":610304,"latest":true},
{"version":"\u001b]0;x\u0007\u009b2J</script>\udb40\udc41","released":null,"instances":null,"share":null,"change":null,"p95":null,"latest":null}
]}
`
	if got := b.String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestWrongKind(t *testing.T) {
	for i, v := range []any{1.0, "2026-01-31", 1.0, int64(1), int64(1), int64(1), "true"} {
		row := make([]any, 7)
		row[i] = v
		table := everyKind(row)
		if err := table.WriteCSV(new(strings.Builder)); err == nil {
			t.Errorf("got no error for %T as %v", v, table.Columns[i].Kind)
		}
		if err := (stats.Document{Table: table}).WriteJSON(new(strings.Builder)); err == nil {
			t.Errorf("got no error for %T as %v", v, table.Columns[i].Kind)
		}
	}
}

// FuzzTable parses the CSV and JSON of a table.
func FuzzTable(f *testing.F) {
	f.Add("v1.2.3", "amd64", int64(12), 0.25, 1e9, true)
	f.Add("=HYPERLINK(\"x\")", "\r\n", int64(-12), -0.25, 0.0, false)
	f.Add("-", "a\rb\xff", int64(math.MaxInt64), math.Inf(-1), math.NaN(), false)
	f.Fuzz(func(t *testing.T, a, b string, n int64, share, heap float64, yes bool) {
		table := &stats.Table{Name: a, Title: b, Note: a, Rows: [][]any{{a, b, n, share, heap, yes}}, Columns: []stats.Column{
			{Name: "a", Kind: stats.Text}, {Name: "b", Kind: stats.Text}, {Name: "n", Kind: stats.Number},
			{Name: "share", Kind: stats.Share}, {Name: "heap", Kind: stats.Bytes}, {Name: "yes", Kind: stats.Yes}}}
		var asCSV, asJSON strings.Builder
		if err := table.WriteCSV(&asCSV); err != nil {
			t.Fatal(err)
		}
		records, err := csv.NewReader(strings.NewReader(asCSV.String())).ReadAll()
		if err != nil || len(records) != 2 || len(records[1]) != 6 {
			t.Fatalf("%q: %q, %v", asCSV.String(), records, err)
		}
		for i, text := range []string{a, b} {
			if got := records[1][i]; lines(got) != lines(text) && lines(got) != "'"+lines(text) || got != "" && strings.Contains("=+-@\t\r", got[:1]) {
				t.Errorf("CSV: got %q, want %q", got, text)
			}
		}
		if err := (stats.Document{Product: b, Query: stats.Query{Filter: stats.Filter{Version: a}}, Table: table}).WriteJSON(&asJSON); err != nil {
			t.Fatal(err)
		}
		var read struct {
			Product string
			Rows    []struct {
				A, B        string
				N           int64
				Share, Heap *float64
				Yes         bool
			}
		}
		if err := json.Unmarshal([]byte(asJSON.String()), &read); err != nil {
			t.Fatalf("%q: %v", asJSON.String(), err)
		}
		r := read.Rows[0]
		if r.A != valid(a) || r.B != valid(b) || read.Product != valid(b) || r.N != n || r.Yes != yes {
			t.Errorf("JSON: got %+v, want %q %q %d %t", r, a, b, n, yes)
		}
		if finite := !math.IsNaN(share) && !math.IsInf(share, 0); finite != (r.Share != nil) || finite && math.Abs(*r.Share-share) > 1e-6+1e-12*math.Abs(share) {
			t.Errorf("JSON: got share %v, want %v", r.Share, share)
		}
		if strings.ContainsFunc(strings.ReplaceAll(asJSON.String(), "\n", ""), func(r rune) bool { return r < ' ' || 0x7f <= r && r < 0xa0 }) {
			t.Errorf("got control characters in %q", asJSON.String())
		}
	})
}

// lines removes carriage returns, which CSV does not preserve.
func lines(s string) string { return strings.ReplaceAll(s, "\r", "") }

// valid replaces each byte that is not UTF-8.
func valid(s string) string { return string([]rune(s)) }
