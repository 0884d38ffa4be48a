package command

import (
	"slices"
	"strings"
	"testing"

	"relcheck/checker/stats"
)

// TestPrintList checks that each cell stays in its line and column, and that no control
// characters are printed.
func TestPrintList(t *testing.T) {
	var out strings.Builder
	o := newOutput(IO{Out: &out}, false)
	o.add(&list{heads: []string{"name", "title", "state"}, rows: [][]string{{"a\tb", "\x1b[31mred\u202e\n", ""}, {"long name", "x", "latest"}}})
	if err := o.write(); err != nil {
		t.Fatal(err)
	}
	want := "NAME       TITLE       STATE\n" +
		"a\ufffdb        \ufffd[31mred\ufffd\ufffd  -\n" +
		"long name  x           latest\n"
	if got := out.String(); got != want {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
}

// TestLongList checks that a narrow terminal shows no checksums.
func TestLongList(t *testing.T) {
	l := &list{heads: []string{"file", "state", "SHA-256"}, rows: [][]string{{"app", "verified", strings.Repeat("0", 64)}}, omitted: []string{"SHA-256"}}
	for _, c := range []struct {
		screen
		columns int
	}{{screen{fancy: true, width: 79}, 2}, {screen{fancy: true, width: 80}, 3}, {screen{width: 79}, 3}} {
		b := c.list(l)
		if got := len(strings.Fields(b[1].string)); len(b) != 2 || got != c.columns {
			t.Errorf("%d columns, terminal %t: got %v, want %d cells", c.width, c.fancy, b, c.columns)
		}
	}
}

// TestWrappedList checks that a list fits on a narrow terminal: cells are wrapped, long words are
// broken, and URLs stay whole.
func TestWrappedList(t *testing.T) {
	s := &screen{fancy: true, width: 40}
	var got []string
	for _, line := range s.list(&list{heads: []string{"name", "title", "state"}, rows: [][]string{
		{"app", "A title of many words", "up to date"}, {"x", "y", "z"}, {"long-name-of-a-product-that-is-long", strings.Repeat("w", 30), "ok"},
	}}) {
		got = append(got, strings.TrimRight(line.string, " "))
	}
	want := []string{
		"NAME           TITLE          STATE",
		"app            A title of     up to date",
		"               many words",
		"x              y              z",
		"long-name-of-  wwwwwwwwwwwww  ok",
		"a-product-tha  wwwwwwwwwwwww",
		"t-is-long      wwww",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	url := "https://example.com/" + strings.Repeat("a", 60)
	if b := s.list(&list{heads: []string{"name", "url"}, rows: [][]string{{"app", url}}}); len(b) != 2 || !strings.Contains(b[1].string, url) {
		t.Errorf("got %v, want a whole URL", b)
	}
}

// TestBarsWithoutShares checks that a table of a range without reports has no bars.
func TestBarsWithoutShares(t *testing.T) {
	table := &stats.Table{Columns: []stats.Column{stats.ColInstances, stats.ColShare}, Rows: [][]any{{int64(0), nil}}}
	s := &screen{fancy: true, width: 80}
	if got := s.rows(table, s.width); len(got) != 2 || got[1].string != "        0      -" {
		t.Errorf("got %v, want a head and a row without a bar", got)
	}
}
